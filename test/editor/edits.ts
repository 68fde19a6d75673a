/** Random edits as an editor sends them, of texts that somebody is in the middle of writing. */
import { readFileSync } from 'node:fs';
import type { Random } from '../../src/random.ts';

export const EXAMPLES = ['tour.kwam', 'h100.kwam'].map((name) =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8'),
);

/** What people type, what they paste, and what breaks things: half pairs of UTF-16, every line's end, marks that open and never close. */
const PIECES = [
  ...'{}[](),="$<>…#\\ \n\r\t',
  '\r\n',
  '\u{1F600}',
  '\uD83D',
  '${',
  '${fanout}',
  '"',
  'let x = ',
  'use fd.',
  'import "std/',
  'profile p { ',
  'guard g { mtbf { node ',
  'bake 10',
  'secret://vault/x',
  '…',
  '...',
  '<later>',
  'export domains d { az { } }\n',
];

export interface OffsetEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export function randomEdit(random: Random, text: string): OffsetEdit {
  const start = random.below(text.length + 1);
  const span = [0, 0, 1, 12, 200][random.below(5)]!;
  const end = Math.min(text.length, start + random.below(span + 1));
  const pasted = text.slice(start, start + random.below(80));
  const inserted = [PIECES[random.below(PIECES.length)]!, pasted, ''][random.below(3)]!;
  return { start, end, text: inserted };
}

export function apply(text: string, { start, end, text: inserted }: OffsetEdit): string {
  return text.slice(0, start) + inserted + text.slice(end);
}
