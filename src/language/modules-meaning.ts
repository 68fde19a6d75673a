/**
 * What a module says, without how it says it: its exports as JSON.
 * In: the written program of a module, and the digests of what it imports. Out: exports by name, every `let` filled in, every
 * quantity as an exact fraction of its base unit, so that `60m` and `1h` are one meaning; or why it has none.
 * Attributes are a set, lists keep their order. A path through an import's alias becomes the digest behind the alias: another
 * alias is the same meaning, another module behind it is not.
 */
import type { ReadLiteral } from './literals.ts';
import { plainText } from './literals.ts';
import { type Declaration, Names } from './names.ts';
import { type Normal, Normalizer } from './normalize.ts';
import type { Rational } from './quantity.ts';
import type { SourceText } from './source.ts';
import type {
  WrittenAttribute,
  WrittenBlock,
  WrittenBody,
  WrittenName,
  WrittenProgram,
  WrittenValue,
} from './written.ts';

/** Every number is a fraction in lowest terms, `3/1`. */
export type Meaning =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly exact: string }
  | { readonly kind: 'quantity'; readonly dimension: string; readonly exact: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'word'; readonly word: string; readonly let?: Meaning }
  | { readonly kind: 'imported'; readonly digest: string; readonly path: string }
  | { readonly kind: 'block'; readonly name: string }
  | { readonly kind: 'host'; readonly host: string; readonly port?: number }
  | { readonly kind: 'cidr'; readonly address: string; readonly prefixLength: number }
  | { readonly kind: 'date'; readonly date: string }
  | { readonly kind: 'uri'; readonly uri: string }
  | { readonly kind: 'list'; readonly items: readonly Meaning[] }
  | { readonly kind: 'call'; readonly name: string; readonly items: readonly Meaning[] };

export interface EntryMeaning {
  readonly value?: Meaning;
  readonly body?: BodyMeaning;
}
export type BodyMeaning = { readonly [name: string]: EntryMeaning };

export interface ExportMeaning {
  readonly kind: string;
  readonly body: BodyMeaning;
}
export type ExportMeanings = { readonly [name: string]: ExportMeaning };

/** The sentence says what is wrong; `secret` tells the one fault that has a code of its own. */
export class NoMeaning extends Error {
  readonly secret: boolean;

  constructor(message: string, secret = false) {
    super(message);
    this.secret = secret;
  }
}

const exactText = ({ numerator, denominator }: Rational): string => `${numerator}/${denominator}`;

function linesOf(name: { readonly range: WrittenName['range'] }): string {
  return `line ${name.range.start.line}`;
}

class Reader {
  readonly #names: Names;
  readonly #normalizer: Normalizer;
  readonly #importDigests: ReadonlyMap<string, string>;
  readonly #problems: string[] = [];

