/**
 * Connections to the other nodes, by node name: opened when first needed, kept, and dropped when they fail.
 * A node's address and SPIFFE ID come from the membership; the transport proves the ID.
 */
import { KwamError } from '../errors.ts';
import type { Connection, JsonValue, PeerId, Transport } from '../transport/transport.ts';
import type { Member } from './membership.ts';

/** Finds who is there; a Membership, or a fixed list in tests. */
export interface Directory {
  members(): Promise<readonly Member[]>;
}

export class Peers {
  readonly self: string;
  readonly #transport: Transport;
  readonly #directory: Directory;
  readonly #open = new Map<string, Promise<Connection>>();

  constructor(self: string, transport: Transport, directory: Directory) {
    this.self = self;
    this.#transport = transport;
    this.#directory = directory;
  }

  /** Every known node, this one included. */
  async members(): Promise<readonly Member[]> {
    return this.#directory.members();
  }

  async up(): Promise<readonly Member[]> {
    return (await this.members()).filter((member) => member.state === 'up');
  }

  /** Calls a method and returns its last answer; the ones before go to `onProgress`. */
  async ask<Answer>(
    node: string,
    method: string,
    request: JsonValue,
    options: { signal?: AbortSignal; onProgress?: (value: JsonValue) => void } = {},
  ): Promise<Answer> {
    return this.#with(node, async (connection) => {
      let last: JsonValue | undefined;
      const signal = options.signal === undefined ? {} : { signal: options.signal };
      for await (const answer of connection.call(method, request, signal)) {
        if (last !== undefined) options.onProgress?.(last);
        last = answer;
      }
      if (last === undefined)
        throw new KwamError('PROTOCOL', `expected an answer to ${method} from ${node}, got none`);
      return last as Answer;
    });
  }

  async *pull(
    node: string,
    request: JsonValue,
    options: { creditBytes: number; signal?: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const connection = await this.#connection(node);
    try {
      yield* connection.pull(request, options);
    } catch (error) {
      this.#dropIfLost(node, error);
      throw error;
    }
  }

  async #with<T>(node: string, use: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await use(await this.#connection(node));
    } catch (error) {
      this.#dropIfLost(node, error);
      throw error;
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
    if (member === undefined || member.state !== 'up') {
      throw new KwamError(
        'UNAVAILABLE',
        `expected node ${node} to be up, it is ${member?.state ?? 'unknown'}`,
        {
          context: { node },
          retryable: true,
        },
      );
    }
    return this.#transport.connect(member.address, member.spiffe as PeerId);
  }

  #dropIfLost(node: string, error: unknown): void {
    if (!(error instanceof KwamError) || error.code !== 'UNAVAILABLE') return;
    const lost = this.#open.get(node);
    this.#open.delete(node);
    lost?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const connections = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    for (const one of connections) if (one.status === 'fulfilled') await one.value.close();
  }
}
