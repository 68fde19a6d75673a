/**
 * Names of people, as policies and consent tokens write them.
 * In: a name. Out: what it is compared by, and whether it has the form that a requester's must have.
 * Source: Unicode Annex 15 (normal forms), Technical Standard 39 §5.1 (letters of several scripts in one name: Latin and Cyrillic ones look alike).
 * Does not know who the people are, and cannot tell two who have the same name apart: two people need two names.
 */
import { consentNameCharactersMax } from '../limits.ts';

/** Scripts with letters that look like each other's. */
const LOOKALIKES = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u];

/** The same for one person, however the name is spaced, capitalised or punctuated. */
export function personKey(name: string): string {
  const folded = name.normalize('NFKC').toUpperCase().toLowerCase();
  return folded.replace(/[^\p{L}\p{M}\p{N}]/gu, '');
}

/** Whether nobody takes it for another name that is spelled with other letters. */
export function isPlainlySpelled(name: string): boolean {
  return LOOKALIKES.filter((script) => script.test(name)).length <= 1;
}

/** Printable, in its one normal form and plainly spelled, so that two names that look alike are alike. */
export function isPersonName(text: string): boolean {
  const isPrintable = /^[\p{L}\p{M}\p{N}.'’-]+(?: [\p{L}\p{M}\p{N}.'’-]+)*$/u.test(text);
  const isShort = text.length <= consentNameCharactersMax;
  return isPrintable && isShort && text.normalize('NFKC') === text && isPlainlySpelled(text);
}
