/**
 * A real etcd of one or three members, for tests that break it.
 * In: how many members, options of theirs, TLS files. Out: processes on free loopback ports that are killed, paused and started
 * again by the pid that we started, and what they say of themselves over their JSON gateway (never through the code under test).
 * Debian's etcd-server, installed when missing. Does not judge anything: the tests do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackage } from '../setup/debian.ts';
import { until } from './cluster.ts';

/** Room for the largest transaction that kwam-dp makes; ARCHITECTURE.md tells operators the same. */
const LIMITS = ['--max-txn-ops=20000', '--max-request-bytes=25165824'];
/** Ports are free when they are chosen and may be taken when etcd listens on them. */
const TRIES = 3;

export interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface EtcdOptions {
  readonly members?: 1 | 3;
  /** Asks clients for certificates of this authority; the gateway is then not asked for anything. */
  readonly tls?: EtcdTls;
  readonly args?: readonly string[];
  /** Where its data lies; in memory by default. */
  readonly directory?: string;
}

interface Member {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  process: ChildProcess | undefined;
  log: string;
}

export class EtcdCluster {
  readonly #directory: string;
  readonly #members: readonly Member[];
  readonly #options: EtcdOptions;

  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    await ensureDebianPackage('etcd-server', '/usr/bin/etcd');
    for (let tried = 1; ; tried++) {
      const cluster = new EtcdCluster(await freePorts(2 * (options.members ?? 1)), options);
      try {
        await Promise.all(cluster.names.map((name) => cluster.startMember(name)));
        return cluster;
      } catch (error) {
        await cluster.close();
        if (tried === TRIES || !String(error).includes('address already in use')) throw error;
      }
    }
  }

  private constructor(ports: readonly number[], options: EtcdOptions) {
    const base = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    this.#directory = fs.mkdtempSync(join(options.directory ?? base, 'kwam-etcd-'));
    this.#options = options;
    this.#members = Array.from({ length: ports.length / 2 }, (_, i) => ({
      name: `etcd${i + 1}`,
      clientPort: ports[2 * i]!,
      peerPort: ports[2 * i + 1]!,
      process: undefined,
      log: '',
    }));
  }

  get names(): string[] {
    return this.#members.map(({ name }) => name);
  }

  /** HOST:PORT of each member, running or not. */
  get endpoints(): string[] {
    return this.#members.map(({ clientPort }) => `127.0.0.1:${clientPort}`);
  }

  get url(): string {
    return `${this.#options.tls ? 'etcds' : 'etcd'}://${this.endpoints.join(',')}`;
  }

  logOf(name: string): string {
    return this.#member(name).log;
  }

  /** Starts a member, for the first time or with what it has on disk; resolves when it serves. */
  async startMember(name: string): Promise<void> {
    const member = this.#member(name);
    if (member.process !== undefined) throw new Error(`${name} runs already`);
    // An etcd must not outlive a test runner that is killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '/usr/bin/etcd', ...this.#arguments(member)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    member.process = child;
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      member.log += text;
    });
    await until(
      () => {
        if (ended(child)) throw new Error(`${name} ended: ${member.log.split('\n').slice(-8).join('\n')}`);
        return this.#serves(member);
      },
      `${name} to serve: ${member.log.slice(-500)}`,
    );
  }

  #arguments({ name, clientPort, peerPort }: Member): string[] {
    const { tls, args = [] } = this.#options;
    const client = `${tls ? 'https' : 'http'}://127.0.0.1:${clientPort}`;
    const peers = this.#members.map((one) => `${one.name}=http://127.0.0.1:${one.peerPort}`);
    return [
      `--name=${name}`,
      `--data-dir=${join(this.#directory, name)}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=${peers.join(',')}`,
      '--log-level=warn',
      '--logger=zap',
      ...LIMITS,
      ...(tls
        ? [
            '--client-cert-auth',
            `--trusted-ca-file=${tls.ca}`,
            `--cert-file=${tls.cert}`,
            `--key-file=${tls.key}`,
          ]
        : []),
      ...args,
    ];
  }

  /** With TLS, listening has to do: the gateway would ask for a certificate. */
  async #serves({ clientPort }: Member): Promise<boolean> {
    if (this.#options.tls) return listens(clientPort);
    const answer = await fetch(`http://127.0.0.1:${clientPort}/health`).catch(() => undefined);
    return answer?.ok ?? false;
  }

  /** Asks one running member over its JSON gateway; keys and values are base64 there. */
  async gateway<T>(name: string, path: string, body: object = {}): Promise<T> {
    const { clientPort } = this.#member(name);
    const signal = AbortSignal.timeout(5_000);
    const answer = await fetch(`http://127.0.0.1:${clientPort}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal,
    });
    if (!answer.ok) throw new Error(`${name} answered ${path} with ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** The running member that leads; waits for an election to end. */
  async leader(): Promise<string> {
    let found: string | undefined;
    await until(async () => {
      for (const { name, process } of this.#members) {
        if (process === undefined) continue;
        const status = await this.gateway<Status>(name, 'maintenance/status').catch(() => undefined);
        if (status?.leader !== undefined && status.leader === status.header.member_id) found = name;
      }
      return found !== undefined;
    }, 'a leader');
    return found!;
  }

  /** kill -9; the others find out by themselves. */
  async kill(name: string): Promise<void> {
    const member = this.#member(name);
    const child = member.process!;
    member.process = undefined;
    if (ended(child)) return;
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
  }

  /** Kills whoever leads; returns its name. */
  async killLeader(): Promise<string> {
    const name = await this.leader();
    await this.kill(name);
    return name;
  }

  /** Its connections stay open and nothing answers on them. */
  pause(name: string): void {
    this.#member(name).process!.kill('SIGSTOP');
  }

  resume(name: string): void {
    this.#member(name).process!.kill('SIGCONT');
  }

  /** Ends every process that this object started and removes their directories. */
  async close(): Promise<void> {
    const running = this.#members.filter(({ process }) => process !== undefined);
    await Promise.all(running.map(({ name }) => this.kill(name)));
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  #member(name: string): Member {
    const member = this.#members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`no member ${name}, there are ${this.names.join(', ')}`);
    return member;
  }
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** All at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
