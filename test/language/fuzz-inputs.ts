/**
 * Texts that nobody would write: the examples, standard modules and pages of `explain`, mutated, and soups of their pieces.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { CODES } from '../../src/language/codes.ts';
import type { Random } from '../../src/random.ts';

const root = new URL('../../', import.meta.url);

function programsIn(folder: string): readonly string[] {
  const names = readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.kwam'));
  return names.sort().map((name) => readFileSync(new URL(`${folder}${name}`, root), 'utf8'));
}

const EXAMPLES = programsIn('examples/');
const OTHERS = [
  ...programsIn('std/'),
  ...programsIn('test/language/golden/'),
  ...[...CODES.values()]
    .flatMap(({ failing, passing }) => [failing, passing])
    .filter((text) => text.length < 4000),
];
/** The declarations of the examples, each by itself: a mutant of a few of them is as good as one of all, and ten times quicker. */
const DECLARATIONS = EXAMPLES.flatMap((text) =>
  text.split(/^(?=(?:import|use|let|[a-z]+ [a-z_0-9]+ \{))/m).filter((part) => part.trim() !== ''),
);
const PIECES = EXAMPLES.flatMap(
  (text) => text.match(/#[^\n]*\n|"[^"\n]*"|\$\{\w+\}|[\w.:/*-]+|\s+|[^\w\s]/g) ?? [],
);
const SOUP = [
  String.fromCharCode(0xd800),
  ...'{}[](),=#"$<>…\\\n\u0000\u{1F600}\r\t;:\'+-*/@',
  '${',
  '...',
  '://',
  'let ',
  'use ',
  'import ',
  'digest ',
  ' as ',
  'apiVersion ',
  'module "acme/x"\n',
  'export ',
  'rs(',
  'secret://',
  '"${a}"',
  'profile p {',
  'let a = ${a}\n',
  '999999999999999999999999999999y',
  '0.0000001b',
  'guard g { mtbf {',
  '# … omitted …\n',
  'keys/ca.pem',
  'sha256:9f3a',
  ' 10 m\n',
  'constructor',
  '__proto__',
  '\u2028',
  '\uFEFF',
];

/** What other systems and editors make of a text. */
const LAYOUTS: readonly ((text: string) => string)[] = [
  (text) => text.replaceAll('\n', '\r\n'),
  (text) => text.replaceAll('\n', '\r'),
  (text) => `\uFEFF${text}`,
  (text) => text.replaceAll('  ', '\t'),
  (text) => text.replaceAll('#', '# \u202E\u{1F600}e\u0301'),
];

export class FuzzInputs {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    const text = this.#written();
    return this.#below(8) === 0 ? this.#pick(LAYOUTS)(text) : text;
  }

  #written(): string {
    const kind = this.#below(16);
    if (kind < 5) return this.#soup();
    if (kind < 6) return this.#mutated(this.#pick(EXAMPLES));
    if (kind < 8) return this.#mutated(this.#pick(OTHERS));
    return this.#mutated(this.#excerpt());
  }

  #excerpt(): string {
    const parts = Array.from({ length: 1 + this.#below(3) }, () => this.#pick(DECLARATIONS));
    return `apiVersion "kwam.dev/v0.2"\n${parts.join('')}`;
  }

  #below(bound: number): number {
    return this.#random.below(bound);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }

  #mutated(text: string): string {
    let mutant = text;
    for (let left = 1 + this.#below(6); left > 0; left--) {
      const at = this.#below(mutant.length + 1);
      const to = at + this.#below(this.#pick([2, 20, 200]));
      const inserts = ['', this.#pick(SOUP), this.#pick(PIECES), mutant.slice(at, to)];
      mutant = mutant.slice(0, at) + this.#pick(inserts) + mutant.slice(this.#below(2) === 0 ? at : to);
    }
    return mutant;
  }

  #soup(): string {
    const pieces = Array.from({ length: this.#below(60) }, () =>
      this.#pick(this.#below(3) === 0 ? SOUP : PIECES),
    );
    return pieces.join(this.#below(2) === 0 ? '' : ' ');
  }
}
