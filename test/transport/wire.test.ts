import { createSecureContext } from 'node:tls';
import { Client, credentials as grpcCredentials } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { KwamError } from '../../src/errors.ts';
import { createAuthority, issueSvid } from '../../src/identity/authority.ts';
import { identityFromPems } from '../../src/identity/identity.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { CreditGate, CreditReceiver, messageBytesFor } from '../../src/transport/credit.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { ERROR_TRAILER, STREAM_PATH } from '../../src/transport/grpc-method.ts';
import {
  decodeCredit,
  decodeError,
  decodeOpen,
  encodeCredit,
  encodeError,
  encodeOpen,
} from '../../src/transport/wire.ts';
import { handlerOf } from '../suites/transport.suite.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** The vectors of ARCHITECTURE.md, "Wire protocol". */
describe('vectors', () => {
  test('messages', () => {
    expect(textOf(encodeOpen({ kind: 'hello' }))).toBe('{"version":1,"kind":"hello"}');
    const call = '{"version":1,"kind":"call","method":"ping","request":[1]}';
    expect(textOf(encodeOpen({ kind: 'call', method: 'ping', request: [1] }))).toBe(call);
    const pull = '{"version":1,"kind":"pull","request":{"pack":"00"},"creditBytes":8388608}';
    expect(textOf(encodeOpen({ kind: 'pull', request: { pack: '00' }, creditBytes: 8388608 }))).toBe(pull);
    expect(textOf(encodeCredit(2097152))).toBe('{"credit":2097152}');
    const error = new KwamError('NOT_FOUND', 'no such pack', { context: { pack: '00' } });
    const text = '{"code":"NOT_FOUND","message":"no such pack","retryable":false,"context":{"pack":"00"}}';
    expect(textOf(encodeError(error))).toBe(text);
  });

  test('errors cross with every field', () => {
    const error = new KwamError('IO', 'x', {
      context: { a: 1, b: true, c: 's', d: undefined },
      retryable: true,
    });
    const back = decodeError(encodeError(error), 'peer');
    expect(back).toMatchObject({ code: 'IO', message: 'x', retryable: true });
    expect(back.context).toEqual({ a: 1, b: true, c: 's', peer: 'peer' });
  });
});

const BAD_OPENS = [
  '',
  'x',
  '[]',
  'null',
  '{}',
  '{"version":2,"kind":"hello"}',
  '{"version":1}',
  '{"version":1,"kind":"push"}',
  '{"version":1,"kind":"call"}',
  '{"version":1,"kind":"call","method":7}',
  '{"version":1,"kind":"pull"}',
  '{"version":1,"kind":"pull","creditBytes":0}',
  '{"version":1,"kind":"pull","creditBytes":1.5}',
  '{"version":1,"kind":"pull","creditBytes":1e99}',
  '{"version":1,"kind":"pull","creditBytes":"8"}',
];

