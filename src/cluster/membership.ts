/**
 * Who is in the cluster, and being one of them.
 * In: a control store, this node's description, a clock. Out: the members, up or down, and word of every change.
 * Holds: a node's lease is kept alive by a heartbeat; when the control store cannot be reached the last known members stay,
 * `controlReachable` turns false and everything is tried again with growing pauses: data is served meanwhile.
 * Does not probe other nodes: a lease is the only sign of life.
 */
import type { Clock } from '../clock.ts';
import type { ControlEvent, ControlStore, LeaseId } from '../control/control-store.ts';
import { KwamError } from '../errors.ts';
import { parseSpiffeId } from '../identity/spiffe-id.ts';
import { heartbeatMs, leaseMs, reconnectMsMax } from '../limits.ts';
import { DRAINS, type Drain, decodeDrain } from './drains.ts';
import {
  decodeEpoch,
  decodeRecord,
  KEYS,
  type Member,
  type NodeRecord,
  type NodeSelf,
} from './member-record.ts';
import { checkNodeName } from './node-name.ts';
import { pidSpace, processStartTicks } from './process-identity.ts';
import { announceLeave, register, unregister } from './registration.ts';

export type { Member, NodeSelf } from './member-record.ts';

export interface MembershipOptions {
  readonly leaseMs?: number;
  readonly heartbeatMs?: number;
  /** Tests pose as another process. */
  readonly pid?: number;
}

export type MembersListener = (members: readonly Member[]) => void;

let instances = 0;

function describe(self: NodeSelf, clock: Clock, pid: number): NodeRecord {
  checkNodeName(self.name);
  const { name, spiffe, address, metricsAddress, labels, weight } = self;
  return {
    schema: 'kwam.node/v1',
    name,
    spiffe: parseSpiffeId(spiffe),
    address,
    metricsAddress,
    labels,
    weight,
    pid,
    startTicks: processStartTicks(pid) ?? 0,
    pidSpace: pidSpace(),
    instance: ++instances,
    startedAt: new Date(clock.now()).toISOString(),
  };
}

export class Membership {
  readonly #control: ControlStore;
  readonly #clock: Clock;
  readonly #self: NodeRecord | undefined;
  readonly #leaseMs: number;
  readonly #heartbeatMs: number;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<MembersListener>();
  readonly #live = new Map<string, NodeRecord>();
  readonly #known = new Map<string, NodeRecord>();
  readonly #drains = new Map<string, Drain>();
  readonly #failures = new Map<string, unknown>();
  readonly #loops: Promise<void>[] = [];
  #lease: LeaseId | undefined;
  #epoch = 0;

  /**
   * Registers this node and learns of the others.
   * @throws KwamError ALREADY_EXISTS  another live process has this node's name.
   */
  static async join(
    control: ControlStore,
    self: NodeSelf,
    clock: Clock,
    options: MembershipOptions = {},
  ): Promise<Membership> {
    const membership = new Membership(
      control,
      clock,
      describe(self, clock, options.pid ?? process.pid),
      options,
    );
    membership.#lease = await register(control, membership.#self!, membership.#leaseMs);
    membership.#loops.push(membership.#beat());
    return membership.#started();
  }

  /** Learns of the members without being one. */
  static async observe(control: ControlStore, clock: Clock): Promise<Membership> {
    return new Membership(control, clock, undefined, {}).#started();
  }

  private constructor(
    control: ControlStore,
    clock: Clock,
    self: NodeRecord | undefined,
    options: MembershipOptions,
  ) {
    this.#control = control;
    this.#clock = clock;
    this.#self = self;
    this.#leaseMs = options.leaseMs ?? leaseMs;
    this.#heartbeatMs = options.heartbeatMs ?? heartbeatMs;
  }

