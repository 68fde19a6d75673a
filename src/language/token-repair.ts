/**
 * Makes the brackets of a token stream balance before it is parsed, so that one forgotten brace costs one diagnostic and not
 * the rest of the program.
 * In: the lexer's tokens. Out: the same tokens without stray closers, commas and equals signs, and with the closers that are
 * missing, as tokens of no width; and what was repaired, in order.
 * A declaration that ends in the middle, before the next one begins, is left out; a block without its `{` gets one.
 * A list whose items are not separated at the end of a line is not closed there.
 * Two items of a list without a comma between them get one; a unit after a space joins its number.
 * A name alone on its line, before the next attribute's, lacks its value and is left out; so is a second name of a block.
 * A block cannot stand inside another one, so `guard NAME {` within a block proves that the block before it was not closed.
 * Does not judge anything else: that is the parser's.
 */
import type { Lexer, LexerResult } from 'langium';
import { programNestingMax } from '../limits.ts';
import { UNITS } from './quantity.ts';
import { attributeNames, BLOCKS } from './schema.ts';

type Token = LexerResult['tokens'][number];
type TokenTypes = Lexer['definition'];

export interface Repair {
  readonly what:
    | 'not-closed'
    | 'not-opened'
    | 'second-name'
    | 'no-value'
    | 'closes-nothing'
    | 'space-in-quantity'
    | 'no-comma'
    | 'comma'
    | 'equals'
    | 'incomplete'
    | 'too-deep';
  readonly startOffset: number;
  readonly endOffset: number;
  /** For `not-closed` and `not-opened`: what is missing, and the offset where it was put. */
  readonly missing?: string;
  readonly insertedOffset?: number;
}

export interface RepairedTokens {
  readonly tokens: Token[];
  readonly repairs: readonly Repair[];
}

/** A map, because a program may hold any word: `constructor` is no bracket. */
const CLOSER: ReadonlyMap<string, string> = new Map([
  ['{', '}'],
  ['[', ']'],
  ['(', ')'],
]);
const CLOSERS = new Set(CLOSER.values());
/** After these a declaration is not over. */
const UNFINISHED = new Set(['apiVersion', 'module', 'import', 'as', 'digest', 'use', 'let', '=', 'export']);
/** Ordinary words outside of an import. */
const IMPORT_WORDS = new Set(['as', 'digest']);
const DECLARATIONS = new Set(['apiVersion', 'module', 'import', 'use', 'let', 'export']);

/** Tokens that are values and never names, and those that may be either. */
const VALUES = new Set(['[', 'NUMBER', 'ADDRESS6', 'REFERENCE', 'BARE_TEXT']);
const NAMES = new Set(['WORD', 'TEXT', 'URI', 'as', 'digest']);

const endOf = (token: Token): number => (token.endOffset ?? token.startOffset) + 1;

