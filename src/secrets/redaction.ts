/**
 * The last net: replaces every secret that this process has resolved, in texts that leave it for people (logs, errors, crashes).
 * In: text. Out: the same with `[secret]` in the place of a secret, of a line of one (keys in PEM have many), or of either in JSON, base64 or
 * percent encoding. Short secrets cannot be told from words and are not looked for; nothing prints them anyway (secret.ts).
 * One memory a process: a crash is printed by whoever notices it. Holds: never changes a text of a process that resolved nothing.
 */
const PRINTED = '[secret]';
/** Below, the text of a secret occurs in messages by chance. */
const CHARACTERS_MIN = 8;
/** Armour and the like: the same in everybody's keys. */
const ARMOUR = /^-----/;

/** Longest first, so that a whole secret is replaced before a line of it. */
let known: readonly string[] = [];

export function rememberSecret(text: string): void {
  const lines = text.split(/\r?\n/).filter((line) => !ARMOUR.test(line));
  const forms = [text.trim(), ...lines.map((line) => line.trim())].flatMap(formsOf);
  const kept = forms.filter((form) => form.length >= CHARACTERS_MIN && !ARMOUR.test(form));
  known = [...new Set([...known, ...kept])].sort((a, b) => b.length - a.length);
}

function formsOf(text: string): string[] {
  const base64 = Buffer.from(text, 'utf8').toString('base64').replace(/=+$/, '');
  return [text, JSON.stringify(text).slice(1, -1), base64, encodeURIComponent(text)];
}

export function redacted(text: string): string {
  let clean = text;
  for (const secret of known) if (clean.includes(secret)) clean = clean.replaceAll(secret, PRINTED);
  return clean;
}
