/** Starts the Vault-like process for a test file and stops it afterwards. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface VaultVersion {
  readonly data: Readonly<Record<string, unknown>>;
  readonly deletedAt?: string;
  readonly destroyed?: boolean;
}

export interface VaultContent {
  readonly token: string;
  readonly namespace?: string;
  /** MOUNT/PATH to its versions, the first one first. */
  readonly secrets: Readonly<Record<string, readonly VaultVersion[]>>;
  readonly tls?: { readonly key: string; readonly cert: string };
}

export class TestVault {
  readonly address: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.address = address;
  }

  static async start(content: VaultContent): Promise<TestVault> {
    const file = join(fs.mkdtempSync(join(tmpdir(), 'kwam-vault-')), 'content.json');
    fs.writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
    const program = join(import.meta.dirname, 'vault-process.ts');
    const child = fork(program, [file], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
    fs.rmSync(file);
    fs.rmdirSync(join(file, '..'));
    return new TestVault(child, (JSON.parse(line) as { address: string }).address);
  }

  /** How many times it was asked. Of a plain one only. */
  async requests(): Promise<number> {
    const answer = await fetch(`${this.address}/requests`);
    return ((await answer.json()) as { requests: number }).requests;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}
