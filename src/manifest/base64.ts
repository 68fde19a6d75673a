/**
 * Base64 between byte arrays, without strings in between: manifests carry digests by the hundred megabytes, more than
 * a JavaScript string may be asked to hold twice.
 * Source: RFC 4648 §4 and §5. Strict: padding must be there and unused bits must be zero, so that every content has one
 * text. The URL-safe alphabet is read only where the caller says so (DSSE demands it). Never writes it.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const TO_TEXT = new TextEncoder().encode(ALPHABET);
const PAD = 0x3d;
const INVALID = 0xff;

function reverseTable(urlSafe: boolean): Uint8Array {
  const table = new Uint8Array(256).fill(INVALID);
  for (let i = 0; i < 64; i++) table[TO_TEXT[i]!] = i;
  if (urlSafe) {
    table['-'.charCodeAt(0)] = 62;
    table['_'.charCodeAt(0)] = 63;
  }
  return table;
}

const FROM_STANDARD = reverseTable(false);
const FROM_EITHER = reverseTable(true);

export type Base64Alphabet = 'standard' | 'either';

export function base64TextBytes(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/** Writes the text of `bytes` into `text` at `at`; returns the position after it. */
export function writeBase64(bytes: Uint8Array, text: Uint8Array, at: number): number {
  const whole = bytes.length - (bytes.length % 3);
  let i = 0;
  for (; i < whole; i += 3) {
    const word = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    text[at++] = TO_TEXT[word >>> 18]!;
    text[at++] = TO_TEXT[(word >>> 12) & 63]!;
    text[at++] = TO_TEXT[(word >>> 6) & 63]!;
    text[at++] = TO_TEXT[word & 63]!;
  }
  return i === bytes.length ? at : writeTail(bytes, i, text, at);
}

function writeTail(bytes: Uint8Array, i: number, text: Uint8Array, at: number): number {
  const two = bytes.length - i === 2;
  const word = (bytes[i]! << 16) | (two ? bytes[i + 1]! << 8 : 0);
  text[at++] = TO_TEXT[word >>> 18]!;
  text[at++] = TO_TEXT[(word >>> 12) & 63]!;
  text[at++] = two ? TO_TEXT[(word >>> 6) & 63]! : PAD;
  text[at++] = PAD;
  return at;
}

/** Bytes that this text holds, from its length and padding; −1 when the length cannot be base64. */
export function base64Bytes(text: Uint8Array): number {
  const length = text.length;
  if (length % 4 !== 0) return -1;
  if (length === 0) return 0;
  const pads = text[length - 1] !== PAD ? 0 : text[length - 2] !== PAD ? 1 : 2;
  return (length / 4) * 3 - pads;
}

/**
 * Decodes `text` into `into` at `at`, where base64Bytes(text) bytes must fit.
 * @returns false when the text is not strict base64; `into` then holds rubbish.
 */
export function readBase64(
  text: Uint8Array,
  into: Uint8Array,
  at: number,
  alphabet: Base64Alphabet = 'standard',
): boolean {
  const table = alphabet === 'either' ? FROM_EITHER : FROM_STANDARD;
  const bytes = base64Bytes(text);
  if (bytes < 0) return false;
  const whole = text.length - (bytes % 3 === 0 ? 0 : 4);
  let wrong = 0;
  for (let i = 0; i < whole; i += 4) {
    const a = table[text[i]!]!;
    const b = table[text[i + 1]!]!;
    const c = table[text[i + 2]!]!;
    const d = table[text[i + 3]!]!;
    wrong |= a | b | c | d;
    into[at++] = (a << 2) | (b >> 4);
    into[at++] = (b << 4) | (c >> 2);
    into[at++] = (c << 6) | d;
  }
  if (wrong > 63) return false;
  return whole === text.length || readTail(text.subarray(whole), bytes % 3, table, into, at);
}

function readTail(text: Uint8Array, count: number, table: Uint8Array, into: Uint8Array, at: number): boolean {
  const a = table[text[0]!]!;
  const b = table[text[1]!]!;
  const c = count === 2 ? table[text[2]!]! : 0;
  if ((a | b | c) > 63) return false;
  const word = (a << 18) | (b << 12) | (c << 6);
  into[at] = word >> 16;
  if (count === 2) into[at + 1] = (word >> 8) & 255;
  return (count === 2 ? word & 255 : word & 0xffff) === 0;
}

/** For short values: the text as a string. */
export function toBase64(bytes: Uint8Array): string {
  const text = new Uint8Array(base64TextBytes(bytes.length));
  writeBase64(bytes, text, 0);
  return new TextDecoder().decode(text);
}

/** For short values; undefined when `text` is not strict base64. */
export function fromBase64(
  text: string | Uint8Array,
  alphabet: Base64Alphabet = 'standard',
): Uint8Array<ArrayBuffer> | undefined {
  const encoded = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const count = base64Bytes(encoded);
  if (count < 0) return undefined;
  const bytes = new Uint8Array(count);
  return readBase64(encoded, bytes, 0, alphabet) ? bytes : undefined;
}
