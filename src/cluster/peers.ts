/**
 * Connections to the other nodes, by node name: opened when first needed, kept, and dropped when they fail.
 * A node's address and SPIFFE ID come from the membership; the transport proves the ID.
 */
import { type Clock, systemClock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { controlPollMs } from '../limits.ts';
import type { Connection, JsonValue, PeerId, Transport } from '../transport/transport.ts';
import type { Member } from './membership.ts';

/** Finds who is there; a Membership, or a fixed list in tests. */
export interface Directory {
  members(): Promise<readonly Member[]>;
}

interface Opened {
  /** Where the node was when the connection was opened: a node that starts again is elsewhere. */
  readonly address: string;
  readonly connection: Promise<Connection>;
}

/** A node that has just started again is known to the others after one look at the control store. */
const NEWS_MS = 1.5 * controlPollMs;

export class Peers {
  readonly self: string;
  readonly #transport: Transport;
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #open = new Map<string, Opened>();

  constructor(self: string, transport: Transport, directory: Directory, clock: Clock = systemClock) {
    this.self = self;
    this.#transport = transport;
    this.#directory = directory;
    this.#clock = clock;
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
    let hasAnswered = false;
    for (let tries = 1; ; tries++) {
      const opened = await this.#opened(node);
      try {
        for await (const bytes of (await opened.connection).pull(request, options)) {
          hasAnswered = true;
          yield bytes;
        }
        return;
      } catch (error) {
        this.#dropIfLost(node, opened, error);
        if (tries > 1 || hasAnswered || !(await this.#hasMoved(node, opened, error))) throw error;
      }
    }
  }

  /** What nodes ask of each other may be asked twice; a node that moved is asked again where it is now. */
  async #with<T>(node: string, use: (connection: Connection) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const opened = await this.#opened(node);
      try {
        return await use(await opened.connection);
      } catch (error) {
        this.#dropIfLost(node, opened, error);
        if (tries > 1 || !(await this.#hasMoved(node, opened, error))) throw error;
      }
    }
  }

  /** True when the connection was to an earlier process of the node, so that the failure says nothing about this one. */
  async #hasMoved(node: string, opened: Opened, error: unknown): Promise<boolean> {
    if (!isLost(error)) return false;
    const isElsewhere = async (): Promise<boolean> => {
      const member = (await this.members()).find((one) => one.name === node);
      return member?.state === 'up' && member.address !== opened.address;
    };
    if (await isElsewhere()) return true;
    await this.#clock.sleep(NEWS_MS);
    return isElsewhere();
  }

  async #opened(node: string): Promise<Opened> {
    const member = (await this.members()).find((one) => one.name === node);
    const known = this.#open.get(node);
    if (known !== undefined && (member === undefined || known.address === member.address)) return known;
    if (known !== undefined) this.#drop(node, known);
    if (member === undefined || member.state !== 'up') throw notUp(node, member?.state);
    const { address } = member;
    const opened = { address, connection: this.#transport.connect(address, member.spiffe as PeerId) };
    this.#open.set(node, opened);
    opened.connection.catch(() => this.#open.get(node) === opened && this.#open.delete(node));
    return opened;
  }

  #dropIfLost(node: string, opened: Opened, error: unknown): void {
    if (isLost(error)) this.#drop(node, opened);
  }

  #drop(node: string, lost: Opened): void {
    if (this.#open.get(node) === lost) this.#open.delete(node);
    lost.connection.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const opened = [...this.#open.values()].map((one) => one.connection);
    const connections = await Promise.allSettled(opened);
    this.#open.clear();
    for (const one of connections) if (one.status === 'fulfilled') await one.value.close();
  }
}

function notUp(node: string, state: string | undefined): KwamError {
  return new KwamError('UNAVAILABLE', `expected node ${node} to be up, it is ${state ?? 'unknown'}`, {
    context: { node },
    retryable: true,
  });
}

/** An error that the peer itself reported names it: then the connection is sound, and others are using it. */
function isLost(error: unknown): boolean {
  return error instanceof KwamError && error.code === 'UNAVAILABLE' && error.context['peer'] === undefined;
}
