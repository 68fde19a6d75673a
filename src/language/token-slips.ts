/**
 * Slips that tokens show before anything is parsed: a comma, a value or a brace that is missing, a name too many, a unit apart from its number.
 * In: the lexer's tokens, and where one of them stands. Out: whether it is such a slip. token-repair.ts asks, and mends.
 * Holds: newlines are white space, so a program that can be parsed has none of them, however it is laid out. Time linear in the tokens.
 */
import type { LexerResult } from 'langium';
import { UNITS } from './quantity.ts';
import { attributeNames, BLOCKS } from './schema.ts';

export type Token = LexerResult['tokens'][number];

/** A map, because a program may hold any word: `constructor` is no bracket. */
export const CLOSER: ReadonlyMap<string, string> = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')'],
]);
export const CLOSERS: ReadonlySet<string> = new Set(CLOSER.values());

/** Tokens that are values and never names, and those that may be either. */
const VALUES = new Set(['[', 'NUMBER', 'ADDRESS6', 'REFERENCE', 'BARE_TEXT']);
const NAMES = new Set(['WORD', 'TEXT', 'URI', 'as', 'digest']);

export class TokenSlips {
  readonly #tokens: readonly Token[];
  #lets: ReadonlySet<string> | undefined;
  /** Of each opener: the line on which its closer was looked for last, and the answer. */
  readonly #closings = new Map<Token, { readonly line: number | undefined; readonly is: boolean }>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  beginsLine(at: number): boolean {
    const before = this.#tokens[at - 1];
    return before === undefined || (before.endLine ?? 0) < (this.#tokens[at]!.startLine ?? 0);
  }

  /** Outside of everything: `guard NAME` alone at the beginning of a line, at the name. */
  lacksOpener(at: number): boolean {
    if (!this.#isBlockName(at) || this.#tokens[at + 1]?.image === '{') return false;
    return !this.isSecondName(at + 1);
  }

  /** Outside of everything: `server seed other {`, at the second name. */
  isSecondName(at: number): boolean {
    const second = this.#tokens[at];
    if (second?.tokenType.name !== 'WORD' || this.#tokens[at + 1]?.image !== '{') return false;
    return this.#isBlockName(at - 1) && !this.beginsLine(at);
  }

  #isBlockName(at: number): boolean {
    const kind = this.#tokens[at - 1];
    if (kind === undefined || !BLOCKS.has(kind.image) || !this.beginsLine(at - 1)) return false;
    return this.#tokens[at]?.tokenType.name === 'WORD';
  }

  /**
   * In a body: a name alone on its line, and on the next one an attribute that has all it needs. The next name could be the value, so
   * only where what follows it could then not stand there.
   */
  lacksValue(at: number): boolean {
    const [name, next, value] = [this.#tokens[at]!, this.#tokens[at + 1], this.#tokens[at + 2]];
    if (next === undefined || value === undefined || CLOSERS.has(value.image)) return false;
    if (name.tokenType.name !== 'WORD' || next.tokenType.name !== 'WORD') return false;
    if (!this.beginsLine(at) || !this.beginsLine(at + 1) || this.beginsLine(at + 2)) return false;
    const isValue = VALUES.has(value.tokenType.name) || this.#areAttributes(name, next, value);
    return isValue && this.#isNamePlace(at);
  }

  /** `identity` and, on the next line, `transport quic`: no attribute is called quic, and no value transport. */
  #areAttributes({ image }: Token, next: Token, value: Token): boolean {
    const names = attributeNames();
    if (!names.has(image) || !names.has(next.image) || this.#isLet(next)) return false;
    return value.image === '{' || (NAMES.has(value.tokenType.name) && !names.has(value.image));
  }

  #isLet({ image }: Token): boolean {
    this.#lets ??= new Set(
      this.#tokens.filter((_, at) => this.#tokens[at - 1]?.image === 'let').map((each) => each.image),
    );
    return this.#lets.has(image);
  }

  /** Names and values alternate, counted from the last token that can only be the end of a value or the beginning of a body. */
  #isNamePlace(at: number): boolean {
    let anchor = at - 1;
    while (NAMES.has(this.#tokens[anchor]?.tokenType.name ?? '')) anchor--;
    return (at - anchor) % 2 === 1;
  }

  /** `10 m`, at the unit, and nothing that could be the value of an attribute `m`. */
  isUnitApart(at: number): boolean {
    const [number, unit, next] = [this.#tokens[at - 1], this.#tokens[at]!, this.#tokens[at + 1]];
    if (number === undefined || !UNITS.has(unit.image) || !/^[+-]?[0-9.]+$/.test(number.image)) return false;
    if (number.endLine !== unit.startLine) return false;
    if (next === undefined || next.image === ',' || CLOSERS.has(next.image)) return true;
    return next.startLine !== unit.startLine || (next.tokenType.name === 'WORD' && !this.#isLet(next));
  }

  /** In a list: two values in a row, the second one on a new line: the next attribute has begun. */
  leavesList(at: number): boolean {
    const token = this.#tokens[at]!;
    const before = this.#tokens[at - 1];
    const goesOn = [',', '('].includes(token.image) || CLOSERS.has(token.image);
    if (before === undefined || goesOn || before.image === ',' || before.image === '[') return false;
    return this.beginsLine(at);
  }

  /** In the list of this opener: two items in a row on one line, which also closes the list. */
  lacksComma(at: number, opener: Token): boolean {
    const [before, token] = [this.#tokens[at - 1], this.#tokens[at]!];
    if (before === undefined || !isItem(token) || !endsItem(before)) return false;
    return before.endLine === token.startLine && this.#closesOnLine(at, opener);
  }

  /** Looked for once a list and line: a long list is not searched to its end for each of its items. */
  #closesOnLine(at: number, opener: Token): boolean {
    const line = this.#tokens[at]!.startLine;
    const known = this.#closings.get(opener);
    if (known !== undefined && known.line === line) return known.is;
    const is = this.#closes(at, line);
    this.#closings.set(opener, { line, is });
    return is;
  }

  #closes(at: number, line: number | undefined): boolean {
    for (let next = at, depth = 0; this.#tokens[next]?.startLine === line; next++) {
      const { image } = this.#tokens[next]!;
      if (image === '{' || image === '}') return false;
      if (CLOSER.has(image)) depth++;
      else if (CLOSERS.has(image) && --depth < 0) return true;
    }
    return false;
  }
}

function isItem({ image }: Token): boolean {
  return image === '[' || !(image === ',' || image === '=' || CLOSER.has(image) || CLOSERS.has(image));
}

function endsItem({ image }: Token): boolean {
  return (
    image === ']' || image === ')' || !(image === ',' || image === '=' || CLOSER.has(image) || image === '}')
  );
}
