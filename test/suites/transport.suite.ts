/**
 * What every Transport must do. Run against the memory twin and against gRPC on loopback.
 * No test depends on timing: they wait for events, and prove absence by counting when everything else has stopped.
 */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { callMessageBytesMax, MIB, streamCreditBytesMax } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import type {
  CallContext,
  Connection,
  Handler,
  JsonValue,
  Listener,
  PeerId,
  Transport,
  TransportObserver,
} from '../../src/transport/transport.ts';

export interface TransportPair {
  readonly server: Transport;
  readonly client: Transport;
  readonly serverId: PeerId;
  readonly clientId: PeerId;
  /** HOST:PORT to listen on; port 0. */
  readonly address: string;
}

/** Two transports that trust each other; the observer is the server's. */
export type MakePair = (observer: TransportObserver) => Promise<TransportPair>;

type PullHandler = (request: JsonValue, context: CallContext) => AsyncIterable<Uint8Array>;
type CallHandler = (method: string, request: JsonValue, context: CallContext) => AsyncIterable<JsonValue>;

async function* nothing(): AsyncGenerator<never> {}

export function handlerOf(parts: { call?: CallHandler; pull?: PullHandler }): Handler {
  return { call: parts.call ?? nothing, pull: parts.pull ?? nothing };
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

export async function errorOf(promise: Promise<unknown>): Promise<KwamError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof KwamError) return error;
  throw new Error('expected a KwamError', { cause: error });
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Waits until `read` has given the same value for many turns of the event loop: whatever was moving has stopped. */
async function settled(read: () => number): Promise<number> {
  for (let last = read(), same = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await turn();
    if (read() !== last) same = 0;
    last = read();
    if (++same === 20) return last;
  }
}

function patternBytes(bytes: number, seed: number): Uint8Array {
  return seededRandom(seed).fill(new Uint8Array(bytes));
}

