/**
 * Makes the brackets of a token stream balance before it is parsed, so that one forgotten brace costs one diagnostic and not
 * the rest of the program.
 * In: the lexer's tokens. Out: the same tokens without stray closers, commas and equals signs, and with the closers that are
 * missing, as tokens of no width; and what was repaired, in order.
 * A list whose items are not separated at the end of a line is not closed there.
 * A block cannot stand inside another one, so `guard NAME {` within a block proves that the block before it was not closed.
 * Does not judge anything else: that is the parser's.
 */
import type { Lexer, LexerResult } from 'langium';
import { programNestingMax } from '../limits.ts';
import { BLOCKS } from './schema.ts';

type Token = LexerResult['tokens'][number];
type TokenTypes = Lexer['definition'];

export interface Repair {
  readonly what: 'not-closed' | 'closes-nothing' | 'comma' | 'equals' | 'too-deep';
  readonly startOffset: number;
  readonly endOffset: number;
  /** For `not-closed`: the missing closer and the offset where it was put. */
  readonly closer?: string;
  readonly insertedOffset?: number;
}

export interface RepairedTokens {
  readonly tokens: Token[];
  readonly repairs: readonly Repair[];
}

const CLOSER: Readonly<Record<string, string>> = { '{': '}', '[': ']', '(': ')' };
const CLOSERS = new Set(Object.values(CLOSER));
const DECLARATIONS = new Set(['apiVersion', 'module', 'import', 'use', 'let', 'export']);

const endOf = (token: Token): number => (token.endOffset ?? token.startOffset) + 1;

class Repairer {
  readonly out: Token[] = [];
  readonly repairs: Repair[] = [];
  readonly #open: Token[] = [];
  readonly #types: TokenTypes;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[], types: TokenTypes) {
    this.#tokens = tokens;
    this.#types = types;
  }

  run(): RepairedTokens {
    for (let at = 0; at < this.#tokens.length; at++) {
      if (this.#open.length > 0 && this.#beginsDeclaration(at)) this.#closeDownTo(0);
      else if (this.#leavesList(at)) this.#closeDownTo(this.#open.length - 1);
      if (!this.#take(this.#tokens[at]!, at)) return { tokens: [], repairs: this.repairs };
    }
    this.#closeDownTo(0);
    return { tokens: this.out, repairs: this.repairs };
  }

  /** False when the nesting is too deep to go on. */
  #take(token: Token, at: number): boolean {
    if (token.image in CLOSER) {
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
    const opener = this.#open.findLastIndex((each) => CLOSER[each.image] === token.image);
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
      return at === 0 || (this.#tokens[at - 1]!.endLine ?? 0) < (token.startLine ?? 0);
    }
    if (!BLOCKS.has(token.image)) return false;
    return this.#tokens[at + 1]?.tokenType.name === 'WORD' && this.#tokens[at + 2]?.image === '{';
  }

  /** Two values in a row, the second one on a new line: the next attribute has begun. */
  #leavesList(at: number): boolean {
    const token = this.#tokens[at]!;
    const before = this.#tokens[at - 1];
    if (this.#open.at(-1)?.image !== '[' || before === undefined) return false;
    if (token.image === ',' || CLOSERS.has(token.image) || before.image === ',' || before.image === '[')
      return false;
    return (before.endLine ?? 0) < (token.startLine ?? 0);
  }

  #closeDownTo(depth: number): void {
    while (this.#open.length > depth) {
      const opener = this.#open.pop()!;
      const closer = CLOSER[opener.image]!;
      const insertedOffset = endOf(this.out.at(-1)!);
      this.out.push(this.#virtual(closer, insertedOffset));
      this.repairs.push({
        what: 'not-closed',
        startOffset: opener.startOffset,
        endOffset: endOf(opener),
        closer,
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
