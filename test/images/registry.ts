/** Starts the registry process for a test file and stops it afterwards; repositories are written as OCI layouts into its directory. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { OciContent } from './oci-content.ts';

export const USER = 'puller';
export const PASSWORD = 'correct horse';
export const TOKEN = 'a-token-for-this-repository';

interface RegistryAddresses {
  readonly registry: string;
  /** The same content under another origin. */
  readonly storage: string;
}

export interface SeenRequest {
  readonly host: string;
  readonly path: string;
  readonly authorization: string | null;
}

export class TestRegistry {
  readonly address: string;
  readonly storage: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, { registry, storage }: RegistryAddresses) {
    this.#child = child;
    this.#directory = directory;
    this.address = registry;
    this.storage = storage;
  }

  static async start(): Promise<TestRegistry> {
    const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-registry-'));
    const program = join(import.meta.dirname, 'registry-process.ts');
    const child = fork(program, [directory], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
    return new TestRegistry(child, directory, JSON.parse(line) as RegistryAddresses);
  }

  push(repository: string, content: OciContent): void {
    content.write(join(this.#directory, repository));
  }

  /** Every request to this repository so far. */
  async seen(repository: string): Promise<SeenRequest[]> {
    return (await this.#all()).filter(({ path }) => path.startsWith(`/v2/${repository}/`));
  }

  /** Every request for a token so far. */
  async tokens(): Promise<SeenRequest[]> {
    return (await this.#all()).filter(({ path }) => path.startsWith('/token'));
  }

  async #all(): Promise<SeenRequest[]> {
    const answer = await fetch(`http://${this.address}/seen`);
    return (await answer.json()) as SeenRequest[];
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
    fs.rmSync(this.#directory, { recursive: true });
  }
}
