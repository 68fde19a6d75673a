/**
 * Whether a shard belongs to the stripe that it is to be used for: of that pack, by that code with those numbers, in that place.
 * In: what the catalog says of a stripe, and the header of a shard, which its id covers. Out: the header that the shard must have, byte for
 * byte, and the error that says how another one differs. A shard can be intact and yet none of this stripe: decoded with the others it would give
 * bytes that nobody ever stored. Reads no files.
 */
import { hash } from 'node:crypto';
import { asDigest, type Digest, type DigestHex, fromHex, sameBytes, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { ErasureScheme } from '../plan.ts';
import { encodePackHeader, type PackHeader, parsePackHeader } from '../store/pack-format.ts';
import type { PackRecordEntry } from './catalog.ts';

/** What all shards of a stripe have in common. */
export interface StripeIdentity {
  readonly pack: Digest;
  readonly packBytes: number;
  readonly scheme: ErasureScheme;
  /** Of the codec runtime that made the stripe. */
  readonly codecId: Digest;
}

export type StripedEntry = PackRecordEntry & Required<Pick<PackRecordEntry, 'stripe'>>;

export function identityOf({ id, bytes, stripe }: StripedEntry): StripeIdentity {
  const { codecId, shards: _, ...scheme } = stripe;
  return { pack: fromHex(id), packBytes: bytes, scheme, codecId: fromHex(codecId) };
}

export function shardHeader(
  { pack, packBytes, scheme, codecId }: StripeIdentity,
  shardIndex: number,
): Uint8Array {
  return encodePackHeader({ kind: 'shard', codecId, stripe: { pack, packBytes, ...scheme, shardIndex } });
}

/** One value for the whole identity: the digest of the header of shard 0. */
export function stripeIdOf(identity: StripeIdentity): DigestHex {
  return toHex(asDigest(hash('sha256', shardHeader(identity, 0), 'buffer')));
}

/** The same of the stripe that a shard says it is of; undefined for a pack that is no shard. */
export function stripeIdIn({ codecId, stripe }: PackHeader): DigestHex | undefined {
  if (stripe === undefined) return undefined;
  const { pack, packBytes, shardIndex: _, ...scheme } = stripe;
  return stripeIdOf({ pack, packBytes, scheme, codecId });
}

/** Undefined for a header as it must be. */
export function strangerError(
  identity: StripeIdentity,
  { id, shardIndex }: { readonly id: DigestHex; readonly shardIndex: number },
  headerBytes: Uint8Array,
): KwamError | undefined {
  const expected = shardHeader(identity, shardIndex);
  if (sameBytes(headerBytes, expected)) return undefined;
  return new KwamError(
    'STRIPE_MIXED',
    `expected ${id} to be ${described(expected)}, it is ${described(headerBytes)}; it is not decoded with the others. The catalog names a shard of another stripe: run kwam-dp repair --explain`,
    { context: { pack: toHex(identity.pack), shard: id, shardIndex } },
  );
}

function described(headerBytes: Uint8Array): string {
  const { codecId, stripe } = parsePackHeader(headerBytes);
  const codec = `codec ${toHex(codecId)}`;
  if (stripe === undefined) return `a pack of chunks (${codec})`;
  const { pack, packBytes, shardIndex, ...scheme } = stripe;
  const numbers = Object.entries(scheme).map(([name, value]) => `${name} ${value}`);
  return `shard ${shardIndex} of pack ${toHex(pack)} (${[`${packBytes} bytes`, ...numbers, codec].join(', ')})`;
}
