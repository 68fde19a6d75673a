/**
 * What a node says about itself in the control store, and how to read it back.
 * In: a node's description. Out: canonical JSON under nodes/<name> (leased) and topology/<name> (permanent).
 * A value that does not have these fields is INTEGRITY: somebody else writes under our keys.
 */
import { KwamError } from '../errors.ts';
import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import { DOMAINS, type Labels } from '../plan.ts';
import type { Drain } from './drains.ts';
import { epochName } from './node-name.ts';

export interface NodeSelf {
  readonly name: string;
  readonly spiffe: string;
  /** HOST:PORT that really listens. */
  readonly address: string;
  readonly metricsAddress: string;
  readonly labels: Labels;
  readonly weight: number;
}

export interface NodeRecord extends NodeSelf {
  readonly schema: 'kwam.node/v1';
  readonly spiffe: SpiffeId;
  readonly pid: number;
  /** With `pidSpace`, tells this process from a later one of the same pid. */
  readonly startTicks: number;
  readonly pidSpace: string;
  /** Counts the memberships of one process. */
  readonly instance: number;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Under topology/ only: it stopped on purpose, and will be back with its data. */
  readonly isLeaving?: true;
}

/** `up`: its lease lives. `down`: it once joined; address, pid and times are the last known ones. */
export interface Member extends NodeRecord {
  readonly state: 'up' | 'down';
  /** While it is being emptied; its weight is 0 then. */
  readonly drain?: Drain;
  /** When its last drain ended. */
  readonly drainEndedAt?: string;
}

const nodesPrefix = 'nodes/';
const topologyPrefix = 'topology/';

export const KEYS = {
  nodesPrefix,
  topologyPrefix,
  epoch: topologyPrefix + epochName,
  node: (name: string) => nodesPrefix + name,
  topology: (name: string) => topologyPrefix + name,
  nameOf: (key: string) => key.slice(key.indexOf('/') + 1),
} as const;

export function encodeRecord(record: NodeRecord): Uint8Array {
  return canonicalBytes(record);
}

function malformed(key: string, found: string, cause?: unknown): KwamError {
  return new KwamError(
    'INTEGRITY',
    `expected a node record under ${key}, got ${found}; remove that key and restart the node`,
    { context: { key }, cause },
  );
}

const texts = ['name', 'spiffe', 'address', 'metricsAddress', 'pidSpace', 'startedAt'] as const;
const numbers = ['weight', 'pid', 'startTicks', 'instance'] as const;

type UncheckedRecord = Omit<NodeRecord, 'spiffe'> & { readonly spiffe: string };

function isNodeRecord(value: unknown, key: string): value is UncheckedRecord {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  const labels = fields['labels'] as Record<string, unknown> | null | undefined;
  return (
    fields['schema'] === 'kwam.node/v1' &&
    texts.every((name) => typeof fields[name] === 'string') &&
    numbers.every((name) => typeof fields[name] === 'number') &&
    typeof labels === 'object' &&
    DOMAINS.every((domain) => typeof labels?.[domain] === 'string') &&
    fields['name'] === KEYS.nameOf(key)
  );
}

export function decodeRecord(key: string, value: Uint8Array): NodeRecord {
  const parsed = decodeJson(key, value);
  if (!isNodeRecord(parsed, key)) throw malformed(key, JSON.stringify(parsed).slice(0, 200));
  return { ...parsed, spiffe: parseSpiffeId(parsed.spiffe) };
}

export function decodeEpoch(value: Uint8Array): number {
  const parsed = decodeJson(KEYS.epoch, value);
  if (!Number.isSafeInteger(parsed)) throw malformed(KEYS.epoch, JSON.stringify(parsed).slice(0, 200));
  return parsed as number;
}

function decodeJson(key: string, value: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
  } catch (cause) {
    throw malformed(key, 'something that is not JSON', cause);
  }
}

/** Whether placement would differ. */
export function sameTopology(a: NodeRecord, b: NodeRecord): boolean {
  return a.weight === b.weight && DOMAINS.every((domain) => a.labels[domain] === b.labels[domain]);
}
