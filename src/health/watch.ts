/**
 * What is believed of every node right now, and for how long each has been away.
 * In: every `beliefTickMs`, the members as the control store has them; for a node that is down, a look at whether its host answers; reports
 * of devices. Out: for each node that is away, since when, and what is believed of it.
 * A lease that ran out is the sign of absence that all nodes share; only the few that are down, or that did not answer when they
 * were asked for something, are looked at themselves.
 * Holds nothing that must survive a restart: a fresh watch believes that all is well, and waits at least as long as another would.
 */
import type { Clock } from '../clock.ts';
import type { Labels } from '../plan.ts';
import type { ProbeAnswer } from '../transport/probe.ts';
import { HealthBelief, type NodeBelief } from './belief.ts';
import { type DeviceReport, type Evidence, type Heartbeat, worseReport } from './evidence.ts';

export interface WatchedMember {
  readonly name: string;
  readonly labels: Labels;
  readonly address: string;
  readonly state: 'up' | 'down';
  /** It stopped on purpose. */
  readonly isLeaving?: boolean;
}

export interface HealthWatchOptions {
  readonly clock: Clock;
  readonly members: () => Promise<readonly WatchedMember[]>;
  readonly probe: (address: string) => Promise<ProbeAnswer>;
}

export interface Absence {
  readonly node: string;
  readonly absentMs: number;
  /** Since its domain was last believed to be down. */
  readonly aloneMs: number;
  readonly belief: NodeBelief;
}

/** More likely than not: from here on a domain explains the silence of its nodes. */
export const domainIsDown = 0.5;

interface Away {
  readonly sinceMs: number;
  aloneSinceMs: number;
}

export class HealthWatch {
  readonly #options: HealthWatchOptions;
  readonly #away = new Map<string, Away>();
  readonly #reports = new Map<string, DeviceReport>();
  #unreachable: ReadonlySet<string> = new Set();
  #nodes = '';
  #belief = new HealthBelief([]);

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  /** Until the next tick; the worst report of a tick counts. */
  report(node: string, report: DeviceReport): void {
    this.#reports.set(node, worseReport(report, this.#reports.get(node) ?? 'quiet'));
  }

  /** Nodes that hold their lease and did not answer when they were asked: until the next word about it they are looked at, too. */
  unreachable(nodes: ReadonlySet<string>): void {
    this.#unreachable = nodes;
  }

  /** One `beliefTickMs` has passed. @returns nodes that were away and are back. */
  async tick(): Promise<readonly string[]> {
    const members = await this.#options.members();
    this.#follow(members);
    const wereAway = [...this.#away.keys()];
    const evidence = await Promise.all(members.map((member) => this.#lookAt(member)));
    this.#reports.clear();
    this.#belief.observe(new Map(members.map(({ name }, i) => [name, evidence[i]!])));
    const nowMs = this.#options.clock.monotonic();
    for (const [name, away] of this.#away) {
      if (this.#belief.node(name).domainDown >= domainIsDown) away.aloneSinceMs = nowMs;
    }
    return wereAway.filter((name) => !this.#away.has(name));
  }

  /** Of a member that is away, or was at the last tick; one that has gone since has been away for no time yet. */
  absence(node: string): Absence {
    const nowMs = this.#options.clock.monotonic();
    const { sinceMs, aloneSinceMs } = this.#away.get(node) ?? { sinceMs: nowMs, aloneSinceMs: nowMs };
    return {
      node,
      absentMs: nowMs - sinceMs,
      aloneMs: nowMs - aloneSinceMs,
      belief: this.#belief.node(node),
    };
  }

  /** Every node that was away at the last tick. */
  absences(): Absence[] {
    return [...this.#away.keys()].map((node) => this.absence(node));
  }

  /** Nodes come, go and are moved; what is known of the others stays. */
  #follow(members: readonly WatchedMember[]): void {
    const nodes = JSON.stringify(members.map(({ name, labels }) => [name, labels]));
    if (nodes === this.#nodes) return;
    this.#nodes = nodes;
    this.#belief = new HealthBelief(members, this.#belief);
    const names = new Set(members.map(({ name }) => name));
    for (const name of this.#away.keys()) if (!names.has(name)) this.#away.delete(name);
  }

  async #lookAt(member: WatchedMember): Promise<Evidence> {
    const { name, address } = member;
    const device = this.#reports.get(name) ?? 'quiet';
    const isLeased = member.state === 'up';
    const answer = isLeased && !this.#unreachable.has(name) ? 'accepts' : await this.#options.probe(address);
    if (isLeased && answer === 'accepts') {
      this.#away.delete(name);
      return { heartbeat: 'seen', device, leaving: false };
    }
    const isNews = !this.#away.has(name);
    if (isNews) {
      const nowMs = this.#options.clock.monotonic();
      this.#away.set(name, { sinceMs: nowMs, aloneSinceMs: nowMs });
    }
    return { heartbeat: heartbeatOf(answer), device, leaving: isNews && member.isLeaving === true };
  }
}

/** Whoever accepts at its address without holding its lease is starting, or is somebody else. */
function heartbeatOf(answer: ProbeAnswer): Heartbeat {
  return answer === 'silent' ? 'silent' : 'refused';
}
