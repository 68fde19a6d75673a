/**
 * A cluster of real node processes under one directory, for tests that break it.
 * In: a plan. Out: processes that are started, killed (only by the pid that we started) and asked over mTLS as an admin.
 * Does not judge anything: the tests do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { type Member, Membership } from '../../src/cluster/membership.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';
import { EtcdControlStore } from '../../src/control/etcd.ts';
import { parseEtcdUrl } from '../../src/control/etcd-url.ts';
import type { DigestHex } from '../../src/digest.ts';
import type { Identity } from '../../src/identity/identity.ts';
import { initAuthority, issueIdentity } from '../../src/identity/identity-files.ts';
import type { SpiffeId, TrustDomain } from '../../src/identity/spiffe-id.ts';
import type { NodeOptions } from '../../src/node.ts';
import type { Plan, PlanNode } from '../../src/plan.ts';
import { Catalog } from '../../src/replication/catalog.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { Connection, JsonValue, Transport } from '../../src/transport/transport.ts';
import { type SmallPlanOptions, smallPlan } from './small-plan.ts';

const ENTRY = new URL('./node-process.ts', import.meta.url).pathname;
/** Compiling the sources is most of a start; the second process finds them compiled. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'kwam-test-compile-cache');
/** Small, so that a few megabytes make many packs. */
export const PACK_BYTES_TARGET = 256 * 1024;
const CHUNKER = { chunkBytesMin: 4096, chunkBytesTarget: 16384, chunkBytesMax: 65536 };

export interface TestClusterOptions extends SmallPlanOptions {
  /** How many of the plan's nodes are started; all by default. */
  readonly started?: number;
  readonly node?: Partial<Pick<NodeOptions, 'orphans' | 'control' | 'redundancy' | 'storageLookMs'>>;
  readonly packBytesTarget?: number;
  /** All nodes in the same domains, instead of spread. */
  readonly isCrowded?: boolean;
  /** The plan that the cluster runs from, made of the small one. */
  readonly adapt?: (plan: Plan) => Plan;
}

export interface NodeProcess {
  readonly name: string;
  readonly process: ChildProcess;
  readonly pid: number;
  readonly address: string;
  readonly metricsAddress: string;
  /** What it logged so far. */
  log(): string;
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** A node that ended before it was ready; `log` says why. */
export class NodeDidNotStart extends Error {
  readonly log: string;
  constructor(name: string, log: string) {
    super(`node ${name} did not start: ${log}`);
    this.log = log;
  }
}

export class TestCluster {
  readonly directory: string;
  readonly plan: Plan;
  readonly #transport: Transport;
  readonly #node: TestClusterOptions['node'];
  readonly #running = new Map<string, NodeProcess>();
  readonly #connections = new Map<string, Promise<Connection>>();
  #control: ControlStore | undefined;
  #membership: Membership | undefined;

