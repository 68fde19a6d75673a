/**
 * A development cluster on this machine: its plan, its identities and its processes, all under one directory.
 *   D/plan.json  D/inventory.json  D/identity/  D/control/  D/<node>/  D/logs/<node>.log  D/run/<node>.json (address, once ready)
 * In: a directory and, for a new cluster, its plan and nodes. Out: running nodes. Used by `dev` and `demo`; prints nothing.
 */
import * as fs from 'node:fs';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { systemClock } from '../clock.ts';
import { devNodeBeside } from '../cluster/dev-inventory.ts';
import * as processes from '../cluster/processes.ts';
import { KwamError } from '../errors.ts';
import { initAuthority, issueIdentity } from '../identity/identity-files.ts';
import { parseSpiffeId, parseTrustDomain } from '../identity/spiffe-id.ts';
import type { Inventory, InventoryNode } from '../language/inventory.ts';
import { canonicalJson } from '../manifest/canonical-json.ts';
import type { Plan, PlanNode } from '../plan.ts';
import { ADMIN, identityPath, inventoryPath, planPath, trustPath } from './cluster-directory.ts';
import { readInventory, writeInventory } from './inventory-file.ts';
import { programPath } from './package-root.ts';
import { readPlan, writePlan } from './plan-file.ts';
import { nodeFlags, type Ready } from './serve.ts';

/** Nobody renews the SVIDs of a development cluster while it runs; `dev up` does at each start. */
const SVID_VALID_MS = 30 * 24 * 3_600_000;
const READY_POLL_MS = 20;
const READY_MS_MAX = 30_000;

export interface DevNode extends PlanNode {
  readonly state: 'running' | 'dead' | 'stopped';
  readonly pid: number | undefined;
  /** Where it can be reached; known while it runs. */
  readonly ready: Ready | undefined;
  readonly directory: string;
  readonly logFile: string;
}

export type Warn = (line: string) => void;

/** What a cluster is made of; `file` is the program, beside which its public keys lie. */
export interface NewCluster {
  readonly file: string;
  readonly plan: Plan;
  readonly inventory: Inventory;
}

export class DevCluster {
  readonly directory: string;
  readonly #warn: Warn;
  readonly #control: string | undefined;

  /** @param control  where the control store is; left out, what the directory says. */
  constructor(directory: string, warn: Warn, control?: string) {
    this.directory = directory;
    this.#warn = warn;
    this.#control = control;
  }

  get exists(): boolean {
    return fs.existsSync(planPath(this.directory));
  }

  plan(): Plan {
    if (this.exists) return readPlan(planPath(this.directory));
    throw new KwamError(
      'ENVIRONMENT',
      `expected a cluster in ${this.directory}, found none; start one with: kwam-dp dev up --dir ${this.directory} --nodes 3`,
    );
  }

  /** The plan of a new cluster stands from its first good start on; a start that fails leaves none behind. */
  async createAndUp({ file, plan, inventory }: NewCluster): Promise<void> {
    nodeFlags(plan.memoryBytes);
    fs.mkdirSync(this.directory, { recursive: true });
    writeInventory(inventoryPath(this.directory), inventory);
    carryKeys(plan, dirname(file), trustPath(this.directory));
    writePlan(planPath(this.directory), plan);
    try {
      await this.up();
    } catch (error) {
      fs.rmSync(planPath(this.directory));
      throw error;
    }
  }

  /** Another plan for the same nodes, from the next start on. */
  adopt({ file, plan }: Pick<NewCluster, 'file' | 'plan'>): void {
    carryKeys(plan, dirname(file), trustPath(this.directory));
    const now = this.plan();
    if (canonicalJson(now) === canonicalJson(plan)) return;
    if (this.nodes().some((node) => node.state === 'running')) {
      throw new KwamError(
        'ALREADY_EXISTS',
        `expected a stopped cluster in ${this.directory} for another plan, got a running one; kwam-dp plan shows what would ` +
          'change, kwam-dp dev down stops it',
      );
    }
    nodeFlags(plan.memoryBytes);
    writePlan(planPath(this.directory), plan);
  }

  nodes(): DevNode[] {
    const known = new Map(processes.status(this.directory).map((one) => [one.name, one]));
    return this.plan().nodes.map((node) => {
      const { state = 'stopped', pid } = known.get(node.name) ?? {};
      return {
        ...node,
        state,
        pid,
        ready: state === 'running' ? this.#ready(node.name) : undefined,
        directory: join(this.directory, node.name),
        logFile: this.#logFile(node.name),
      };
    });
  }

  /** Starts the nodes that do not run, and returns when each is a member of the cluster. */
  async up(): Promise<readonly string[]> {
    const names = this.nodes()
      .filter((node) => node.state !== 'running')
      .map((node) => node.name);
    if (names.length === 0) {
      throw new KwamError(
        'ALREADY_EXISTS',
        `the cluster in ${this.directory} is running already; look at it with kwam-dp dev status, stop it with kwam-dp dev down`,
      );
    }
    await this.#start(names);
    return names;
  }

