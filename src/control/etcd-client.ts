/**
 * Calls to an etcd of one or several members, over one connection each.
 * In: the members' addresses, TLS files, a clock. Out: answers within a bounded time, or a KwamError.
 * Holds: a request that may have been acted on is never sent twice unless its caller says that twice does no harm; a member
 * that does not answer, or has no leader, is left for the next one; one that lets a call time out loses its streams too, so that a
 * stopped process is found by whoever calls most often.
 * Source: etcd's client design, "balancer" and "retry" (etcd.io/docs, "etcd client design"); its keepalive enforcement of 5 s.
 * Does not know keys, and keeps no state between calls but which member served last.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { controlAttemptMs, controlCallMs, controlRetryMsMax } from '../limits.ts';
import type { EtcdFailure } from './etcd-errors.ts';
import { CallFailed, EtcdMember, type EtcdTls, type Stream } from './etcd-member.ts';
import type { Method } from './etcd-protocol.ts';
import { storeClosed } from './requests.ts';

const retryMsMin = 50;

export interface EtcdClientOptions {
  /** HOST:PORT. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  /** All that a call may take, over all members. */
  readonly callMs?: number;
}

/** `once`: not again when etcd may have acted on it. */
export type Repeat = 'once' | 'freely';

export class EtcdClient {
  readonly #members: readonly EtcdMember[];
  readonly #clock: Clock;
  readonly #callMs: number;
  readonly #closing = new AbortController();
  #current = 0;

  constructor({ endpoints, tls, clock, callMs = controlCallMs }: EtcdClientOptions) {
    this.#members = endpoints.map((endpoint) => new EtcdMember(endpoint, tls, clock));
    this.#clock = clock;
    this.#callMs = callMs;
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  call<Q, R>(method: Method<Q, R>, request: Q, repeat: Repeat): Promise<R> {
    const bytes = method.requestSerialize(request);
    return this.#tryMembers(repeat, (member, limitMs) => member.call(method, bytes, limitMs));
  }

  /** A stream on a member that has answered the first message. */
  open<Q, R>(method: Method<Q, R>, request: Q): Promise<Stream<R>> {
    const bytes = method.requestSerialize(request);
    return this.#tryMembers('freely', (member, limitMs) => member.open(method, bytes, limitMs));
  }

  close(): void {
    this.#closing.abort(storeClosed());
    for (const member of this.#members) member.close();
  }

  async #tryMembers<R>(repeat: Repeat, act: (member: EtcdMember, limitMs: number) => Promise<R>): Promise<R> {
    const untilMs = this.#clock.monotonic() + this.#callMs;
    let pauseMs = retryMsMin;
    let hope = false;
    for (let tried = 1; ; tried++) {
      this.closing.throwIfAborted();
      const limitMs = this.#limitOf(repeat, tried, untilMs - this.#clock.monotonic());
      const outcome = await this.#attempt(act, limitMs);
      if ('answer' in outcome) return outcome.answer;
      this.closing.throwIfAborted();
      const { error, mayHaveActed, passing } = outcome.failure;
      if (!passing) throw error;
      if (mayHaveActed && repeat === 'once') throw unknownFate(error);
      hope ||= error.retryable;
      if (this.#clock.monotonic() + pauseMs >= untilMs) throw error;
      if (tried % this.#members.length !== 0) continue;
      if (!hope) throw error;
      await this.#clock.sleep(pauseMs, this.closing);
      pauseMs = Math.min(2 * pauseMs, controlRetryMsMax);
      hope = false;
    }
  }

  /** What may be repeated is cut short while there is another member to ask; a transaction, whose fate would be unknown, is not. */
  #limitOf(repeat: Repeat, tried: number, remainingMs: number): number {
    if (repeat === 'once' || this.#members.length === 1) return remainingMs;
    return Math.min(remainingMs, controlAttemptMs * tried);
  }

  async #attempt<R>(
    act: (member: EtcdMember, limitMs: number) => Promise<R>,
    limitMs: number,
  ): Promise<{ readonly answer: R } | { readonly failure: EtcdFailure }> {
    const index = this.#current;
    try {
      return { answer: await act(this.#members[index]!, limitMs) };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      const { failure } = error;
      // Others may have moved on already; then their choice stands.
      if (failure.passing && this.#current === index) this.#current = (index + 1) % this.#members.length;
      return { failure };
    }
  }
}

function unknownFate(error: KwamError): KwamError {
  const message = `${error.message}; etcd may have done what was asked all the same: look before you repeat it`;
  return new KwamError(error.code, message, {
    cause: error,
    context: error.context,
    retryable: error.retryable,
  });
}
