/**
 * One HTTP/2 connection of a client, with the credentials that it was made with.
 * In: a gRPC client, the streams that go over it, and in each handshake the first end of a certificate, ours or theirs. Out: word that it
 * ages (half of the time left is over: the next stream should shake hands anew), and its end: when that certificate ends, or after its
 * last stream once it was retired. So a stream is cut by a certificate only when it lasts longer than half of what was left of it.
 */
import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import type { CreditReceiver } from './credit.ts';
import { untilExpiry } from './expiry.ts';

/** With less than this left, a new connection would not live longer in any way that matters. */
const AGEING_MS_MIN = 60_000;

export interface LineOwner {
  ageing(line: Line): void;
  expired(line: Line, expiresAtMs: number): void;
  closed(line: Line): void;
}

/** Retired, it is given no more streams. */
export class Line {
  readonly #clock: Clock;
  readonly #owner: LineOwner;
  readonly #live = new Set<CreditReceiver>();
  #client: Client | undefined;
  #watching = new AbortController();
  #streams = 0;
  #isRetired = false;
  #isClosed = false;

  constructor(clock: Clock, owner: LineOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** @param client  made with `opened` of this line as what it tells. */
  over(client: Client): this {
    this.#client = client;
    return this;
  }

  get client(): Client {
    return this.#client!;
  }

  /** A handshake is done; gRPC may make more of them, after a lost connection. */
  opened(expiresAtMs: number): void {
    this.#watching.abort();
    this.#watching = new AbortController();
    if (!this.#isClosed) void this.#watch(expiresAtMs, this.#watching.signal);
  }

  async #watch(expiresAtMs: number, signal: AbortSignal): Promise<void> {
    const leftMs = expiresAtMs - this.#clock.now();
    const ages = async (): Promise<boolean> =>
      leftMs <= AGEING_MS_MIN || (await untilExpiry(this.#clock, () => expiresAtMs - leftMs / 2, signal));
    if (!(await ages())) return;
    if (leftMs > AGEING_MS_MIN) this.#owner.ageing(this);
    if (this.#isClosed) return;
    if (await untilExpiry(this.#clock, () => expiresAtMs, signal)) this.#owner.expired(this, expiresAtMs);
  }

  carry(stream: ClientDuplexStream<Buffer, Buffer>, receiver: CreditReceiver): void {
    this.#streams++;
    this.#live.add(receiver);
    // The last event of every stream, whatever became of it.
    stream.on('status', () => {
      this.#streams--;
      this.#live.delete(receiver);
      if (this.#isRetired && this.#streams === 0) this.close();
    });
  }

  retire(): void {
    this.#isRetired = true;
    if (this.#streams === 0) this.close();
  }

  /** Ends what runs over it. */
  fail(error: unknown): void {
    for (const receiver of this.#live) receiver.fail(error);
    this.#live.clear();
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watching.abort();
    this.#client?.close();
    this.#owner.closed(this);
  }
}
