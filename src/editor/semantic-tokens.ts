/**
 * Semantic tokens: what each word is.
 * In: a compiled program. Out: tokens in the order of the text, none over another, none over a line's end.
 * The written program gives the shape, the IR gives the meaning; where something has no meaning yet its shape is coloured all the same.
 */
import type { Compiled } from '../language/compile.ts';
import type {
  WrittenAtom,
  WrittenBody,
  WrittenImport,
  WrittenItem,
  WrittenName,
  WrittenValue,
} from '../language/written.ts';
import { nameRangeOf } from './names.ts';

/** Names of the language server protocol, section "Semantic Tokens". */
export const TOKEN_TYPES = [
  'comment',
  'keyword',
  'namespace',
  'class',
  'variable',
  'property',
  'enumMember',
  'function',
  'number',
  'string',
  'macro',
] as const;
export type TokenType = (typeof TOKEN_TYPES)[number];

export const TOKEN_MODIFIERS = ['declaration'] as const;

export interface SemanticToken {
  readonly start: number;
  readonly end: number;
  readonly type: TokenType;
  readonly isDeclaration: boolean;
}

type Tokens = readonly SemanticToken[];

function token(start: number, end: number, type: TokenType, isDeclaration = false): Tokens {
  return end > start ? [{ start, end, type, isDeclaration }] : [];
}

function nameToken({ range }: WrittenName, type: TokenType, isDeclaration = false): Tokens {
  return token(range.start.offset, range.end.offset, type, isDeclaration);
}

class Painter {
  readonly #text: string;
  /** Uses of names by where they begin. */
  readonly #names: ReadonlyMap<number, SemanticToken>;

  constructor(text: string, names: ReadonlyMap<number, SemanticToken>) {
    this.#text = text;
    this.#names = names;
  }

  #keyword(start: number, word: string): Tokens {
    return this.#text.startsWith(word, start) ? token(start, start + word.length, 'keyword') : [];
  }

  item(item: WrittenItem): Tokens {
    const start = item.range.start.offset;
    switch (item.kind) {
      case 'apiVersion':
        return [...this.#keyword(start, 'apiVersion'), ...this.#value(item.version)];
      case 'module':
        return [...this.#keyword(start, 'module'), ...this.#value(item.name)];
      case 'import':
        return this.#import(item);
      case 'use':
        return [...this.#keyword(start, 'use'), ...this.#path(item.path)];
      case 'let':
        return [
          ...this.#keyword(start, 'let'),
          ...nameToken(item.name, 'variable', true),
          ...this.#value(item.value),
        ];
      case 'block':
        return [
          ...(item.exported ? this.#keyword(start, 'export') : []),
          ...nameToken(item.blockKind, 'keyword'),
          ...nameToken(item.name, 'class', true),
          ...this.#body(item.body),
        ];
    }
  }

  #import({ range, module, alias, digest }: WrittenImport): Tokens {
    return [
      ...this.#keyword(range.start.offset, 'import'),
      ...this.#value(module),
      ...this.#lastWord('as', module.range.end.offset, alias.range.start.offset),
      ...nameToken(alias, 'namespace', true),
      ...(digest === undefined
        ? []
        : [
            ...this.#lastWord('digest', alias.range.end.offset, digest.range.start.offset),
            ...this.#value(digest),
          ]),
    ];
  }

  #lastWord(word: string, from: number, to: number): Tokens {
    const at = this.#text.slice(from, to).lastIndexOf(word);
    return at < 0 ? [] : this.#keyword(from + at, word);
  }

  #path({ text, range }: WrittenName): Tokens {
    const [start, end] = [range.start.offset, range.end.offset];
    const dot = text.indexOf('.');
    if (dot < 0) return token(start, end, 'namespace');
    return [...token(start, start + dot, 'namespace'), ...token(start + dot + 1, end, 'class')];
  }

  #body({ entries }: WrittenBody): Tokens {
    return entries.flatMap((entry) => {
      if (entry.kind === 'omission') return token(entry.range.start.offset, entry.range.end.offset, 'macro');
      return [
        ...nameToken(entry.name, entry.name.text.startsWith('"') ? 'string' : 'property'),
        ...(entry.value === undefined ? [] : this.#value(entry.value)),
        ...(entry.body === undefined ? [] : this.#body(entry.body)),
      ];
    });
  }

  #value(value: WrittenValue): Tokens {
    if (value.kind === 'atom') return this.#atom(value);
    const items = value.items.flatMap((item) => this.#value(item));
    return value.kind === 'call' ? [...nameToken(value.name, 'function'), ...items] : items;
  }

  #atom(atom: WrittenAtom): Tokens {
    const [start, end] = [atom.range.start.offset, atom.range.end.offset];
    switch (atom.form) {
      case 'text':
      case 'open-text':
      case 'bare-text':
        return this.#string(start, end);
      case 'uri':
        return token(start, end, 'string');
      case 'number':
        return token(start, end, /[:/]/.test(atom.text) ? 'string' : 'number');
      case 'hole':
        return token(start, end, 'macro');
      case 'interpolation':
        return this.#interpolation(start, end);
      case 'word':
        return token(start, end, this.#wordType(atom.text, start));
    }
  }

  #wordType(text: string, start: number): TokenType {
    if (text === 'true' || text === 'false') return 'keyword';
    return this.#names.get(start)?.type ?? 'enumMember';
  }

  #interpolation(start: number, end: number): Tokens {
    const names = this.#namesIn(start, end);
    return names.length === 0 ? token(start, end, 'variable') : names;
  }

  /** The names in a string, and what is around them. */
  #string(start: number, end: number): Tokens {
    const names = this.#namesIn(start, end);
    const ends = [start, ...names.map((name) => name.end)];
    const around = ends.flatMap((from, at) => token(from, names[at]?.start ?? end, 'string'));
    return [...names, ...around];
  }

  #namesIn(start: number, end: number): Tokens {
    const names: SemanticToken[] = [];
    for (let at = start; at < end; at++) {
      const name = this.#names.get(at);
      if (name !== undefined) names.push(name);
    }
    return names;
  }
}

function typesOfNames({ program }: Compiled): ReadonlyMap<string, TokenType> {
  return new Map<string, TokenType>([
    ...program.imports.map(({ alias }) => [alias, 'namespace'] as const),
    ...program.blocks.map(({ name }) => [name, 'class'] as const),
    ...program.lets.map(({ name }) => [name, 'variable'] as const),
  ]);
}

function usesByStart(compiled: Compiled): ReadonlyMap<number, SemanticToken> {
  const types = typesOfNames(compiled);
  const { source, program } = compiled;
  return new Map(
    program.nameUses.map((use) => {
      const { start, end } = nameRangeOf(source, use);
      const type = types.get(use.target.name) ?? 'class';
      return [start.offset, { start: start.offset, end: end.offset, type, isDeclaration: false }];
    }),
  );
}

function commentTokens({ parsed }: Compiled): Tokens {
  return parsed.comments.flatMap(({ text, startOffset }) =>
    token(startOffset, startOffset + text.length, 'comment'),
  );
}

export function semanticTokens(compiled: Compiled): Tokens {
  const painter = new Painter(compiled.source.text, usesByStart(compiled));
  const items = compiled.parsed.program.items.flatMap((item) => painter.item(item));
  const sorted = [...items, ...commentTokens(compiled)].sort(
    (left, right) => left.start - right.start || left.end - right.end,
  );
  let free = 0;
  return sorted.filter(({ start, end }) => {
    const isFree = start >= free;
    if (isFree) free = end;
    return isFree;
  });
}
