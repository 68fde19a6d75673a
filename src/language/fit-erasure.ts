/**
 * The erasure codes that a program can ask for, as calls.
 * In: the name of a call and its numbers. Out: what each number is called, and the code in the IR. Whether there is such a code is a
 * question of rules.
 */
import type { ErasureIr } from './ir.ts';

const [K, L, M] = [
  ['k', 'a number of data shards'],
  ['l', 'a number of local groups'],
  ['m', 'a number of parity shards'],
] as const;

/** The erasure codes that can be asked for, and the numbers that each is given. */
export const ERASURE_CODES = new Map([
  ['rs', [K, M]],
  ['lrc', [K, L, M]],
]);

/** @param amounts  k and m, or k, l and m */
export function erasureCode(amounts: readonly number[]): Omit<ErasureIr, 'range'> {
  const [k, l, m] = amounts as [number, number, number?];
  if (m === undefined) return { kind: 'erasure', dataShards: k, parityShards: l };
  return { kind: 'erasure', dataShards: k, parityShards: l + m, localGroups: l };
}
