/**
 * One text for one JSON value: the JSON Canonicalization Scheme.
 * In: null, booleans, finite numbers, strings, arrays and plain objects. Out: the canonical text, or its UTF-8 bytes.
 * Source: RFC 8785 (keys by UTF-16 code units; ECMAScript's own forms of numbers and strings).
 * Refuses what JSON cannot say exactly — NaN, infinities, undefined, lone surrogates, bigint, functions, instances of
 * classes — where JSON.stringify would drop or change it. Does not parse, and knows nothing of manifests.
 */
import { KwamError } from '../errors.ts';

/** Deeper values are cycles or attacks; the deepest document of ours has 5 levels. */
const depthMax = 128;
/** Pieces joined at once: bounds the rope that string addition builds on arrays of millions. */
const piecesPerJoin = 8192;

function refuse(found: string): never {
  throw new KwamError('USAGE', `expected a JSON value with one exact text, got ${found}; convert it first`);
}

export function canonicalString(text: string): string {
  if (!text.isWellFormed()) refuse('a string with a lone surrogate');
  return JSON.stringify(text);
}

export function canonicalNumber(value: number): string {
  if (!Number.isFinite(value)) refuse(`the number ${value}`);
  return Object.is(value, -0) ? '0' : String(value);
}

function compareUtf16(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function joinPieces(count: number, piece: (index: number) => string): string {
  const parts: string[] = [];
  for (let first = 0; first < count; first += piecesPerJoin) {
    const pieces: string[] = [];
    for (let i = first; i < Math.min(count, first + piecesPerJoin); i++) pieces.push(piece(i));
    parts.push(pieces.join(','));
  }
  return parts.join(',');
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function objectText(value: object, depth: number): string {
  if (!isPlain(value)) refuse(`an instance of ${value.constructor?.name ?? 'a class'}`);
  const keys = Object.keys(value).sort(compareUtf16);
  return `{${joinPieces(keys.length, (i) => `${canonicalString(keys[i]!)}:${text(value[keys[i]!], depth)}`)}}`;
}

function text(value: unknown, depth: number): string {
  if (depth > depthMax) refuse(`nesting deeper than ${depthMax} levels or a cycle`);
  if (value === null || value === true || value === false) return String(value);
  if (typeof value === 'number') return canonicalNumber(value);
  if (typeof value === 'string') return canonicalString(value);
  if (typeof value !== 'object') return refuse(`a value of type ${typeof value}`);
  if (Array.isArray(value)) return `[${joinPieces(value.length, (i) => text(value[i], depth + 1))}]`;
  return objectText(value, depth + 1);
}

export function canonicalJson(value: unknown): string {
  return text(value, 0);
}

export function canonicalBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(canonicalJson(value));
}
