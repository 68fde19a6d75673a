/**
 * A command's view of a cluster: who is in it, and a way to ask.
 * In: --dir (members from the control store, our identity D/identity/admin) or --connect with an identity
 * (one node, without the others). Out: answers of nodes. Every message of a call but the last is progress.
 * Does not start anything (dev.ts) and keeps nothing running: `withCluster` closes what it opened.
 */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { type Member, Membership } from '../cluster/membership.ts';
import { openControl } from '../control/open-control.ts';
import { KwamError } from '../errors.ts';
import type { Identity } from '../identity/identity.ts';
import { loadIdentity } from '../identity/identity-files.ts';
import type { IdentitySource } from '../identity/identity-source.ts';
import { leaseMs } from '../limits.ts';
import { parseAddress } from '../transport/address.ts';
import { grpcTransport } from '../transport/grpc.ts';
import type { Connection, JsonValue, PeerId, Transport } from '../transport/transport.ts';
import { ADMIN, clusterDirectory, controlPath, controlUrl, identityPath } from './cluster-directory.ts';
import type { Shell } from './shell.ts';
import { startProgress } from './terminal.ts';

export interface ClusterOptions {
  readonly dir?: string;
  readonly connect?: string;
  readonly identity?: string;
  readonly node?: string;
  /** Set by our own code, which does not ask the environment. */
  readonly control?: string;
}

export function addClusterOptions(command: Command): Command {
  return command
    .option('--dir <directory>', 'directory of a cluster on this machine (default: $KWAM_DIR or ./.kwam)')
    .option('--connect <host:port>', 'one node, wherever it is; needs --identity')
    .option(
      '--identity <source>',
      'who we are, for --connect: DIRECTORY/NAME with ca.pem there, or unix:///SOCKET of an agent',
    );
}

export function addNodeOption(command: Command): Command {
  return command.option('--node <name>', 'the node to ask (default: the first that is up)');
}

/** What is known of a node without asking it. */
export type NodeName = Pick<Member, 'name' | 'address' | 'state'> & Partial<Member>;

export interface NodeProgress {
  readonly what: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Where the members come from; the two ways of finding a cluster differ in nothing else. */
interface Source {
  members(): Promise<readonly NodeName[]>;
  close(): Promise<void>;
}

export async function withCluster<T>(
  shell: Shell,
  options: ClusterOptions,
  use: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await openCluster(shell, options);
  try {
    return await use(cluster);
  } finally {
    await cluster.close();
  }
}

async function openCluster(shell: Shell, options: ClusterOptions): Promise<Cluster> {
  const warn = (line: string): void => shell.note(`kwam-dp: ${line}`);
  if (options.connect !== undefined) return openRemote(shell, options, options.connect);
  if (options.identity !== undefined) {
    throw new KwamError('USAGE', 'expected --identity together with --connect; a local cluster has its own');
  }
  const directory = clusterDirectory(shell, options.dir);
  const url = controlUrl(shell, options.control);
  if (url === undefined && !existsSync(controlPath(directory))) throw notThere(directory);
  const identity = loadIdentity(identityPath(directory), ADMIN, Date.now(), warn);
  const source = await observe(directory, url);
  return new Cluster(shell, { directory, identity, source, node: options.node });
}

async function openRemote(shell: Shell, options: ClusterOptions, address: string): Promise<Cluster> {
  parseAddress(address);
  if (options.identity === undefined || options.dir !== undefined) {
    throw new KwamError('USAGE', 'expected --connect with --identity and without --dir');
  }
  if (options.identity.startsWith('secret://')) {
    throw new KwamError(
      'USAGE',
      'expected --identity DIRECTORY/NAME or unix:///SOCKET, got a secret, which has no authorities',
    );
  }
  const wish = { from: options.identity, directory: '.', name: '' };
  // Loaded only here: the Workload API and the readers of secrets take a quarter of a command's processor time at start.
  const { chooseIdentity } = await import('./choose-identity.ts');
  const identity = await chooseIdentity(shell, wish)();
  const only: NodeName = { name: options.node ?? address, address, state: 'up' };
  return new Cluster(shell, {
    identity,
    address,
    source: { members: async () => [only], close: () => identity.close() },
  });
}

async function observe(directory: string, url: string | undefined): Promise<Source> {
  const { store: control } = await openControl({
    directory: controlPath(directory),
    url,
    clock: systemClock,
  });
  try {
    const membership = await Membership.observe(control, systemClock);
    return {
      members: () => membership.members(),
      close: async () => {
        await membership.leave();
        await control.close();
      },
    };
  } catch (error) {
    await control.close();
    throw error;
  }
}

function notThere(directory: string): KwamError {
  return new KwamError(
    'ENVIRONMENT',
    `expected a cluster in ${directory}, found none; start one with: kwam-dp dev up --dir ${directory} --nodes 3`,
    { context: { directory } },
  );
}

function notRunning(directory: string | undefined): KwamError {
  return new KwamError(
    'ENVIRONMENT',
    `expected a running node in ${directory}, found none; start the cluster with: kwam-dp dev up --dir ${directory}`,
    { retryable: true },
  );
}

interface ClusterParts {
  readonly identity: Identity | IdentitySource;
  readonly source: Source;
  readonly directory?: string;
  /** Set when the cluster was found by --connect. */
  readonly address?: string;
  readonly node?: string | undefined;
}

export interface Gathered<Result> {
  readonly answers: ReadonlyMap<string, Result>;
  /** Up as far as the control store knows, and did not answer. */
  readonly silent: readonly string[];
}

/** Its progress counts packs; every other call's counts bytes. */
export const REPAIR = 'node.repair';
const SETTLE_POLL_MS = 100;

export class Cluster {
  readonly directory: string | undefined;
  readonly address: string | undefined;
  readonly #shell: Shell;
  readonly #parts: ClusterParts;
  readonly #transport: Transport;
  readonly #open = new Map<string, Promise<Connection>>();