  /** One more node, which holds nothing yet, on a cluster that runs. */
  async add(): Promise<string> {
    const plan = this.plan();
    if (!this.nodes().some((node) => node.state === 'running')) {
      throw new KwamError(
        'ENVIRONMENT',
        `expected a running cluster in ${this.directory}, got a stopped one; start it with: kwam-dp dev up --dir ${this.directory}`,
      );
    }
    const inventory = readInventory(inventoryPath(this.directory));
    const [pool, [sibling]] = smallestPool(inventory);
    const node = devNodeBeside(sibling, plan.nodes.length, plan.trustDomain);
    writePlan(planPath(this.directory), withNode(plan, node, pool));
    try {
      await this.#start([node.name]);
    } catch (error) {
      writePlan(planPath(this.directory), plan);
      throw error;
    }
    const nodes = [...inventory.pools.get(pool)!, node];
    writeInventory(inventoryPath(this.directory), {
      ...inventory,
      pools: new Map([...inventory.pools, [pool, nodes]]),
    });
    return node.name;
  }

  /** Stops the named nodes or all of them; returns who was running. */
  async down(names?: readonly string[]): Promise<string[]> {
    this.plan();
    const stopped = await processes.stop(this.directory, { clock: systemClock, ...(names && { names }) });
    return stopped.map(({ name }) => name).sort();
  }

  kill(name: string): Promise<void> {
    return processes.kill(this.directory, name, systemClock);
  }

  async #start(names: readonly string[]): Promise<void> {
    const plan = this.plan();
    await this.#issue(plan);
    const specs = names.map((name) => this.#spec(plan, name));
    for (const name of names) fs.rmSync(this.#readyFile(name), { force: true });
    await processes.start(this.directory, specs, { clock: systemClock });
    await Promise.all(names.map((name) => this.#untilReadyz(name)));
  }

  #spec(plan: Plan, name: string): processes.ProcessSpec {
    const serve = ['serve', planPath(this.directory), '--dir', this.directory, '--node', name];
    if (this.#control !== undefined) serve.push('--control', this.#control);
    return {
      name,
      command: process.execPath,
      args: [...nodeFlags(plan.memoryBytes), programPath(), ...serve, '--ready-file', this.#readyFile(name)],
      logFile: this.#logFile(name),
      ready: { kind: 'file', path: this.#readyFile(name) },
    };
  }

  /** The authority once; SVIDs at every start, so that a cluster that stood still for a year starts again. */
  async #issue(plan: Plan): Promise<void> {
    const directory = identityPath(this.directory);
    const nowMs = Date.now();
    if (!fs.existsSync(join(directory, 'ca.pem'))) {
      await initAuthority(directory, parseTrustDomain(plan.trustDomain), { nowMs });
    }
    const clients = [{ name: ADMIN, spiffe: `spiffe://${plan.trustDomain}/client/${ADMIN}` }];
    for (const { name, spiffe } of [...plan.nodes, ...clients]) {
      const validity = { nowMs, validMs: SVID_VALID_MS };
      await issueIdentity(directory, name, parseSpiffeId(spiffe), validity, this.#warn);
    }
  }

  async #untilReadyz(name: string): Promise<void> {
    const deadline = systemClock.monotonic() + READY_MS_MAX;
    const url = `http://${this.#ready(name)?.metricsAddress}/readyz`;
    for (;;) {
      const answer = await fetch(url);
      const reasons = await answer.text();
      if (answer.ok) return;
      if (systemClock.monotonic() > deadline) {
        throw new KwamError('ENVIRONMENT', `expected ${name} to be ready, it says: ${reasons.trim()}`);
      }
      await systemClock.sleep(READY_POLL_MS);
    }
  }

  #ready(name: string): Ready | undefined {
    const file = this.#readyFile(name);
    return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as Ready) : undefined;
  }

  #logFile(name: string): string {
    return join(this.directory, 'logs', `${name}.log`);
  }

  #readyFile(name: string): string {
    return join(this.directory, 'run', `${name}.json`);
  }
}

/** Keys that are not there yet may be put there later: they are opened when a token is redeemed. */
function carryKeys({ policy }: Plan, from: string, to: string): void {
  for (const { key } of policy?.trustedKeys ?? []) {
    const path = 'pem' in key ? normalize(key.pem) : '..';
    const isBelow = !isAbsolute(path) && path.split(sep)[0] !== '..';
    if (!isBelow || !fs.existsSync(join(from, path))) continue;
    fs.mkdirSync(dirname(join(to, path)), { recursive: true });
    fs.copyFileSync(join(from, path), join(to, path));
  }
}

function smallestPool({ pools }: Inventory): [string, readonly InventoryNode[]] {
  return [...pools].toSorted(([, a], [, b]) => a.length - b.length)[0]!;
}

function withNode(plan: Plan, { address, ...node }: InventoryNode, pool: string): Plan {
  const added: PlanNode = { ...node, listen: address, metricsListen: address };
  const pools = plan.pools.map((one) =>
    one.name === pool ? { ...one, nodes: [...one.nodes, node.name] } : one,
  );
  return { ...plan, nodes: [...plan.nodes, added], pools };
}