export function transportSuite(name: string, makePair: MakePair): void {
  describe(`transport ${name}`, () => {
    let pair: TransportPair;
    let listener: Listener;
    let connection: Connection;
    let sent = 0;
    let waits = 0;

    beforeEach(async () => {
      sent = 0;
      waits = 0;
      pair = await makePair({
        sent: (_peer, bytes) => {
          sent += bytes;
        },
        received: () => undefined,
        waitedForCredit: () => {
          waits++;
        },
      });
    });

    afterEach(async () => {
      await pair.client.close();
      await pair.server.close();
    });

    async function serve(handler: Handler): Promise<void> {
      listener = await pair.server.listen(pair.address, handler);
      connection = await pair.client.connect(listener.address, pair.serverId);
    }

    test('both sides know each other', async () => {
      let seen: string | undefined;
      let from: string | undefined;
      await serve(
        handlerOf({
          async *call(method, request, { peer, address }) {
            seen = peer;
            from = address;
            yield { method, request };
          },
        }),
      );
      const answers = await collect(connection.call('echo', { a: [1, 'ü', null, true] }));
      expect(answers).toEqual([{ method: 'echo', request: { a: [1, 'ü', null, true] } }]);
      expect(seen).toBe(pair.clientId);
      expect(from).toBe('127.0.0.1');
      expect(connection.peer).toBe(pair.serverId);
    });

    test('the peer is found out when none is expected', async () => {
      await serve(handlerOf({}));
      const other = await pair.client.connect(listener.address, undefined);
      expect(other.peer).toBe(pair.serverId);
    });

    test('a wrong peer is refused by both names', async () => {
      await serve(handlerOf({}));
      const wrong = 'spiffe://kwam.test/node/other' as PeerId;
      const error = await errorOf(pair.client.connect(listener.address, wrong));
      expect(error.code).toBe('UNAUTHENTICATED');
      expect(error.message).toContain(
        `expected ${wrong}, the server at ${listener.address} presented ${pair.serverId}`,
      );
      expect(error.retryable).toBe(false);
    });

    test('answers arrive in order, all of them', async () => {
      await serve(
        handlerOf({
          async *call(_method, request) {
            for (let i = 0; i < Number(request); i++) yield i;
          },
        }),
      );
      expect(await collect(connection.call('count', 2000))).toEqual(
        Array.from({ length: 2000 }, (_, i) => i),
      );
      expect(await collect(connection.call('count', 0))).toEqual([]);
    });

    test('many small calls, fifty at a time', async () => {
      await serve(
        handlerOf({
          async *call(_method, request) {
            yield request;
          },
        }),
      );
      for (let round = 0; round < 10; round++) {
        const wanted = Array.from({ length: 50 }, (_, i) => round * 50 + i);
        const got = await Promise.all(wanted.map((i) => collect(connection.call('echo', i))));
        expect(got.flat()).toEqual(wanted);
      }
    });

    test('64 MiB of uneven pieces, the same bytes', async () => {
      const source = patternBytes(64 * MIB, 1);
      const random = seededRandom(2);
      await serve(
        handlerOf({
          async *pull() {
            for (let at = 0; at < source.length; ) {
              const bytes = 1 + random.below(3 * MIB);
              yield source.subarray(at, at + bytes);
              at += bytes;
            }
          },
        }),
      );
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const piece of connection.pull('all', { creditBytes: 4 * MIB })) {
        hash.update(piece);
        bytes += piece.length;
      }
      expect(bytes).toBe(source.length);
      expect(hash.digest('hex')).toBe(createHash('sha256').update(source).digest('hex'));
    });

    test('a handler may reuse its buffer', async () => {
      await serve(
        handlerOf({
          async *pull() {
            const buffer = new Uint8Array(100_000);
            for (let i = 0; i < 100; i++) yield buffer.fill(i);
          },
        }),
      );
      const pieces = await collect(connection.pull(null, { creditBytes: MIB }));
      const all = Buffer.concat(pieces);
      expect(all.length).toBe(10_000_000);
      for (let i = 0; i < all.length; i += 997) expect(all[i]).toBe(Math.floor(i / 100_000));
    });

    test('zero bytes, and empty pieces between others', async () => {
      await serve(
        handlerOf({
          async *pull(request) {
            if (request === 'none') return;
            yield new Uint8Array();
            yield Uint8Array.of(1);
            yield new Uint8Array();
            yield Uint8Array.of(2, 3);
          },
        }),
      );
      expect(await collect(connection.pull('none'))).toEqual([]);
      expect([...Buffer.concat(await collect(connection.pull('some')))]).toEqual([1, 2, 3]);
    });

    test.each([1, 3, 5, 1000, 64 * 1024])(
      'a consumer that stops taking stops the server: credit %i',
      async (creditBytes) => {
        let produced = 0;
        await serve(
          handlerOf({
            async *pull() {
              for (let i = 0; i < 50; i++) {
                produced++;
                yield new Uint8Array(creditBytes).fill(7);
              }
            },
          }),
        );
        const stream = connection.pull(null, { creditBytes })[Symbol.asyncIterator]();
        await stream.next();
        expect(await settled(() => sent)).toBeLessThanOrEqual(creditBytes);
        expect(produced).toBeLessThan(50);
        let rest = 0;
        for (let piece = await stream.next(); piece.done !== true; piece = await stream.next())
          rest += piece.value.length;
        expect(produced).toBe(50);
        expect(sent).toBe(50 * creditBytes);
        expect(rest).toBeLessThan(sent);
        expect(waits).toBeGreaterThan(0);
      },
    );

    test('never more in flight than the credit, at any step', async () => {
      const creditBytes = 40_000;
      await serve(
        handlerOf({
          async *pull() {
            for (let i = 0; i < 40; i++) yield new Uint8Array(20_011);
          },
        }),
      );
      let taken = 0;
      let most = 0;
      for await (const piece of connection.pull(null, { creditBytes })) {
        await turn();
        most = Math.max(most, sent - taken);
        taken += piece.length;
      }
      expect(taken).toBe(40 * 20_011);
      expect(most).toBeGreaterThan(creditBytes / 2);
      expect(most).toBeLessThanOrEqual(creditBytes);
    });

    test('streams that nobody reads do not hold up others', async () => {
      await serve(
        handlerOf({
          async *pull(request) {
            for (let i = 0; i < Number(request); i++) yield new Uint8Array(MIB);
          },
          async *call() {
            yield 'alive';
          },
        }),
      );
      const idle = Array.from({ length: 10 }, () =>
        connection.pull(16, { creditBytes: 8 * MIB })[Symbol.asyncIterator](),
      );
      await Promise.all(idle.map((stream) => stream.next()));
      await settled(() => sent);
      expect(await collect(connection.call('ping', null))).toEqual(['alive']);
      expect(Buffer.concat(await collect(connection.pull(12))).length).toBe(12 * MIB);
      await Promise.all(idle.map((stream) => stream.return?.()));
    });

    test('fifty streams at once', async () => {
      await serve(
        handlerOf({
          async *pull(request) {
            for (let i = 0; i < 8; i++) yield patternBytes(50_000, Number(request) * 8 + i);
          },
        }),
      );
      const pullOne = async (seed: number) => {
        const got = Buffer.concat(await collect(connection.pull(seed, { creditBytes: 30_000 })));
        const wanted = Buffer.concat(Array.from({ length: 8 }, (_, i) => patternBytes(50_000, seed * 8 + i)));
        return got.equals(wanted);
      };
      const all = await Promise.all(Array.from({ length: 50 }, (_, seed) => pullOne(seed)));
      expect(all.every(Boolean)).toBe(true);
    });

    test('a consumer that leaves stops the handler', async () => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      let cleanedUp = false;
      await serve(
        handlerOf({
          async *pull(_request, { signal }) {
            signal.addEventListener('abort', () => resolve(signal.reason));
            try {
              for (;;) yield new Uint8Array(1000);
            } finally {
              cleanedUp = true;
            }
          },
        }),
      );
      for await (const _piece of connection.pull(null)) break;
      expect(await promise).toBeInstanceOf(KwamError);
      await settled(() => (cleanedUp ? 1 : 0));
      expect(cleanedUp).toBe(true);
    });

    test.each(['call', 'pull'] as const)('an abort signal ends a waiting %s on both sides', async (kind) => {
      const started = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<void>();
      async function* forever(signal: AbortSignal): AsyncGenerator<never> {
        started.resolve();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        ended.resolve();
      }
      await serve(
        handlerOf({
          call: (_m, _r, { signal }) => forever(signal),
          pull: (_r, { signal }) => forever(signal),
        }),
      );
      const control = new AbortController();
      const { signal } = control;
      const stream: AsyncIterable<unknown> =
        kind === 'call' ? connection.call('wait', null, { signal }) : connection.pull(null, { signal });
      const failed = errorOf(collect(stream));
      await started.promise;
      control.abort(new Error('the user changed their mind'));
      const error = await failed;
      expect(error.code).toBe('CANCELLED');
      expect((error.cause as Error).message).toBe('the user changed their mind');
      await ended.promise;
      expect((await errorOf(collect(connection.call('x', null, { signal })))).code).toBe('CANCELLED');
    });

    test('an error of the handler keeps code, message, context and retryable', async () => {
      await serve(
        handlerOf({
          async *call() {
            yield 1;
            throw new KwamError('DISK_FULL', 'expected room for 5 bytes, got none; delete something ☃', {
              context: { bytes: 5, path: 'D/x' },
              retryable: true,
            });
          },
          async *pull() {
            yield Uint8Array.of(1);
            throw new KwamError('PACK_INVALID', 'rotten');
          },
        }),
      );
      const got: JsonValue[] = [];
      const error = await errorOf(
        (async () => {
          for await (const answer of connection.call('x', null)) got.push(answer);
        })(),
      );
      expect(error).toMatchObject({
        code: 'DISK_FULL',
        message: 'expected room for 5 bytes, got none; delete something ☃',
        retryable: true,
        context: { bytes: 5, path: 'D/x', peer: pair.serverId },
      });
      const second = await errorOf(collect(connection.pull(null)));
      expect(second).toMatchObject({ code: 'PACK_INVALID', retryable: false });
    });

    test('a bug in the handler is INTERNAL, and a huge error text is cut', async () => {
      await serve(
        handlerOf({
          async *call(method) {
            if (method === 'bug') throw new TypeError('x is not a function');
            yield 1;
            const long = '"\n\u0001'.repeat(100_000);
            throw new KwamError('IO', long, { context: { a: long, b: long, c: long } });
          },
        }),
      );
      const bug = await errorOf(collect(connection.call('bug', null)));
      expect(bug.code).toBe('INTERNAL');
      expect(bug.message).toContain('x is not a function');
      const long = await errorOf(collect(connection.call('long', null)));
      expect(long.code).toBe('IO');
      expect(long.message.length).toBeLessThan(2000);
    });

    test('a message above the bound is refused with both numbers', async () => {
      const tooLong = 'x'.repeat(callMessageBytesMax);
      await serve(
        handlerOf({
          async *call() {
            yield tooLong;
          },
        }),
      );
      for (const request of [tooLong, null]) {
        const error = await errorOf(collect(connection.call('x', request)));
        expect(error.code).toBe('LIMIT_EXCEEDED');
        expect(error.message).toContain(`${callMessageBytesMax}`);
      }
      const greedy = await errorOf(collect(connection.pull(null, { creditBytes: streamCreditBytesMax + 1 })));
      expect(greedy.code).toBe('PROTOCOL');
    });

    test('the largest answers pass, many of them', async () => {
      const large = 'x'.repeat(callMessageBytesMax - 2);
      await serve(
        handlerOf({
          async *call() {
            for (let i = 0; i < 12; i++) yield large;
          },
        }),
      );
      const answers = await collect(connection.call('x', large.slice(100)));
      expect(answers.length).toBe(12);
      expect(answers.every((answer) => answer === large)).toBe(true);
    });

    test('a listener that closes ends running streams; the port is free again', async () => {
      const ended = Promise.withResolvers<void>();
      await serve(
        handlerOf({
          async *pull(_request, { signal }) {
            yield Uint8Array.of(1);
            await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
            ended.resolve();
          },
        }),
      );
      const stream = connection.pull(null)[Symbol.asyncIterator]();
      await stream.next();
      const failed = errorOf(stream.next());
      await listener.close();
      expect(await failed).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      await ended.promise;
      const again = await pair.server.listen(listener.address, handlerOf({}));
      expect(again.address).toBe(listener.address);
    });

    test('a connection that closes ends its streams and refuses new ones', async () => {
      await serve(
        handlerOf({
          async *pull() {
            for (;;) yield new Uint8Array(10);
          },
        }),
      );
      const stream = connection.pull(null)[Symbol.asyncIterator]();
      await stream.next();
      await connection.close();
      await connection.close();
      const drained = (async () => {
        while ((await stream.next()).done !== true);
      })();
      expect((await errorOf(drained)).code).toBe('UNAVAILABLE');
      expect((await errorOf(collect(connection.call('x', null)))).code).toBe('UNAVAILABLE');
    });

    test('nobody there is UNAVAILABLE and retryable', async () => {
      await serve(handlerOf({}));
      await listener.close();
      expect(await errorOf(pair.client.connect(listener.address, undefined))).toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
      });
    });

    test('a taken port names itself', async () => {
      await serve(handlerOf({}));
      const error = await errorOf(pair.server.listen(listener.address, handlerOf({})));
      expect(error.code).toBe('ENVIRONMENT');
      expect(error.message).toContain(listener.address);
    });

    test.each(['', 'localhost', 'a b:1', '[::1]', 'x:99999', ':80'])('%j is no address', async (address) => {
      expect((await errorOf(pair.server.listen(address, handlerOf({})))).code).toBe('USAGE');
      expect((await errorOf(pair.client.connect(address, undefined))).code).toBe('USAGE');
    });

    test('a peer that comes back at the same address is found by the same connection', async () => {
      const handler = handlerOf({
        async *call() {
          yield 'here';
        },
      });
      await serve(handler);
      await listener.close();
      expect((await errorOf(collect(connection.call('x', null)))).code).toBe('UNAVAILABLE');
      await pair.server.listen(listener.address, handler);
      const answer = async (): Promise<JsonValue[]> => {
        try {
          return await collect(connection.call('x', null));
        } catch (error) {
          if (!(error instanceof KwamError && error.retryable)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 50));
          return answer();
        }
      };
      expect(await answer()).toEqual(['here']);
    });
  });
}
