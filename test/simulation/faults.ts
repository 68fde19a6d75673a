/**
 * Every kind of fault that strikes a simulated cluster, with what it is. Reports count them all, those too that never struck: over many
 * seeds that would be a defect of the simulator (`neverStruck`).
 */
export const FAULTS = {
  'net-delay': 'a message that took time',
  'net-reorder': 'a message that was overtaken by a later one of another stream',
  'net-loss': 'a message that was lost and came when it was sent again',
  'net-duplicate': 'a call that was carried out twice',
  'net-flip': 'a bit of a message that flipped',
  'net-break': 'a connection that broke',
  'net-blocked': 'a message or connection that a partition swallowed',
  partition: 'a node cut off from some others, both ways',
  'partition-one-way': 'what a node sends reaches some others no more',
  'control-cut-off': 'a node cut off from the control store',
  'control-lost-answer': 'a change of the control store that was made and not confirmed',
  'disk-lost-write': 'an unsynced write that a power failure undid',
  'disk-torn-write': 'an unsynced write that a power failure left in part',
  'disk-lost-name': 'an unsynced creation, renaming or removal that a power failure undid',
  'disk-rot': 'a bit of a stored pack that flipped',
  'disk-misdirected': 'a write that landed in another file',
  'disk-unreadable': 'a file that can no more be read',
  'disk-eio': 'a write or fsync that failed',
  'disk-enospc': 'a write for which there was no room',
  'disk-lie': 'an fsync that did nothing and said it had',
  'disk-power': 'a power failure in the middle of an operation',
  'disk-replaced': 'a disk that was exchanged for an empty one',
  power: 'a power failure of a machine',
  kill: 'a process that ended from one moment to the next',
  stop: 'a process that ended in good order',
} as const;

export type FaultKind = keyof typeof FAULTS;
export type FaultCounts = Record<FaultKind, number>;

/** Enough for each kind, by far. */
const SEEDS_FOR_ALL = 100;

export function noFaults(): FaultCounts {
  return Object.fromEntries(Object.keys(FAULTS).map((kind) => [kind, 0])) as FaultCounts;
}

/** Kinds that should have struck in so many seeds, and did not. */
export function neverStruck(counts: FaultCounts, seeds: number): FaultKind[] {
  if (seeds < SEEDS_FOR_ALL) return [];
  return (Object.keys(FAULTS) as FaultKind[]).filter((kind) => counts[kind] === 0);
}