describe('what a peer must not send', () => {
  test.each(BAD_OPENS)('open %j', (text) => {
    expect(() => decodeOpen(bytesOf(text))).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
  });

  test.each(['', '{}', '{"credit":0}', '{"credit":-1}', '{"credit":0.5}', '{"credit":1e17}', '7'])(
    'credit %j',
    (text) => {
      expect(() => decodeCredit(bytesOf(text))).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
    },
  );

  test.each(['{}', '{"code":"x","message":"m"}', '{"code":"IO"}'])('error %j', (text) => {
    expect(decodeError(bytesOf(text), 'p').code).toBe('PROTOCOL');
  });

  test('any bytes are an open message or PROTOCOL', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.json().map(bytesOf)), (bytes) => {
        try {
          decodeOpen(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROTOCOL' });
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a live server answers each with PROTOCOL and goes on', async () => {
    const nowMs = Date.now();
    const authority = await createAuthority(parseTrustDomain('kwam.test'), { nowMs });
    const svid = await issueSvid(authority, parseSpiffeId('spiffe://kwam.test/a'), { nowMs });
    const { certificatePem: certificateChainPem, privateKeyPem } = svid;
    const bundlePem = authority.certificatePem;
    const transport = grpcTransport({
      credentials: identityFromPems({ certificateChainPem, privateKeyPem, bundlePem }, nowMs),
    });
    const forever = handlerOf({
      async *pull() {
        for (;;) yield new Uint8Array(100);
      },
    });
    const { address } = await transport.listen('127.0.0.1:0', forever);
    const secure = createSecureContext({ ca: bundlePem, cert: certificateChainPem, key: privateKeyPem });
    const raw = new Client(
      address,
      grpcCredentials.createFromSecureContext(secure, { checkServerIdentity: () => undefined }),
      { 'grpc.ssl_target_name_override': 'x', 'grpc.enable_http_proxy': 0 },
    );
    const pass = (bytes: Buffer) => bytes;
    const answerTo = (...messages: string[]) =>
      new Promise<string>((resolve) => {
        const stream = raw.makeBidiStreamRequest(STREAM_PATH, pass, pass);
        stream.on('data', () => undefined);
        stream.on('error', ({ metadata }: { metadata?: { get(name: string): unknown[] } }) =>
          resolve(JSON.parse(String(metadata?.get(ERROR_TRAILER)[0])).code),
        );
        for (const message of messages) stream.write(Buffer.from(message));
      });
    const open = textOf(encodeOpen({ kind: 'pull', request: null, creditBytes: 1000 }));
    for (const bad of BAD_OPENS) expect(await answerTo(bad)).toBe('PROTOCOL');
    // More credit than was ever used: a client that lies about what it took.
    expect(await answerTo(open, textOf(encodeCredit(1001)))).toBe('PROTOCOL');
    expect(await answerTo(open, 'nonsense')).toBe('PROTOCOL');
    expect((await transport.connect(address, undefined)).peer).toBe('spiffe://kwam.test/a');
    raw.close();
    await transport.close();
  });
});

/** Gate and receiver wired together directly: any credit, any pieces, any pace. */
describe('credits', () => {
  test('everything arrives, and never more is in flight than the credit', async () => {
    const scenario = fc.record({
      creditBytes: fc.integer({ min: 1, max: 300 }),
      messages: fc.array(fc.integer({ min: 1, max: 75 }), { maxLength: 60 }),
      pauses: fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ creditBytes, messages, pauses }) => {
        const gate = new CreditGate(creditBytes, systemClock, () => undefined);
        let inFlight = 0;
        const receiver = new CreditReceiver(creditBytes, {
          grant: (bytes) => {
            inFlight -= bytes;
            gate.grant(bytes);
          },
          cancel: () => undefined,
        });
        const send = async () => {
          for (const wanted of messages) {
            const bytes = Math.min(wanted, messageBytesFor(creditBytes));
            await gate.take(bytes);
            inFlight += bytes;
            expect(inFlight).toBeLessThanOrEqual(creditBytes);
            receiver.push(new Uint8Array(bytes));
          }
          receiver.end();
        };
        const sending = send();
        let received = 0;
        while ((await receiver.next()) !== undefined) if (pauses[received++]) await new Promise(setImmediate);
        await sending;
        expect(received).toBe(messages.length);
      }),
      { numRuns: 200 },
    );
  });

  test('a server that overdraws is refused', async () => {
    let cancels = 0;
    const receiver = new CreditReceiver(10, { grant: () => undefined, cancel: () => cancels++ });
    receiver.push(new Uint8Array(10));
    receiver.push(new Uint8Array(1));
    await expect(receiver.next()).rejects.toMatchObject({ code: 'PROTOCOL' });
    expect(cancels).toBe(1);
  });

  test('a client that returns more than it was sent is refused', () => {
    const gate = new CreditGate(10, systemClock, () => undefined);
    expect(() => gate.grant(1)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
  });
});