  constructor(source: SourceText, program: WrittenProgram, importDigests: ReadonlyMap<string, string>) {
    this.#importDigests = importDigests;
    this.#names = new Names(source.file);
    for (const item of program.items) this.#declare(item);
    const lets = program.items.filter((item) => item.kind === 'let');
    this.#normalizer = new Normalizer(source, this.#names, lets, (made) =>
      this.#problems.push(`line ${made.range.start.line}: ${made.message}`),
    );
    this.#throwFirst();
  }

  #declare(item: WrittenProgram['items'][number]): void {
    let declaration: Declaration | undefined;
    if (item.kind === 'let') declaration = { kind: 'let', name: item.name, item };
    if (item.kind === 'block') declaration = { kind: 'block', name: item.name, item };
    if (item.kind === 'import') declaration = { kind: 'alias', name: item.alias, item };
    if (declaration !== undefined && this.#names.declare(declaration) !== undefined) {
      throw new NoMeaning(
        `${linesOf(declaration.name)}: expected each name once, got \`${declaration.name.text}\` again`,
      );
    }
  }

  #throwFirst(): void {
    if (this.#problems[0] !== undefined) throw new NoMeaning(this.#problems[0]);
  }

  block({ kind, blockKind, name, exported, body }: WrittenBlock): [string, ExportMeaning] {
    if (!exported) {
      throw new NoMeaning(
        `${linesOf(name)}: expected \`export ${blockKind.text} ${name.text}\`, got a ${kind} that nobody can import`,
      );
    }
    return [name.text, { kind: blockKind.text, body: this.#body(body) }];
  }

  #body(body: WrittenBody): BodyMeaning {
    const entries = new Map<string, EntryMeaning>();
    for (const entry of body.entries) {
      if (entry.kind === 'omission')
        throw new NoMeaning(`${linesOf(entry)}: expected a whole module, got a hole`);
      const name = nameOf(entry);
      if (entries.has(name))
        throw new NoMeaning(`${linesOf(entry.name)}: expected each attribute once, got \`${name}\` again`);
      entries.set(name, this.#entry(entry));
    }
    return Object.fromEntries(entries);
  }

  #entry({ value, body }: WrittenAttribute): EntryMeaning {
    return {
      ...(value === undefined ? {} : { value: this.#written(value) }),
      ...(body === undefined ? {} : { body: this.#body(body) }),
    };
  }

  #written(value: WrittenValue): Meaning {
    const normal = this.#normalizer.value(value);
    this.#throwFirst();
    return this.#value(normal);
  }

  #value(normal: Normal): Meaning {
    switch (normal.kind) {
      case 'list':
        return { kind: 'list', items: normal.items.map((item) => this.#value(item)) };
      case 'call':
        return { kind: 'call', name: normal.name.text, items: normal.items.map((item) => this.#value(item)) };
      case 'block':
        return { kind: 'block', name: normal.declaration.name.text };
      case 'wrong':
        throw new NoMeaning(`${linesOf(normal)}: expected a value that can be read`);
      case 'literal':
        return this.#literal(normal.literal, normal);
    }
  }

  #literal(literal: ReadLiteral, place: Normal): Meaning {
    switch (literal.kind) {
      case 'text':
        return { kind: 'text', text: literal.parts.map((part) => part.text).join('') };
      case 'number':
        return { kind: 'number', exact: exactText(literal.exact) };
      case 'quantity':
        return { kind: 'quantity', dimension: literal.dimension, exact: exactText(literal.exact) };
      case 'uri':
        return { kind: 'uri', uri: literal.uri };
      case 'word':
        return this.#word(literal.word, place);
      case 'boolean':
      case 'host':
      case 'cidr':
      case 'date':
        return literal;
      case 'secret':
        throw new NoMeaning(`${linesOf(place)}: expected an export without secrets, got one`, true);
      case 'hole':
      case 'interpolation':
        throw new NoMeaning(`${linesOf(place)}: expected a whole module, got a hole`);
    }
  }

  /** A bare word may be the name of a `let`, where the attribute takes no words: then its value is part of the meaning. */
  #word(word: string, place: Normal): Meaning {
    const [alias = '', ...path] = word.split('.');
    const digest = this.#importDigests.get(alias);
    if (digest !== undefined && path.length > 0) return { kind: 'imported', digest, path: path.join('.') };
    if (place.used !== undefined) return { kind: 'word', word };
    const named = this.#normalizer.letAt(word, place.range);
    return named === undefined ? { kind: 'word', word } : { kind: 'word', word, let: this.#value(named) };
  }
}

function nameOf({ name }: WrittenAttribute): string {
  if (!name.text.startsWith('"')) return name.text;
  const text = plainText({ kind: 'atom', form: 'text', text: name.text, range: name.range });
  if (text === undefined)
    throw new NoMeaning(`${linesOf(name)}: expected a plain name, got \`${name.text}\``);
  return text;
}

/** @throws NoMeaning  the module is not whole. `importDigests` are by alias. */
export function exportsOf(
  source: SourceText,
  program: WrittenProgram,
  importDigests: ReadonlyMap<string, string>,
): ExportMeanings {
  const reader = new Reader(source, program, importDigests);
  const blocks = program.items.filter((item) => item.kind === 'block');
  return Object.fromEntries(blocks.map((block) => reader.block(block)));
}
