/**
 * Reads JSON from bytes, strictly and without building a tree: the caller says what must come next.
 * In: UTF-8 bytes. Out: the values asked for, and views of string contents. A string of hundreds of megabytes costs nothing.
 * Source: RFC 8259, narrowed by I-JSON (RFC 7493): no lone surrogates, no invalid UTF-8, safe integers only.
 * Holds: nothing is skipped unseen; every failure names the byte position. Numbers are integers in canonical form.
 */
import { sameBytes } from '../digest.ts';
import { type ErrorCode, KwamError } from '../errors.ts';
import { canonicalString } from './canonical-json.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

export class JsonCursor {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #code: ErrorCode;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  position = 0;

  /** `what` and `code` name the document in the errors. */
  constructor(bytes: Uint8Array, what: string, code: ErrorCode) {
    this.#bytes = bytes;
    this.#what = what;
    this.#code = code;
  }

  fail(expected: string): never {
    const byte = this.#bytes[this.position];
    const got = byte === undefined ? 'the end' : JSON.stringify(String.fromCharCode(byte));
    throw new KwamError(
      this.#code,
      `${this.#what}: expected ${expected}, got ${got} at byte ${this.position}; do not use it, fetch it again`,
      { context: { position: this.position } },
    );
  }

  skipSpaces(): void {
    while (SPACES.has(this.#bytes[this.position]!)) this.position++;
  }

  /** Passes over exactly this ASCII text. */
  expect(text: string): void {
    if (!this.accept(text)) this.fail(JSON.stringify(text));
  }

  /** Passes over this ASCII text when it comes next. */
  accept(text: string): boolean {
    if (!this.at(text)) return false;
    this.position += text.length;
    return true;
  }

  at(text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[this.position + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  expectEnd(): void {
    if (this.position !== this.#bytes.length) this.fail('the end');
  }

  /** A safe integer in canonical form: no sign of plus, no leading zero, no fraction, no minus zero. */
  integer(): number {
    const start = this.position;
    const negative = this.#bytes[start] === MINUS;
    if (negative) this.position++;
    const first = this.#bytes[this.position]!;
    let value = 0;
    let byte = first;
    while (byte >= ZERO && byte <= NINE && value <= Number.MAX_SAFE_INTEGER) {
      value = value * 10 + (byte - ZERO);
      byte = this.#bytes[++this.position]!;
    }
    const digits = this.position - start - (negative ? 1 : 0);
    const padded = first === ZERO && (digits > 1 || negative);
    if (digits === 0 || padded || value > Number.MAX_SAFE_INTEGER) {
      this.position = start;
      this.fail('a whole number within ±(2^53 − 1)');
    }
    return negative ? -value : value;
  }

  /** The bytes between the quotes, escapes untouched; a view into the document. */
  rawString(): Uint8Array {
    this.expect('"');
    const start = this.position;
    let end = this.#bytes.indexOf(QUOTE, start);
    while (end > start && this.#isEscaped(start, end)) end = this.#bytes.indexOf(QUOTE, end + 1);
    if (end < 0) this.fail('a string that ends');
    this.position = end + 1;
    return this.#bytes.subarray(start, end);
  }

  /** `canonical` also refuses escapes other than those of RFC 8785; text without escapes has one form anyway. */
  string(form: 'any' | 'canonical' = 'any'): string {
    const start = this.position;
    const raw = this.rawString();
    const value = this.#decode(raw);
    if (value !== undefined && (form === 'any' || isCanonical(raw, value))) return value;
    this.position = start;
    return this.fail(`a string of valid UTF-8 and ${form === 'any' ? '' : 'canonical '}escapes`);
  }

  #decode(raw: Uint8Array): string | undefined {
    try {
      const inner = this.#utf8.decode(raw);
      // JSON.parse knows the escapes and refuses control characters; it sees one string only.
      const value = isPlain(raw) ? inner : (JSON.parse(`"${inner}"`) as string);
      return value.isWellFormed() ? value : undefined;
    } catch (cause) {
      if (cause instanceof SyntaxError || cause instanceof TypeError) return undefined;
      throw cause;
    }
  }

  #isEscaped(start: number, quote: number): boolean {
    let i = quote;
    while (i > start && this.#bytes[i - 1] === BACKSLASH) i--;
    return (quote - i) % 2 === 1;
  }
}

function isPlain(raw: Uint8Array): boolean {
  for (const byte of raw) if (byte < 0x20 || byte === BACKSLASH) return false;
  return true;
}

function isCanonical(raw: Uint8Array, value: string): boolean {
  if (!raw.includes(BACKSLASH)) return true;
  const text = new TextEncoder().encode(canonicalString(value));
  return sameBytes(text.subarray(1, -1), raw);
}