  constructor(shell: Shell, parts: ClusterParts) {
    this.directory = parts.directory;
    this.address = parts.address;
    this.#shell = shell;
    this.#parts = parts;
    this.#transport = grpcTransport({ credentials: parts.identity });
  }

  members(): Promise<readonly NodeName[]> {
    return this.#parts.source.members();
  }

  async up(): Promise<readonly NodeName[]> {
    const up = (await this.members()).filter((member) => member.state === 'up');
    if (up.length === 0) throw notRunning(this.directory);
    return up;
  }

  /** The node that --node names; otherwise the first that answers, one that stores data before one that does not. */
  async choose(): Promise<string> {
    const up = await this.up();
    if (this.#parts.node !== undefined) return this.#named(this.#parts.node);
    const ordered = up.toSorted((a, b) => Number((b.weight ?? 1) > 0) - Number((a.weight ?? 1) > 0));
    let last: unknown;
    for (const { name } of ordered) {
      try {
        await this.#connection(name);
        return name;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        last = error;
      }
    }
    throw last;
  }

  async #named(name: string): Promise<string> {
    const members = await this.members();
    const state = members.find((member) => member.name === name)?.state;
    if (state === 'up') return name;
    const known = members.map((member) => `${member.name} (${member.state})`).join(', ');
    throw new KwamError(
      state === undefined ? 'USAGE' : 'ENVIRONMENT',
      `expected --node to be a node that is up, got ${JSON.stringify(name)}; there are ${known}`,
    );
  }

  /** Asks the chosen node and draws its progress. */
  async askOne<Result>(method: string, request: JsonValue): Promise<Result> {
    const node = await this.choose();
    const progress = startProgress(this.#shell.output);
    try {
      return await this.ask<Result>(node, method, request, ({ what, bytesDone, bytesTotal }) =>
        progress.update(what, bytesDone, bytesTotal),
      );
    } finally {
      progress.end();
    }
  }

  /** Asks all nodes that are up, at the same time. A node that cannot be reached is named, not fatal. */
  async askAll<Result>(method: string, request: JsonValue): Promise<Gathered<Result>> {
    const answers = new Map<string, Result>();
    const silent: string[] = [];
    const progress = startProgress(this.#shell.output, method === REPAIR ? 'packs' : 'bytes');
    const latest = new Map<string, NodeProgress>();
    const draw = (name: string, one: NodeProgress): void => {
      latest.set(name, one);
      progress.update(one.what, sumOf(latest, 'bytesDone'), sumOf(latest, 'bytesTotal'));
    };
    const asked = (await this.up()).map(async ({ name }) => {
      try {
        answers.set(name, await this.ask<Result>(name, method, request, (one) => draw(name, one)));
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        silent.push(name);
      }
    });
    try {
      for (const settled of await Promise.allSettled(asked)) {
        if (settled.status === 'rejected') throw settled.reason;
      }
    } finally {
      progress.end();
    }
    return { answers, silent: silent.sort() };
  }

  async ask<Result>(
    node: string,
    method: string,
    request: JsonValue,
    onProgress: (progress: NodeProgress) => void = () => undefined,
  ): Promise<Result> {
    const connection = await this.#connection(node);
    const { signal } = this.#shell;
    try {
      for await (const answer of connection.call(method, request, { signal })) {
        const fields = answer as { progress?: NodeProgress; result?: Result };
        if (fields.result !== undefined) return fields.result;
        if (fields.progress !== undefined) onProgress(fields.progress);
      }
    } catch (error) {
      // Says which signal it was, where the transport only knows that its caller left.
      signal.throwIfAborted();
      throw error;
    }
    throw new KwamError('PROTOCOL', `expected ${node} to answer ${method}, got no result; look at its log`);
  }

  /**
   * Waits until the control store agrees that these nodes are gone, which takes as long as a lease lives.
   * False when one of them is still listed as up: it may be cut off from us only.
   */
  async settle(silent: readonly string[]): Promise<boolean> {
    const deadline = systemClock.monotonic() + 2 * leaseMs;
    for (const name of silent) this.#forget(name);
    for (;;) {
      const up = new Set((await this.members()).filter((one) => one.state === 'up').map((one) => one.name));
      if (!silent.some((name) => up.has(name))) return true;
      if (systemClock.monotonic() > deadline) return false;
      await systemClock.sleep(SETTLE_POLL_MS, this.#shell.signal);
    }
  }

  #connection(node: string): Promise<Connection> {
    const known = this.#open.get(node);
    if (known !== undefined) return known;
    const opening = this.#connect(node);
    this.#open.set(node, opening);
    opening.catch(() => this.#open.delete(node));
    return opening;
  }

  async #connect(node: string): Promise<Connection> {
    const member = (await this.members()).find((one) => one.name === node);
    if (member === undefined) throw new KwamError('NOT_FOUND', `no node is named ${JSON.stringify(node)}`);
    return this.#transport.connect(member.address, member.spiffe as PeerId | undefined);
  }

  #forget(node: string): void {
    const lost = this.#open.get(node);
    this.#open.delete(node);
    lost?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    await this.#transport.close();
    await this.#parts.source.close();
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof KwamError && error.code === 'UNAVAILABLE';
}

function sumOf(all: ReadonlyMap<string, NodeProgress>, field: 'bytesDone' | 'bytesTotal'): number {
  let sum = 0;
  for (const one of all.values()) sum += one[field];
  return sum;
}
