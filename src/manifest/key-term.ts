/**
 * When the signatures of a key count: one rule for the keys of consent, of modules and of manifests.
 * In: what is known of a key, and the times that its signature belongs to. Out: why it does not count then, or nothing.
 * Rotation is an overlap of two keys. Revocation has no date: who has a stolen key writes any date that he likes.
 */
import { KwamError } from '../errors.ts';

export interface KeyTerm {
  /** Always, unless given; both ends count. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Its signatures do not count any more, whenever they were made. */
  readonly revoked?: boolean;
}

export type KeyFault = 'key-expired' | 'key-not-yet-valid' | 'key-revoked';

export const KEY_FAULTS: Readonly<Record<KeyFault, string>> = {
  'key-expired': 'which has expired',
  'key-not-yet-valid': 'which is not valid yet',
  'key-revoked': 'which was revoked',
};

/** The key has to be good at each of the times. */
export function keyFault(
  { notBefore, notAfter, revoked }: KeyTerm,
  ...timesMs: readonly number[]
): KeyFault | undefined {
  if (revoked === true) return 'key-revoked';
  if (notAfter !== undefined && Math.max(...timesMs) > notAfter.getTime()) return 'key-expired';
  if (notBefore !== undefined && Math.min(...timesMs) < notBefore.getTime()) return 'key-not-yet-valid';
  return undefined;
}

export interface WrittenTerm {
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly revoked?: boolean;
}

/** @throws KwamError USAGE  a time that is none: a key without an end must not come of a slip of the pen. */
export function keyTermOf({ notBefore, notAfter, revoked }: WrittenTerm): KeyTerm {
  return {
    ...(notBefore === undefined ? {} : { notBefore: timeOf('notBefore', notBefore) }),
    ...(notAfter === undefined ? {} : { notAfter: timeOf('notAfter', notAfter) }),
    ...(revoked === undefined ? {} : { revoked }),
  };
}

function timeOf(name: string, text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new KwamError(
    'USAGE',
    `expected ${name} of a key as a time such as 2027-01-01T00:00:00Z, got ${JSON.stringify(text)}; correct it`,
  );
}
