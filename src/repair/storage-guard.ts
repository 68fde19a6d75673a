/**
 * Takes a node whose storage is failing out of service by draining it: the `on_violation quarantine` of a node.
 * In: the record of this node's storage, the members. Out: a drain in the control store (cluster/drains.ts), from which on every node gives this
 * one no new packs, restores elsewhere what it holds, and reads from it what still verifies. An operator ends it.
 * Holds back where too few nodes would be left to hold what the plan asks for, or where many nodes would be drained by the rule at once: then the cause
 * is more likely a bug than their disks, and people have to look.
 */
import type { Clock } from '../clock.ts';
import { beginDrain } from '../cluster/drains.ts';
import type { Member } from '../cluster/membership.ts';
import type { Peers } from '../cluster/peers.ts';
import type { ControlStore } from '../control/control-store.ts';
import { judgeStorage, type StorageEvidence } from '../health/storage-rate.ts';
import type { StorageRecord } from '../health/storage-record.ts';
import { drainShareMax } from '../limits.ts';
import type { Plan } from '../plan.ts';

export interface StorageGuardOptions {
  readonly control: ControlStore;
  readonly peers: Pick<Peers, 'self' | 'members'>;
  readonly record: StorageRecord;
  readonly plan: Pick<Plan, 'replicate' | 'guard'>;
  readonly clock: Clock;
  /** Called when the state becomes another one. */
  readonly onChanged: (state: StorageState) => void;
}

export interface StorageState extends StorageEvidence {
  /** held back: failing, and not drained all the same. */
  readonly state: 'in order' | 'held back' | 'draining';
  /** Why, one sentence; empty while all is in order. */
  readonly reason: string;
}

export class StorageGuard {
  readonly #options: StorageGuardOptions;
  #known: Pick<StorageState, 'state' | 'reason'> = { state: 'in order', reason: '' };

  constructor(options: StorageGuardOptions) {
    this.#options = options;
  }

  /** As of the last look. */
  get state(): StorageState {
    return { ...this.#known, ...this.#options.record.evidence };
  }

  async look(): Promise<void> {
    const { record, onChanged } = this.#options;
    record.keep();
    const found = await this.#judge();
    const isNews = found.state !== this.#known.state;
    this.#known = found;
    if (isNews) onChanged(this.state);
  }

  async #judge(): Promise<Pick<StorageState, 'state' | 'reason'>> {
    const { control, peers, record, plan, clock } = this.#options;
    const members = await peers.members();
    const own = members.find(({ name }) => name === peers.self);
    if (own?.drain !== undefined) return { state: 'draining', reason: own.drain.reason };
    if (own?.drainEndedAt !== undefined) record.forgive(own.drainEndedAt);
    const { isFailing, words } = judgeStorage(record.evidence);
    if (!isFailing) return { state: 'in order', reason: '' };
    if (plan.guard?.onViolation !== 'quarantine') {
      return {
        state: 'held back',
        reason: `${words}; the program has no guard that says what to do about it`,
      };
    }
    const drain = { node: peers.self, by: `guard ${plan.guard.name}`, reason: words };
    const since = new Date(clock.now()).toISOString();
    let objection: string | undefined;
    const isDrained = await beginDrain(control, { ...drain, since }, (draining) => {
      objection = objectionTo(peers.self, members, draining, plan.replicate);
      return objection === undefined;
    });
    return isDrained
      ? { state: 'draining', reason: words }
      : { state: 'held back', reason: `${words}; ${objection}` };
  }
}

/** What speaks against draining one more node by the rule; undefined: nothing. */
function objectionTo(
  node: string,
  members: readonly Member[],
  draining: ReadonlySet<string>,
  replicate: Plan['replicate'],
): string | undefined {
  const storing = members.filter(({ name, weight }) => weight > 0 && !draining.has(name));
  const most = Math.max(1, Math.floor(drainShareMax * (storing.length + draining.size)));
  if (draining.size >= most) {
    return `${[...draining].join(', ')} ${draining.size === 1 ? 'is' : 'are'} being drained already, so look for one cause first`;
  }
  return tooFewWithout(node, storing, replicate);
}

/** Undefined when the others can hold what the plan asks for. */
export function tooFewWithout(
  node: string,
  members: readonly Pick<Member, 'name' | 'weight'>[],
  { factor, erasure }: Plan['replicate'],
): string | undefined {
  const needed = erasure === undefined ? factor : Math.ceil(erasure.dataShards / erasure.parityShards) + 1;
  const others = members.filter(({ name, weight }) => weight > 0 && name !== node).length;
  return others >= needed ? undefined : `only ${others} other nodes store data, and ${needed} are needed`;
}
