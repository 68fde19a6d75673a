/**
 * The calls and pulls that nodes make of each other about packs. Shapes only; every field that comes from the wire is
 * checked here before anyone uses it. Bulk bytes travel by pull: the receiver asks, the holder streams.
 */
import { type DigestHex, parseDigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { shardCountMax } from '../limits.ts';
import type { JsonValue } from '../transport/transport.ts';

/** Asks a node to pull a pack, make it durable and verify it; answered when that is so. */
export const PACK_RECEIVE = 'pack.receive';
/** Which of the given packs a node can serve. */
export const PACK_HAVE = 'pack.have';
/** A receiver found a record of this pack bad: look at your copy. */
export const PACK_SUSPECT = 'pack.suspect';
/** Read these packs back: are they here and good? */
export const PACK_VERIFY = 'pack.verify';
/** Forget these packs, and give their space back. */
export const PACK_RETIRE = 'pack.retire';

/** One page of the packs that a node can serve, for whoever has to do without the catalog. */
export const PACK_LIST = 'pack.list';

/** Packs asked about in one call: 66 bytes of JSON each. */
export const PACKS_PER_CALL_MAX = 1000;
/** Ranges in one pull. */
const RANGES_MAX = 1 << 20;

export interface ReceiveRequest {
  readonly pack: DigestHex;
  /** Names of nodes that hold it, best first. */
  readonly from: readonly string[];
  /** It restores lost redundancy; counted apart from the copies of a put. */
  readonly isRepair: boolean;
}

export interface ReceiveAnswer {
  /** Bytes that travelled; 0 when the node had everything. */
  readonly bytes: number;
}

/** `frame` streams header and index of a pack, `ranges` the bytes of its file at [start, end) pairs, in order. */
export type PackPull =
  | { readonly what: 'frame'; readonly pack: DigestHex }
  | {
      readonly what: 'ranges';
      readonly pack: DigestHex;
      readonly ranges: readonly (readonly [number, number])[];
    };

/** A shard pack of a node, and what its content is multiplied with. */
export type Term = readonly [shard: DigestHex, coefficient: number];

export interface Helper {
  readonly node: string;
  readonly terms: readonly Term[];
}

/** The sum of a node's own terms and of what the first of `next` gives for its terms and those after it. */
export interface PartialPull {
  readonly what: 'partial';
  /** Of all of them (stripe-identity.ts): shards of two stripes have no sum. */
  readonly stripe: DigestHex;
  readonly terms: readonly Term[];
  readonly next: readonly Helper[];
}

export type PullRequest = PackPull | PartialPull;

type Fields = { readonly [name: string]: JsonValue };

export function fieldsOf(value: JsonValue | undefined, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new KwamError(
    'PROTOCOL',
    `expected ${what} to be an object, got ${JSON.stringify(value)?.slice(0, 100)}`,
  );
}

export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new KwamError(
    'PROTOCOL',
    `expected ${name} to be a text, got ${JSON.stringify(value)?.slice(0, 100)}`,
  );
}

export function digestOf(value: JsonValue | undefined): DigestHex {
  return parseDigestHex(typeof value === 'string' ? value : String(value));
}

export function listOf<T>(value: JsonValue | undefined, limit: number, item: (value: JsonValue) => T): T[] {
  if (Array.isArray(value) && value.length <= limit) return (value as JsonValue[]).map(item);
  throw new KwamError('PROTOCOL', `expected a list of at most ${limit} items, got ${typeof value}`);
}

export function parseReceive(value: JsonValue): ReceiveRequest {
  const fields = fieldsOf(value, PACK_RECEIVE);
  const from = listOf(fields['from'], 1000, String);
  return { pack: digestOf(fields['pack']), from, isRepair: fields['isRepair'] === true };
}

export function parsePacks(value: JsonValue): DigestHex[] {
  return listOf(fieldsOf(value, 'a request about packs')['packs'], PACKS_PER_CALL_MAX, digestOf);
}

export function parsePull(value: JsonValue): PullRequest {
  const fields = fieldsOf(value, 'a pull');
  if (fields['what'] === 'partial') return parsePartial(fields);
  const pack = digestOf(fields['pack']);
  if (fields['what'] === 'frame') return { what: 'frame', pack };
  if (fields['what'] !== 'ranges') {
    throw new KwamError(
      'PROTOCOL',
      `expected to pull a frame, ranges or a partial sum, got ${JSON.stringify(fields['what'])}`,
    );
  }
  return { what: 'ranges', pack, ranges: listOf(fields['ranges'], RANGES_MAX, parseRange) };
}

function parseRange(value: JsonValue): readonly [number, number] {
  const [start, end] = listOf(value, 2, Number);
  const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start! >= 0 && start! < end!;
  if (isRange) return [start!, end!];
  throw new KwamError('PROTOCOL', `expected a range [start, end), got ${JSON.stringify(value)}`);
}

/** Every node of a chain has a part in the sum, so a chain is no longer than a stripe is wide. */
function parsePartial(fields: Fields): PartialPull {
  const next = listOf(fields['next'], shardCountMax, (value): Helper => {
    const helper = fieldsOf(value, 'a helper');
    return { node: textOf(helper, 'node'), terms: parseTerms(helper['terms']) };
  });
  const stripe = digestOf(fields['stripe']);
  return { what: 'partial', stripe, terms: parseTerms(fields['terms']), next };
}

function parseTerms(value: JsonValue | undefined): Term[] {
  const terms = listOf(value, shardCountMax, parseTerm);
  if (terms.length > 0) return terms;
  throw new KwamError('PROTOCOL', 'expected each node of a chain to have a term, got one without');
}

function parseTerm(value: JsonValue): Term {
  const [shard, coefficient] = listOf(value, 2, (item) => item);
  if (Number.isInteger(coefficient) && Number(coefficient) >= 0 && Number(coefficient) <= 255)
    return [digestOf(shard), Number(coefficient)];
  throw new KwamError('PROTOCOL', `expected a shard and a byte, got ${JSON.stringify(value)?.slice(0, 100)}`);
}
