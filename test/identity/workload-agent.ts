/** Starts the agent process for a test file, tells it what to say, and stops it afterwards. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyedPem } from '../../src/identity/authority.ts';
import { derOfPem } from '../../src/identity/identity.ts';

export interface AgentSvid {
  readonly spiffeId: string;
  /** Base64 of DER, concatenated. */
  readonly chain: string;
  readonly key: string;
  readonly bundle: string;
}

export interface AgentState {
  readonly svids: readonly AgentSvid[];
  readonly federated?: Readonly<Record<string, string>>;
}

export type AgentOrder =
  | { readonly state: AgentState; readonly end?: boolean }
  | { readonly refuse: 'PERMISSION_DENIED' | 'INVALID_ARGUMENT' | 'UNAVAILABLE' };

const base64 = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('base64');

export const derBase64 = (pem: string): string => base64(derOfPem(pem, 'a test'));

export function agentSvid(spiffeId: string, pair: KeyedPem, bundlePem: string): AgentSvid {
  const key = pair.privateKeyPem.split('-----')[2]!.replace(/\s/g, '');
  return { spiffeId, key, chain: derBase64(pair.certificatePem), bundle: derBase64(bundlePem) };
}

export class TestAgent {
  readonly socket: string;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  /** Open streams, as the agent last said. */
  streams = 0;

  constructor() {
    this.#directory = fs.mkdtempSync(join(tmpdir(), 'kwam-agent-'));
    this.socket = join(this.#directory, 'agent.sock');
  }

  get endpoint(): string {
    return `unix://${this.socket}`;
  }

  async start(order: AgentOrder): Promise<void> {
    const program = join(import.meta.dirname, 'workload-agent-process.ts');
    const child = fork(program, [this.socket], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', (message: { streams?: number }) => {
      this.streams = message.streams ?? this.streams;
    });
    await once(child, 'message');
    this.say(order);
  }

  say(order: AgentOrder): void {
    this.#child!.send(order);
  }

  /** As kill -9 does: the socket stays behind. */
  async kill(): Promise<void> {
    const child = this.#child!;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    fs.rmSync(this.socket, { force: true });
  }

  async stop(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    }
    fs.rmSync(this.#directory, { recursive: true });
  }
}