  static async start(options: TestClusterOptions): Promise<TestCluster> {
    const directory = fs.mkdtempSync(
      join(fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kwam-cluster-'),
    );
    const base = smallPlan({ memoryBytes: 256 << 20, ...options });
    const packBytesTarget = options.packBytesTarget ?? PACK_BYTES_TARGET;
    const [{ labels }] = base.nodes as [PlanNode];
    const nodes = options.isCrowded ? base.nodes.map((node) => ({ ...node, labels })) : base.nodes;
    const small: Plan = {
      ...base,
      nodes,
      replicate: { ...base.replicate, chunker: CHUNKER, packBytesTarget },
    };
    const plan = options.adapt?.(small) ?? small;
    fs.writeFileSync(join(directory, 'plan.json'), JSON.stringify(plan));
    const cluster = new TestCluster(directory, plan, await makeIdentities(directory, plan), options.node);
    const names = plan.nodes.slice(0, options.started).map((node) => node.name);
    try {
      await Promise.all(names.map((name) => cluster.startNode(name)));
      await cluster.untilMembers((members) => members.filter(isUp).length === names.length);
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  private constructor(directory: string, plan: Plan, admin: Identity, node: TestClusterOptions['node']) {
    this.directory = directory;
    this.plan = plan;
    this.#node = node;
    this.#transport = grpcTransport({ credentials: admin });
  }

  /** @param directory  another one than the cluster's, for nodes that do not belong. */
  async startNode(name: string, directory = this.directory): Promise<NodeProcess> {
    const child = spawn(process.execPath, [ENTRY, directory, name], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE, KWAM_NODE_OPTIONS: JSON.stringify(this.#node ?? {}) },
    });
    let log = '';
    let output = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
    const ended = new Promise<number | NodeJS.Signals>((resolve) =>
      child.once('close', (code, signal) => resolve(signal ?? code ?? -1)),
    );
    const ready = new Promise<void>((resolve) => {
      child.stdout!.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (output.includes('\n')) resolve();
      });
    });
    await Promise.race([ready, ended]);
    if (!output.includes('\n')) throw new NodeDidNotStart(name, log);
    const node = { ...JSON.parse(output), name, process: child, pid: child.pid!, log: () => log, ended };
    this.#running.set(name, node);
    ended.then(() => this.#running.get(name) === node && this.#running.delete(name));
    return node;
  }

  get running(): string[] {
    return [...this.#running.keys()].sort();
  }

  node(name: string): NodeProcess {
    const node = this.#running.get(name);
    if (node === undefined) throw new Error(`node ${name} is not running`);
    return node;
  }

  /** kill -9, and nothing else is told: the others find out by themselves. */
  async kill(name: string): Promise<void> {
    await this.#end(name, 'SIGKILL');
  }

  async stop(name: string): Promise<void> {
    await this.#end(name, 'SIGTERM');
  }

  async #end(name: string, signal: NodeJS.Signals): Promise<void> {
    const node = this.node(name);
    this.#running.delete(name);
    const connection = this.#connections.get(name);
    this.#connections.delete(name);
    node.process.kill(signal);
    await node.ended;
    await connection?.then(
      (one) => one.close(),
      () => undefined,
    );
  }

  /** The last answer of a call; the result itself where the method also reports progress. */
  async ask<T>(name: string, method: string, request: JsonValue = {}): Promise<T> {
    let last: JsonValue | undefined;
    for await (const answer of (await this.connect(name)).call(method, request)) last = answer;
    return ((last as { result?: T }).result ?? last) as T;
  }

  connect(name: string): Promise<Connection> {
    const known = this.#connections.get(name);
    if (known !== undefined) return known;
    const opening = this.#transport.connect(this.node(name).address, undefined);
    this.#connections.set(name, opening);
    opening.catch(() => this.#connections.delete(name));
    return opening;
  }

  get control(): ControlStore {
    const url = this.#node?.control;
    this.#control ??=
      url === undefined
        ? EmbeddedControlStore.open({ directory: join(this.directory, 'control'), clock: systemClock })
        : new EtcdControlStore({ ...parseEtcdUrl(url), clock: systemClock });
    return this.#control;
  }

  get catalog(): Catalog {
    return new Catalog(this.control);
  }

  async members(): Promise<readonly Member[]> {
    this.#membership ??= await Membership.observe(this.control, systemClock);
    return this.#membership.members();
  }

  /** Leases take seconds to run out; nothing else in the tests waits for time to pass. */
  async untilMembers(holds: (members: readonly Member[]) => boolean): Promise<void> {
    await until(async () => holds(await this.members()), 'the members to be as expected');
  }

  async untilDown(...names: string[]): Promise<void> {
    await this.untilMembers((members) =>
      names.every((name) => members.some((one) => one.name === name && !isUp(one))),
    );
  }

  /** The value of one series of a node; 0 for a series that was never counted. */
  async metric(name: string, series: string): Promise<number> {
    const text = await (await fetch(`http://${this.node(name).metricsAddress}/metrics`)).text();
    const wanted = series.includes('{') ? series.slice(0, -1) : series;
    const line = text.split('\n').find((one) => one.startsWith(wanted) && !one.startsWith('#'));
    if (line === undefined) throw new Error(`no series ${series} on ${name}`);
    return Number(line.slice(line.lastIndexOf(' ') + 1));
  }

  async metricOfAll(series: string): Promise<number> {
    const values = await Promise.all(this.running.map((name) => this.metric(name, series)));
    return values.reduce((sum, value) => sum + value, 0);
  }

  packsDirectory(name: string): string {
    return join(this.directory, name, 'packs');
  }

  /** Ids of the pack files that lie in a node's packs/. */
  packsOf(name: string): DigestHex[] {
    const directory = this.packsDirectory(name);
    if (!fs.existsSync(directory)) return [];
    return fs
      .readdirSync(directory)
      .filter((file) => file.endsWith('.pack'))
      .map((file) => file.slice(0, -'.pack'.length) as DigestHex)
      .sort();
  }

  packPath(name: string, id: string): string {
    return join(this.packsDirectory(name), `${id}.pack`);
  }

  /** Names of the nodes that hold each pack, by their files; running nodes only. */
  holders(): Map<DigestHex, string[]> {
    const holders = new Map<DigestHex, string[]>();
    for (const name of this.running) {
      for (const id of this.packsOf(name)) holders.set(id, [...(holders.get(id) ?? []), name]);
    }
    return holders;
  }

  /** Repair as an operator runs it: every node for the packs it is responsible for. */
  async repairAll(): Promise<RepairAnswer> {
    const answers = await Promise.all(
      this.running.map((name) => this.ask<RepairAnswer>(name, 'node.repair')),
    );
    return {
      repaired: answers.reduce((sum, one) => sum + one.repaired, 0),
      remaining: answers.reduce((sum, one) => sum + one.remaining, 0),
      unrepairable: answers.flatMap((one) => one.unrepairable),
      waiting: answers.flatMap((one) => one.waiting),
      trimmed: answers.reduce((sum, one) => sum + one.trimmed, 0),
    };
  }

  async scrubAll(): Promise<ScrubAnswer> {
    const answers = await Promise.all(
      this.running.map((name) => this.ask<ScrubAnswer>(name, 'node.scrub', { full: true })),
    );
    return {
      checkedBytes: answers.reduce((sum, one) => sum + one.checkedBytes, 0),
      corrupt: answers.reduce((sum, one) => sum + one.corrupt, 0),
      quarantined: answers.reduce((sum, one) => sum + one.quarantined, 0),
    };
  }

  /** Closes what this process has open of the control store, so that its files may be changed. */
  async forgetControl(): Promise<void> {
    await this.#membership?.leave();
    await this.#control?.close();
    this.#membership = undefined;
    this.#control = undefined;
  }

  /** Ends every process that this object started and removes the directory. */
  async close(): Promise<void> {
    await this.#transport.close();
    await Promise.all(this.running.map((name) => this.kill(name)));
    await this.forgetControl();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

interface Unsourced {
  readonly pack: string;
  readonly objects: readonly string[];
}

export interface RepairAnswer {
  readonly repaired: number;
  readonly remaining: number;
  readonly trimmed: number;
  readonly unrepairable: readonly Unsourced[];
  readonly waiting: readonly (Unsourced & { readonly nodes: readonly string[] })[];
}

export interface ScrubAnswer {
  readonly checkedBytes: number;
  readonly corrupt: number;
  readonly quarantined: number;
}

export interface PutAnswer {
  readonly name: string;
  readonly manifest: string;
  readonly chunks: number;
  readonly newChunks: number;
  readonly newBytes: number;
  readonly bytes: number;
}

const isUp = (member: Member): boolean => member.state === 'up';

const UNTIL_MS = 30_000;

export async function until(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = performance.now() + UNTIL_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${UNTIL_MS} ms for ${what}`);
    await delay(50);
  }
}

/** @returns the admin's. */
async function makeIdentities(directory: string, plan: Plan): Promise<Identity> {
  const identities = join(directory, 'identity');
  const validity = { nowMs: Date.now() };
  const issue = (name: string, spiffe: string): Promise<Identity> =>
    issueIdentity(identities, name, spiffe as SpiffeId, validity, console.warn);
  await initAuthority(identities, plan.trustDomain as TrustDomain, validity);
  for (const { name, spiffe } of plan.nodes) await issue(name, spiffe);
  return issue('admin', `spiffe://${plan.trustDomain}/dev/local/client/admin`);
}
