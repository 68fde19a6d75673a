/**
 * The transactions by which a node takes, keeps and gives up its name.
 * In: a control store and the node's record. Out: a lease that holds nodes/<name>; topology/<name> and the epoch follow.
 * Holds: one live process a name. A name whose process is dead on this machine is taken over at once; otherwise its lease
 * has to end first. Does not repeat anything over time: see membership.ts.
 */
import type { Compare, ControlEntry, ControlStore, LeaseId, Operation } from '../control/control-store.ts';
import { KwamError } from '../errors.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import {
  decodeEpoch,
  decodeRecord,
  encodeRecord,
  KEYS,
  type NodeRecord,
  sameTopology,
} from './member-record.ts';
import { processStartTicks } from './process-identity.ts';

/** Every lost race is another node's success, so this many are lost only by more nodes than one store serves. */
const attemptsMax = 256;

function compareOf(key: string, entry: ControlEntry | undefined): Compare {
  return { key, modRevision: entry?.modRevision ?? 0 };
}

function sameInstance(a: NodeRecord, b: NodeRecord): boolean {
  return (
    a.pidSpace === b.pidSpace && a.pid === b.pid && a.startTicks === b.startTicks && a.instance === b.instance
  );
}

/** Only processes that this machine can see are ever called dead. */
function isDead(holder: NodeRecord, self: NodeRecord): boolean {
  return holder.pidSpace === self.pidSpace && processStartTicks(holder.pid) !== holder.startTicks;
}

function nameTaken(holder: NodeRecord): KwamError {
  const { name, pid, address, startedAt } = holder;
  return new KwamError(
    'ALREADY_EXISTS',
    `expected node name ${name} to be free, but process ${pid} at ${address} has held it since ${startedAt}; ` +
      'stop that node or start this one under another name',
    { context: { name, pid, address } },
  );
}

async function epochChange(control: ControlStore): Promise<{ compare: Compare; operation: Operation }> {
  const entry = await control.get(KEYS.epoch);
  const epoch = entry === undefined ? 0 : decodeEpoch(entry.value);
  return {
    compare: compareOf(KEYS.epoch, entry),
    operation: { kind: 'put', key: KEYS.epoch, value: canonicalBytes(epoch + 1) },
  };
}

/** One try; false when another node changed something in between. */
async function tryRegister(control: ControlStore, self: NodeRecord, lease: LeaseId): Promise<boolean> {
  const [nodeKey, topologyKey] = [KEYS.node(self.name), KEYS.topology(self.name)];
  const [node, topology] = [await control.get(nodeKey), await control.get(topologyKey)];
  const holder = node && decodeRecord(nodeKey, node.value);
  if (holder && !sameInstance(holder, self) && !isDead(holder, self)) throw nameTaken(holder);
  const value = encodeRecord(self);
  const compares = [compareOf(nodeKey, node), compareOf(topologyKey, topology)];
  const operations: Operation[] = [
    { kind: 'put', key: nodeKey, value, lease },
    { kind: 'put', key: topologyKey, value },
  ];
  if (topology === undefined || !sameTopology(decodeRecord(topologyKey, topology.value), self)) {
    const { compare, operation } = await epochChange(control);
    compares.push(compare);
    operations.push(operation);
  }
  return (await control.transact(compares, operations)).committed;
}

/** @throws KwamError ALREADY_EXISTS  another live process holds the name. */
export async function register(control: ControlStore, self: NodeRecord, leaseMs: number): Promise<LeaseId> {
  const lease = await control.grantLease(leaseMs);
  try {
    await untilCommitted(() => tryRegister(control, self, lease));
    return lease;
  } catch (error) {
    // If this fails too, the lease ends by itself; the first error is the one to tell.
    await control.revokeLease(lease).catch(() => undefined);
    throw error;
  }
}

/** Notes that the node leaves on purpose, unless somebody else has its name by now. The next registration takes the note away. */
export async function announceLeave(control: ControlStore, self: NodeRecord): Promise<void> {
  const key = KEYS.topology(self.name);
  await untilCommitted(async () => {
    const entry = await control.get(key);
    if (entry === undefined || !sameInstance(decodeRecord(key, entry.value), self)) return true;
    const value = encodeRecord({ ...self, isLeaving: true });
    return (await control.transact([compareOf(key, entry)], [{ kind: 'put', key, value }])).committed;
  });
}

/** Forgets a node that is down. @throws KwamError REFUSED while it is up, NOT_FOUND when it never joined. */
export async function unregister(control: ControlStore, name: string): Promise<void> {
  const [nodeKey, topologyKey] = [KEYS.node(name), KEYS.topology(name)];
  await untilCommitted(async () => {
    if ((await control.get(nodeKey)) !== undefined) {
      throw new KwamError(
        'REFUSED',
        `expected node ${name} to be down before it is forgotten; stop it first`,
      );
    }
    const topology = await control.get(topologyKey);
    if (topology === undefined) throw new KwamError('NOT_FOUND', `no node ${name} has ever joined`);
    const { compare, operation } = await epochChange(control);
    const compares = [{ key: nodeKey, modRevision: 0 }, compareOf(topologyKey, topology), compare];
    return (await control.transact(compares, [{ kind: 'delete', key: topologyKey }, operation])).committed;
  });
}

async function untilCommitted(attempt: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < attemptsMax; i++) if (await attempt()) return;
  throw new KwamError('UNAVAILABLE', `lost ${attemptsMax} races for the control store in a row; try again`, {
    retryable: true,
  });
}
