/**
 * Rules of who signs: that the signer a grant names is one whose key the policy trusts, and that two people are there where two are asked for.
 * In: a resolved program. Out: grants under which no token could ever be redeemed.
 * A policy without `trusted_keys` leaves them open and is not judged; rollout/consent-policy.ts refuses both at run time too.
 */
import { attributeOf, blocksOf, bodyOf, valueIn } from './access.ts';
import type { Rule } from './check-context.ts';
import { diagnostic } from './diagnostic.ts';
import type { AttributeIr, BodyIr, ProgramIr } from './ir.ts';
import { personKey } from './person.ts';
import { at, didYouMean, listed } from './suggestions.ts';

interface Signing {
  readonly grants: readonly AttributeIr[];
  readonly keys: BodyIr;
}

function signings(program: ProgramIr): readonly Signing[] {
  return blocksOf(program, 'policy').flatMap(({ body }) => {
    const keys = bodyOf(body, 'trusted_keys');
    if (keys === undefined || keys.open) return [];
    return [{ grants: bodyOf(body, 'grants')?.attributes ?? [], keys }];
  });
}

const checkSigners: Rule = (program) =>
  signings(program).flatMap(({ grants, keys }) => {
    const known = keys.attributes.map(({ name }) => name);
    return grants.flatMap(({ body }) => {
      const signer = body && valueIn(body, 'signed_by', 'text');
      if (signer === undefined || known.includes(signer.text)) return [];
      const message = `expected a signer of \`trusted_keys\`, got "${signer.text.slice(0, 120)}": no token could be redeemed`;
      return diagnostic('KW3028', message, at(program, signer), {
        note: `Trusted are ${listed(known)}.`,
        suggestion: didYouMean(signer.text, known, signer.range, true),
      });
    });
  });

/** A warning: it lets nothing through, and the second key may be on its way. */
const checkPeople: Rule = (program) =>
  signings(program).flatMap(({ grants, keys }) => {
    const people = peopleOf(keys);
    if (people === undefined || people.size >= 2) return [];
    return grants.flatMap(({ body }) => {
      const dual = body && valueIn(body, 'dual_control', 'boolean');
      if (dual?.value !== true) return [];
      const message = `\`dual_control true\` expects keys of two people in \`trusted_keys\`, got ${people.size}: nobody could give the second consent`;
      return diagnostic('KW3029', message, at(program, dual), {
        severity: 'warning',
        note: 'A key that is revoked does not count, and two keys of one person are one person.',
      });
    });
  });

/** Undefined where an entry still leaves its person open. */
function peopleOf({ attributes }: BodyIr): ReadonlySet<string> | undefined {
  const valid = attributes.filter(({ body }) => body === undefined || !isRevoked(body));
  const names = valid.map(({ body }) =>
    body === undefined ? undefined : valueIn(body, 'person', 'text')?.text,
  );
  const isOpen = valid.some(({ body }) => body?.open === true || isUnfilled(body));
  if (isOpen) return undefined;
  const known = names.filter((name) => name !== undefined);
  return new Set(known.map(personKey));
}

function isRevoked(body: BodyIr): boolean {
  return valueIn(body, 'revoked', 'boolean')?.value === true;
}

function isUnfilled(body: BodyIr | undefined): boolean {
  return (
    body !== undefined &&
    attributeOf(body, 'person') !== undefined &&
    valueIn(body, 'person', 'text') === undefined
  );
}

export const SIGNER_RULES: readonly Rule[] = [checkSigners, checkPeople];