  /** Every node that ever joined and was not removed, by name; what was last seen of the control store. */
  async members(): Promise<Member[]> {
    const names = [...new Set([...this.#known.keys(), ...this.#live.keys()])].sort();
    return names.map((name) => {
      const live = this.#live.get(name);
      const member: Member = live ? { ...live, state: 'up' } : { ...this.#known.get(name)!, state: 'down' };
      const drain = this.#drains.get(name);
      if (drain === undefined) return member;
      const { endedAt } = drain;
      return endedAt === undefined ? { ...member, weight: 0, drain } : { ...member, drainEndedAt: endedAt };
    });
  }

  /** Rises whenever a node joins for the first time, is removed, or changes its labels or weight. */
  get epoch(): number {
    return this.#epoch;
  }

  get controlReachable(): boolean {
    return this.#failures.size === 0;
  }

  /** Why not, one line each. */
  get controlProblems(): string[] {
    return [...this.#failures.values()].map((error) =>
      error instanceof Error ? error.message : String(error),
    );
  }

  /** Calls `listener` after each change, until the returned function is called. It must not throw. */
  onChange(listener: MembersListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets a node that is down for good. */
  async removeNode(name: string): Promise<void> {
    await unregister(this.#control, name);
  }

  /** Gives the name up at once and stops. The node stays known, as down. */
  async leave(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#loops.splice(0));
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    try {
      await announceLeave(this.#control, this.#self!);
      await this.#control.revokeLease(lease);
    } catch (error) {
      // Out of reach: the lease then ends by itself, which is all that leaving could do.
      if (!(error instanceof KwamError) || error.code !== 'UNAVAILABLE') throw error;
    }
  }

  async #beat(): Promise<void> {
    await this.#repeatedly('heartbeat', async () => {
      if (!(await this.#sleep(this.#heartbeatMs))) return;
      if (this.#lease !== undefined && (await this.#control.keepAlive(this.#lease))) return;
      // It ran out while we were stopped or cut off. Somebody else may have the name by now: then this throws.
      this.#lease = undefined;
      this.#lease = await register(this.#control, this.#self!, this.#leaseMs);
    });
  }

  async #started(): Promise<Membership> {
    try {
      await Promise.all(
        [KEYS.nodesPrefix, KEYS.topologyPrefix, DRAINS].map((prefix) => this.#follow(prefix)),
      );
      return this;
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  /** Resolves when the first state has been seen; what fails later is tried again instead. */
  #follow(prefix: string): Promise<void> {
    const first = Promise.withResolvers<void>();
    const what = `watch ${prefix}`;
    const watching = this.#repeatedly(what, async () => {
      try {
        for await (const event of this.#control.watch(prefix, { signal: this.#ending.signal })) {
          this.#apply(prefix, event);
          this.#failures.delete(what);
          first.resolve();
        }
      } catch (error) {
        first.reject(error);
        throw error;
      }
    });
    this.#loops.push(watching);
    return first.promise;
  }

  /** Runs `act` again and again until the end; after a failure, pauses that double up to a bound. */
  async #repeatedly(what: string, act: () => Promise<void>): Promise<void> {
    let pauseMs = this.#heartbeatMs / 4;
    while (!this.#ending.signal.aborted) {
      try {
        await act();
        this.#failures.delete(what);
        pauseMs = this.#heartbeatMs / 4;
      } catch (error) {
        this.#failures.set(what, error);
        await this.#sleep(pauseMs);
        pauseMs = Math.min(2 * pauseMs, reconnectMsMax);
      }
    }
  }

  /** False when it was cut short because the membership ends. */
  async #sleep(ms: number): Promise<boolean> {
    const { signal } = this.#ending;
    try {
      await this.#clock.sleep(ms, signal);
      return true;
    } catch (error) {
      if (!signal.aborted) throw error;
      return false;
    }
  }

  #apply(prefix: string, event: ControlEvent): void {
    if (prefix === DRAINS) this.#applyDrain(event);
    else this.#applyRecord(prefix, event);
    void this.#notify();
  }

  #applyDrain(event: ControlEvent): void {
    if (event.kind === 'delete') this.#drains.delete(KEYS.nameOf(event.key));
    else if (event.kind === 'snapshot') this.#drains.clear();
    const entries = event.kind === 'snapshot' ? event.entries : event.kind === 'put' ? [event.entry] : [];
    for (const drain of entries.flatMap((entry) => decodeDrain(entry) ?? []))
      this.#drains.set(drain.node, drain);
  }

  #applyRecord(prefix: string, event: ControlEvent): void {
    const records = prefix === KEYS.nodesPrefix ? this.#live : this.#known;
    if (event.kind === 'snapshot') {
      records.clear();
      for (const { key, value } of event.entries) this.#set(records, key, value);
    } else if (event.kind === 'put') this.#set(records, event.entry.key, event.entry.value);
    else records.delete(KEYS.nameOf(event.key));
  }

  #set(records: Map<string, NodeRecord>, key: string, value: Uint8Array): void {
    if (key === KEYS.epoch) this.#epoch = decodeEpoch(value);
    else records.set(KEYS.nameOf(key), decodeRecord(key, value));
  }

  async #notify(): Promise<void> {
    if (this.#listeners.size === 0) return;
    const members = await this.members();
    for (const listener of this.#listeners) listener(members);
  }
}
