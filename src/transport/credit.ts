/**
 * Byte credits: the only flow control of a stream, the same over every transport.
 *
 *   server                                      client
 *   CreditGate  --- message of n bytes --->     CreditReceiver: queue, at most creditBytes
 *   take(n) waits until n bytes are free        next() hands a message out; asking for the one after it
 *   grant(n) <------- credit n -----------      gives the bytes back, in steps of a quarter of the credit
 *
 * Messages are at most a quarter of the credit, so the bytes that are held back (less than a quarter) can never leave
 * the server waiting for room that nobody will free.
 */
import type { Clock } from '../clock.ts';
import { assert, KwamError } from '../errors.ts';
import { messageBytesMax } from '../limits.ts';

const STEPS = 4;

/** The largest message of a stream with this credit. */
export function messageBytesFor(creditBytes: number): number {
  return Math.max(1, Math.min(messageBytesMax, Math.floor(creditBytes / STEPS)));
}

interface Waiter {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The server's side: one sender takes, the wire grants. */
export class CreditGate {
  readonly creditBytes: number;
  readonly #clock: Clock;
  readonly #waited: (ms: number) => void;
  #available: number;
  #waiter: Waiter | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(creditBytes: number, clock: Clock, waited: (ms: number) => void) {
    this.creditBytes = creditBytes;
    this.#available = creditBytes;
    this.#clock = clock;
    this.#waited = waited;
  }

  async take(bytes: number): Promise<void> {
    assert(bytes <= this.creditBytes, 'a message fits the credit');
    assert(this.#waiter === undefined, 'one sender per stream');
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#available < bytes) {
      const since = this.#clock.monotonic();
      await new Promise<void>((resolve, reject) => {
        this.#waiter = { bytes, resolve, reject };
      });
      this.#waited(this.#clock.monotonic() - since);
    }
    this.#available -= bytes;
  }

  /** @throws KwamError PROTOCOL  the client returns more than it was sent. */
  grant(bytes: number): void {
    if (this.#available + bytes > this.creditBytes) {
      throw new KwamError(
        'PROTOCOL',
        `expected credit for at most ${this.creditBytes - this.#available} bytes in flight, got ${bytes}; run one version on all nodes`,
      );
    }
    this.#available += bytes;
    const waiter = this.#waiter;
    if (waiter === undefined || this.#available < waiter.bytes) return;
    this.#waiter = undefined;
    waiter.resolve();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#waiter?.reject(error);
    this.#waiter = undefined;
  }
}

/** What a receiver can tell its wire. */
export interface ReceiverWire {
  grant(bytes: number): void;
  cancel(): void;
}

interface Turn {
  readonly resolve: (message: Uint8Array | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** The client's side: the wire pushes as fast as it reads, one consumer takes at its own pace. */
export class CreditReceiver {
  readonly #creditBytes: number;
  readonly #wire: ReceiverWire;
  readonly #queue: Uint8Array[] = [];
  #inFlight = 0;
  #taken = 0;
  #owed = 0;
  #turn: Turn | undefined;
  #ended: { readonly error: unknown } | undefined;

  constructor(creditBytes: number, wire: ReceiverWire) {
    this.#creditBytes = creditBytes;
    this.#wire = wire;
  }

  push(message: Uint8Array): void {
    if (this.#ended !== undefined) return;
    this.#inFlight += message.length;
    if (this.#inFlight > this.#creditBytes) {
      this.fail(
        new KwamError(
          'PROTOCOL',
          `expected at most ${this.#creditBytes} bytes in flight, got ${this.#inFlight}`,
        ),
      );
      return;
    }
    const turn = this.#turn;
    if (turn === undefined) {
      this.#queue.push(message);
      return;
    }
    this.#turn = undefined;
    this.#taken = message.length;
    turn.resolve(message);
  }

  /** It ended or failed: there is nothing left to fail. */
  get isOver(): boolean {
    return this.#ended !== undefined;
  }

  /** The server has sent everything; what is queued is still delivered. */
  end(): void {
    this.#ended ??= { error: undefined };
    this.#turn?.resolve(undefined);
    this.#turn = undefined;
  }

  /** What is queued is dropped: a stream that failed has no useful rest. */
  fail(error: unknown, tellPeer = true): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#queue.length = 0;
    if (tellPeer) this.#wire.cancel();
    this.#turn?.reject(error);
    this.#turn = undefined;
  }

  /** Undefined at the end. Asking again says that the last message has been dealt with. */
  next(): Promise<Uint8Array | undefined> {
    assert(this.#turn === undefined, 'one consumer per stream');
    this.#giveBack();
    const message = this.#queue.shift();
    if (message !== undefined) {
      this.#taken = message.length;
      return Promise.resolve(message);
    }
    if (this.#ended !== undefined) {
      return this.#ended.error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#ended.error);
    }
    return new Promise((resolve, reject) => {
      this.#turn = { resolve, reject };
    });
  }

  #giveBack(): void {
    this.#owed += this.#taken;
    this.#taken = 0;
    if (this.#ended !== undefined || this.#owed === 0 || this.#owed * STEPS < this.#creditBytes) return;
    this.#inFlight -= this.#owed;
    this.#wire.grant(this.#owed);
    this.#owed = 0;
  }
}
