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
import type { Lexer } from 'langium';
import { programNestingMax } from '../limits.ts';
import { BLOCKS } from './schema.ts';
import { CLOSER, CLOSERS, type Token, TokenSlips } from './token-slips.ts';

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

/** After these a declaration is not over. */
const UNFINISHED = new Set(['apiVersion', 'module', 'import', 'as', 'digest', 'use', 'let', '=', 'export']);
/** Ordinary words outside of an import. */
const IMPORT_WORDS = new Set(['as', 'digest']);
const DECLARATIONS = new Set(['apiVersion', 'module', 'import', 'use', 'let', 'export']);

const endOf = (token: Token): number => (token.endOffset ?? token.startOffset) + 1;

class Repairer {
  readonly out: Token[] = [];
  readonly repairs: Repair[] = [];
  readonly #open: Token[] = [];
  #declarationStart = 0;
  readonly #slips: TokenSlips;
  readonly #types: TokenTypes;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[], types: TokenTypes) {
    this.#tokens = tokens;
    this.#slips = new TokenSlips(tokens);
    this.#types = types;
  }

  run(): RepairedTokens {
    for (let at = 0; at < this.#tokens.length; at++) {
      if (this.#beginsDeclaration(at)) this.#endDeclaration(at);
      else if (this.#inside === '[' && this.#slips.leavesList(at)) this.#closeDownTo(this.#open.length - 1);
      if (this.#isMended(at)) continue;
      if (!this.#take(this.#tokens[at]!, at)) return { tokens: [], repairs: this.repairs };
      if (this.#inside === undefined && this.#slips.lacksOpener(at)) this.#openBlock(at);
    }
    this.#endDeclaration(this.#tokens.length);
    return { tokens: this.out, repairs: this.repairs };
  }

  get #inside(): string | undefined {
    return this.#open.at(-1)?.image;
  }

  /** True where the token has become part of the one before it, or is left out. */
  #isMended(at: number): boolean {
    const [token, inside] = [this.#tokens[at]!, this.#inside];
    const isNext = this.out.at(-1) === this.#tokens[at - 1];
    if (isNext && this.#slips.isUnitApart(at)) {
      this.#joinNumber(at);
      return true;
    }
    if (inside === '{' && this.#slips.lacksValue(at)) return this.#note('no-value', token);
    if (inside === undefined && this.#slips.isSecondName(at)) return this.#note('second-name', token);
    const isInList = inside === '[' || inside === '(';
    if (isInList && isNext && this.#slips.lacksComma(at, this.#open.at(-1)!)) this.#addComma(at);
    return false;
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
    const inside = this.#inside;
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

  #joinNumber(at: number): void {
    const [number, unit] = [this.#tokens[at - 1]!, this.#tokens[at]!];
    // The image keeps the length of what is written, because places are computed from it.
    const written = number.image.padEnd(unit.startOffset - number.startOffset) + unit.image;
    this.out[this.out.length - 1] = { ...number, image: written, endOffset: endOf(unit) - 1 };
    this.repairs.push({
      what: 'space-in-quantity',
      startOffset: number.startOffset,
      endOffset: endOf(unit),
      missing: `${number.image}${unit.image}`,
    });
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