class Repairer {
  readonly out: Token[] = [];
  readonly repairs: Repair[] = [];
  readonly #open: Token[] = [];
  #declarationStart = 0;
  #lets: ReadonlySet<string> | undefined;
  readonly #types: TokenTypes;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[], types: TokenTypes) {
    this.#tokens = tokens;
    this.#types = types;
  }

  run(): RepairedTokens {
    for (let at = 0; at < this.#tokens.length; at++) {
      if (this.#beginsDeclaration(at)) this.#endDeclaration(at);
      else if (this.#leavesList(at)) this.#closeDownTo(this.#open.length - 1);
      if (this.#joinsNumber(at) || this.#lacksValue(at) || this.#isSecondName(at)) continue;
      if (this.#lacksComma(at)) this.#addComma(at);
      if (!this.#take(this.#tokens[at]!, at)) return { tokens: [], repairs: this.repairs };
      if (this.#lacksOpener(at)) this.#openBlock(at);
    }
    this.#endDeclaration(this.#tokens.length);
    return { tokens: this.out, repairs: this.repairs };
  }

  /** False when the nesting is too deep to go on. */
  #take(token: Token, at: number): boolean {
    if (CLOSER.has(token.image)) {
      this.#open.push(token);
      if (this.#open.length > programNestingMax) return this.#refuseDepth(token);
    } else if (CLOSERS.has(token.image)) {
      if (!this.#close(token)) return true;
    } else if (this.#isStray(token, at)) {
      return true;
    }
    this.out.push(token);
    return true;
  }

  #refuseDepth(token: Token): false {
    this.repairs.length = 0;
    this.#note('too-deep', token);
    return false;
  }

  #close(token: Token): boolean {
    const opener = this.#open.findLastIndex((each) => CLOSER.get(each.image) === token.image);
    if (opener < 0) {
      this.#note('closes-nothing', token);
      return false;
    }
    this.#closeDownTo(opener + 1);
    this.#open.pop();
    return true;
  }

  #isStray(token: Token, at: number): boolean {
    const inside = this.#open.at(-1)?.image;
    if (token.image === ',' && inside !== '[' && inside !== '(') return this.#note('comma', token);
    if (token.image === '=' && this.#tokens[at - 2]?.image !== 'let') return this.#note('equals', token);
    return false;
  }

  #beginsDeclaration(at: number): boolean {
    const token = this.#tokens[at]!;
    if (DECLARATIONS.has(token.image)) {
      return this.#open.length === 0 || (this.#tokens[at - 1]!.endLine ?? 0) < (token.startLine ?? 0);
    }
    if (!BLOCKS.has(token.image)) return false;
    return this.#tokens[at + 1]?.tokenType.name === 'WORD' && this.#tokens[at + 2]?.image === '{';
  }

  /** At the next declaration, or at the end. */
  #endDeclaration(at: number): void {
    this.#closeDownTo(0);
    const last = this.out.at(-1);
    const before = this.#tokens[at - 1];
    const first = this.out[this.#declarationStart];
    const isWord = IMPORT_WORDS.has(last?.image ?? '') && first?.image !== 'import';
    if (last === undefined || last !== before || !UNFINISHED.has(last.image) || isWord) {
      this.#declarationStart = this.out.length;
      return;
    }
    if (last.image === 'export' && BLOCKS.has(this.#tokens[at]?.image ?? '')) return;
    const startOffset = first?.startOffset ?? last.startOffset;
    this.repairs.push({ what: 'incomplete', startOffset, endOffset: endOf(last) });
    this.out.length = Math.min(this.#declarationStart, this.out.length);
  }

  /** `guard NAME` alone at the beginning of a line, outside of everything. */
  #lacksOpener(at: number): boolean {
    const kind = this.#tokens[at - 1];
    if (this.#open.length > 0 || kind === undefined || !BLOCKS.has(kind.image)) return false;
    if (this.#tokens[at]!.tokenType.name !== 'WORD' || this.#tokens[at + 1]?.image === '{') return false;
    return this.#beginsLine(at - 1) && !this.#hasSecondName(at);
  }

  #beginsLine(at: number): boolean {
    const before = this.#tokens[at - 1];
    return before === undefined || (before.endLine ?? 0) < (this.#tokens[at]!.startLine ?? 0);
  }

  /** `server seed other {`, at the first name. */
  #hasSecondName(at: number): boolean {
    const [name, second, opener] = this.#tokens.slice(at, at + 3);
    return second?.tokenType.name === 'WORD' && opener?.image === '{' && second.startLine === name!.startLine;
  }

  #isSecondName(at: number): boolean {
    const kind = this.#tokens[at - 2];
    if (this.#open.length > 0 || kind === undefined || !BLOCKS.has(kind.image)) return false;
    if (this.#tokens[at - 1]!.tokenType.name !== 'WORD' || !this.#beginsLine(at - 2)) return false;
    return this.#hasSecondName(at - 1) && this.#note('second-name', this.#tokens[at]!);
  }

  /**
   * A name alone on its line, and on the next one an attribute that has all it needs: the first has no value. Newlines are white space, so
   * only where the next name cannot be the value: what follows it could then not stand there.
   */
  #lacksValue(at: number): boolean {
    const [name, next, value] = this.#tokens.slice(at, at + 3);
    if (this.#open.at(-1)?.image !== '{' || value === undefined || CLOSERS.has(value.image)) return false;
    if (name!.tokenType.name !== 'WORD' || next!.tokenType.name !== 'WORD') return false;
    if (!this.#beginsLine(at) || !this.#beginsLine(at + 1) || this.#beginsLine(at + 2)) return false;
    const isValue = VALUES.has(value.tokenType.name) || this.#areAttributes(name!, next!, value);
    return isValue && this.#isNamePlace(at) && this.#note('no-value', name!);
  }

  /** `identity` and, on the next line, `transport quic`: no attribute is called quic, and no value transport. */
  #areAttributes({ image }: Token, next: Token, value: Token): boolean {
    const names = attributeNames();
    if (!names.has(image) || !names.has(next.image) || this.#letNames().has(next.image)) return false;
    return value.image === '{' || (NAMES.has(value.tokenType.name) && !names.has(value.image));
  }

  #letNames(): ReadonlySet<string> {
    this.#lets ??= new Set(
      this.#tokens.filter((_, at) => this.#tokens[at - 1]?.image === 'let').map(({ image }) => image),
    );
    return this.#lets;
  }

  /** Names and values alternate, counted from the last token that can only be the end of a value or the beginning of a body. */
  #isNamePlace(at: number): boolean {
    let anchor = at - 1;
    while (NAMES.has(this.#tokens[anchor]?.tokenType.name ?? '')) anchor--;
    return (at - anchor) % 2 === 1;
  }

  #openBlock(at: number): void {
    const name = this.#tokens[at]!;
    const insertedOffset = endOf(name);
    const opener = this.#virtual('{', insertedOffset);
    this.out.push(opener);
    this.#open.push({ ...opener, image: '{' });
    const startOffset = this.#tokens[at - 1]!.startOffset;
    this.repairs.push({
      what: 'not-opened',
      startOffset,
      endOffset: insertedOffset,
      missing: '{',
      insertedOffset,
    });
  }

  /** Two values in a row, the second one on a new line: the next attribute has begun. */
  #leavesList(at: number): boolean {
    const token = this.#tokens[at]!;
    const before = this.#tokens[at - 1];
    if (this.#open.at(-1)?.image !== '[' || before === undefined) return false;
    const goesOn = [',', '('].includes(token.image) || CLOSERS.has(token.image);
    if (goesOn || before.image === ',' || before.image === '[') return false;
    return (before.endLine ?? 0) < (token.startLine ?? 0);
  }

  /** `10 m`, and nothing that could be the value of an attribute `m`: it can only be the unit. */
  #joinsNumber(at: number): boolean {
    const [number, unit, next] = [this.#tokens[at - 1], this.#tokens[at]!, this.#tokens[at + 1]];
    if (number === undefined || number !== this.out.at(-1) || !/^[+-]?[0-9.]+$/.test(number.image))
      return false;
    if (!UNITS.has(unit.image) || number.endLine !== unit.startLine) return false;
    const ends =
      next === undefined ||
      next.image === ',' ||
      CLOSERS.has(next.image) ||
      (next.tokenType.name === 'WORD' && !this.#letNames().has(next.image)) ||
      next.startLine !== unit.startLine;
    if (!ends) return false;
    // The image keeps the length of what is written, because places are computed from it.
    const written = number.image.padEnd(unit.startOffset - number.startOffset) + unit.image;
    this.out[this.out.length - 1] = { ...number, image: written, endOffset: endOf(unit) - 1 };
    this.repairs.push({
      what: 'space-in-quantity',
      startOffset: number.startOffset,
      endOffset: endOf(unit),
      missing: `${number.image}${unit.image}`,
    });
    return true;
  }

  /** Two items in a row on one line, in a list that the same line closes. */
  #lacksComma(at: number): boolean {
    const token = this.#tokens[at]!;
    const before = this.#tokens[at - 1];
    if (before === undefined || this.out.at(-1) !== before) return false;
    if (
      !['[', '('].includes(this.#open.at(-1)?.image ?? '') ||
      !this.#isItem(token) ||
      !this.#endsItem(before)
    )
      return false;
    return before.endLine === token.startLine && this.#closesOnLine(at);
  }

  #isItem({ image }: Token): boolean {
    return image === '[' || !(image === ',' || image === '=' || CLOSER.has(image) || CLOSERS.has(image));
  }

  #endsItem({ image }: Token): boolean {
    return (
      image === ']' ||
      image === ')' ||
      !(image === ',' || image === '=' || CLOSER.has(image) || image === '}')
    );
  }

  #closesOnLine(at: number): boolean {
    const line = this.#tokens[at]!.startLine;
    for (let next = at, depth = 0; this.#tokens[next]?.startLine === line; next++) {
      const { image } = this.#tokens[next]!;
      if (image === '{' || image === '}') return false;
      if (CLOSER.has(image)) depth++;
      else if (CLOSERS.has(image) && --depth < 0) return true;
    }
    return false;
  }

  #addComma(at: number): void {
    const insertedOffset = endOf(this.#tokens[at - 1]!);
    this.out.push(this.#virtual(',', insertedOffset));
    const { startOffset } = this.#tokens[at]!;
    this.repairs.push({
      what: 'no-comma',
      startOffset,
      endOffset: endOf(this.#tokens[at]!),
      missing: ',',
      insertedOffset,
    });
  }

  #closeDownTo(depth: number): void {
    while (this.#open.length > depth) {
      const opener = this.#open.pop()!;
      const closer = CLOSER.get(opener.image)!;
      const insertedOffset = endOf(this.out.at(-1)!);
      this.out.push(this.#virtual(closer, insertedOffset));
      this.repairs.push({
        what: 'not-closed',
        startOffset: opener.startOffset,
        endOffset: endOf(opener),
        missing: closer,
        insertedOffset,
      });
    }
  }

  /** `isInsertedInRecovery` keeps it out of the concrete syntax tree. */
  #virtual(image: string, offset: number): Token {
    const before = this.out.at(-1)!;
    const tokenType = this.#types[image]!;
    return {
      ...before,
      image: '',
      startOffset: offset,
      endOffset: offset - 1,
      tokenType,
      tokenTypeIdx: tokenType.tokenTypeIdx!,
      isInsertedInRecovery: true,
    };
  }

  #note(what: Repair['what'], token: Token): true {
    this.repairs.push({ what, startOffset: token.startOffset, endOffset: endOf(token) });
    return true;
  }
}

export function repairTokens(tokens: readonly Token[], types: TokenTypes): RepairedTokens {
  return new Repairer(tokens, types).run();
}
