/**
 * What the client makes of an etcd's answers that a real one gives too rarely for a test: a small gRPC server on loopback speaks
 * etcd's protocol and says exactly what a case wants.
 */
import { fileURLToPath } from 'node:url';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlEvent } from '../../src/control/control-store.ts';
import { EtcdControlStore } from '../../src/control/etcd.ts';

const definitions = loadSync(fileURLToPath(new URL('../../src/control/etcd.proto', import.meta.url)), {
  longs: String,
  defaults: true,
});
const serviceOf = (name: string) => definitions[`etcdserverpb.${name}`] as ServiceDefinition;

type Fields = Record<string, unknown>;
/** A message, an error, or nothing at all. */
type Answer = Fields | { readonly code: status; readonly details: string } | 'silence';
type WatchStream = ServerDuplexStream<{ createRequest: Fields }, Fields>;

interface Script {
  readonly range?: (request: Fields, call: number) => Answer;
  readonly txn?: (request: Fields, call: number) => Answer;
  readonly watch?: (request: Fields, stream: WatchStream, call: number) => void;
}

class ScriptedEtcd {
  readonly asked: { readonly method: string; readonly request: Fields }[] = [];
  readonly #server = new Server({ 'grpc.max_send_message_length': -1 });
  endpoint = '';

  static async start(script: Script): Promise<ScriptedEtcd> {
    const etcd = new ScriptedEtcd(script);
    const port = await new Promise<number>((resolve, reject) =>
      etcd.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    etcd.endpoint = `127.0.0.1:${port}`;
    closing.push(async () => etcd.#server.forceShutdown());
    return etcd;
  }

  private constructor({ range, txn, watch }: Script) {
    const unary =
      (method: string, answerOf: (request: Fields, call: number) => Answer) =>
      (call: ServerUnaryCall<Fields, Fields>, done: sendUnaryData<Fields>): void => {
        const answer = answerOf(call.request, this.#note(method, call.request));
        if (answer === 'silence') return;
        if ('details' in answer) done(answer as { code: status; details: string });
        else done(null, { header: { revision: '7' }, ...answer });
      };
    this.#server.addService(serviceOf('KV'), {
      ...(range && { Range: unary('range', range) }),
      ...(txn && { Txn: unary('txn', txn) }),
    });
    if (watch === undefined) return;
    const serve = (stream: WatchStream): void => {
      stream.on('error', () => undefined);
      stream.once('data', ({ createRequest }: { createRequest: Fields }) => {
        const call = this.#note('watch', createRequest);
        stream.write({ header: { revision: '99' }, created: true });
        watch(createRequest, stream, call);
      });
    };
    this.#server.addService(serviceOf('Watch'), { Watch: serve });
  }

  /** How often this was asked before. */
  #note(method: string, request: Fields): number {
    this.asked.push({ method, request });
    return this.asked.filter((one) => one.method === method).length - 1;
  }
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Longer than any of these answers takes on a busy machine. */
const patientMs = 30_000;

function open(etcds: readonly ScriptedEtcd[], callMs = patientMs): EtcdControlStore {
  const endpoints = etcds.map(({ endpoint }) => endpoint);
  const store = new EtcdControlStore({ endpoints, cluster: 'test', clock: systemClock, callMs });
  closing.push(() => store.close());
  return store;
}

const says = (code: status, details: string) => ({ code, details });
const bytes = (text: string) => Buffer.from(text);
const kv = (name: string, modRevision: number) => ({
  key: bytes(`/kwam/test/${name}`),
  value: bytes(name),
  createRevision: String(modRevision),
  modRevision: String(modRevision),
});
const put = (key: string) => ({ kind: 'put', key, value: bytes(key) }) as const;

it.each([
  ['an election', says(status.UNAVAILABLE, 'etcdserver: leader changed')],
  ['a timeout of etcd', says(status.UNAVAILABLE, 'etcdserver: request timed out')],
  ['a broken stream', says(status.INTERNAL, 'broken')],
  ['what etcd has no name for', says(status.UNKNOWN, 'raft proposal dropped')],
  ['silence', 'silence'],
] as const)('sends a transaction once and a read again after %s', async (_what, answer) => {
  const etcd = await ScriptedEtcd.start({
    txn: () => answer,
    range: (_request, call) => (call === 0 ? answer : { kvs: [kv('a', 3)] }),
  });
  const other = await ScriptedEtcd.start({
    txn: () => ({ succeeded: true }),
    range: () => ({ kvs: [kv('a', 3)] }),
  });
  const store = open([etcd, other]);
  expect((await store.get('a'))?.modRevision).toBe(3);
  expect([etcd.asked.length, other.asked.length]).toEqual([1, 1]);
  const again = open([etcd, other], answer === 'silence' ? 300 : patientMs);
  const refused = again.transact([], [put('a')]);
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  expect(
    [etcd.asked, other.asked].map((asked) => asked.filter(({ method }) => method === 'txn').length),
  ).toEqual([1, 0]);
});

it('sends a transaction again that etcd refused before it looked at it, here or to the next member', async () => {
  const leaderless = await ScriptedEtcd.start({
    txn: () => says(status.UNAVAILABLE, 'etcdserver: no leader'),
  });
  const elects = await ScriptedEtcd.start({
    txn: (_request, call) =>
      call < 2 ? says(status.UNAVAILABLE, 'etcdserver: no leader') : { succeeded: true },
  });
  const dead = await ScriptedEtcd.start({});
  await closing.pop()!();
  expect(await open([dead, leaderless, elects]).transact([], [put('a')])).toEqual({
    committed: true,
    revision: 7,
  });
  expect([leaderless.asked.length, elects.asked.length]).toEqual([3, 3]);
});

it.each([
  ['INTEGRITY', says(status.DATA_LOSS, 'etcdserver: corrupt cluster')],
  ['DISK_FULL', says(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded')],
  ['UNAVAILABLE', says(status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests')],
  ['LIMIT_EXCEEDED', says(status.RESOURCE_EXHAUSTED, 'grpc: received message larger than max (9 vs. 8)')],
  ['PERMISSION_DENIED', says(status.PERMISSION_DENIED, 'etcdserver: permission denied')],
  ['UNAUTHENTICATED', says(status.INVALID_ARGUMENT, 'etcdserver: user name is empty')],
  ['UNAUTHENTICATED', says(status.UNAUTHENTICATED, 'etcdserver: invalid auth token')],
  ['PROTOCOL', says(status.UNIMPLEMENTED, 'unknown service etcdserverpb.KV')],
  ['PROTOCOL', says(status.INVALID_ARGUMENT, 'etcdserver: key is not provided')],
  ['PROTOCOL', { succeeded: true, header: { revision: '9007199254740993' } }],
] as const)('answers %s when etcd says %s', async (code, answer) => {
  const etcd = await ScriptedEtcd.start({ txn: () => answer });
  const refused = open([etcd]).transact([], [put('a')]);
  await expect(refused).rejects.toMatchObject({ name: 'KwamError', code });
});

it('says so when there is a gRPC server but no etcd', async () => {
  const etcd = await ScriptedEtcd.start({});
  await expect(open([etcd]).get('a')).rejects.toMatchObject({
    code: 'PROTOCOL',
    message: expect.stringContaining('version 3.4'),
  });
});

it('lists one revision in pages, halves a page that no message holds, and starts anew when it is compacted away', async () => {
  const names = Array.from({ length: 9 }, (_, i) => `n${i}`);
  const filler = Buffer.alloc(65 * 1024 * 1024);
  let revision = 10;
  const etcd = await ScriptedEtcd.start({
    range: (request, call) => {
      if (Number(request['limit']) > 4) return { kvs: [{ ...kv('n0', 1), value: filler }] };
      if (call === 2) {
        revision = 20;
        return says(status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted');
      }
      const from = (request['key'] as Buffer).toString().replace('\0', '~');
      const rest = names.map((name) => kv(name, 1)).filter(({ key }) => key.toString() >= from);
      const limit = Number(request['limit']);
      return { header: { revision: String(revision) }, kvs: rest.slice(0, limit), more: rest.length > limit };
    },
  });
  expect((await open([etcd]).list('n', { limit: 8 })).map(({ key }) => key)).toEqual(names.slice(0, 8));
  const revisions = etcd.asked.map(({ request }) => Number(request['revision']));
  // Too large, a page, its successor at the same revision: gone. The same again, and all is there.
  expect(revisions).toEqual([0, 0, 10, 0, 0, 20]);
});

it('gives no part of a revision whose stream broke between fragments, and all of it once after that', async () => {
  const event = (name: string, revision: number) => ({ type: 0, kv: kv(name, revision) });
  const header = { revision: '99' };
  const etcd = await ScriptedEtcd.start({
    watch: (_request, stream, call) => {
      if (call === 0) {
        stream.write({ header, events: [event('before', 4)] });
        stream.write({ header, events: [event('a', 5)], fragment: true });
        stream.emit('error', says(status.UNAVAILABLE, 'etcdserver: no leader'));
        return;
      }
      stream.write({ header, events: [event('before', 4), event('a', 5)], fragment: true });
      stream.write({ header, events: [event('b', 5)] });
      // Progress: nothing before 40 is still to come.
      stream.write({ header: { revision: '40' } });
      if (call === 1) stream.emit('error', says(status.UNAVAILABLE, 'etcdserver: no leader'));
      else stream.write({ header, events: [event('c', 41)] });
    },
  });
  const ending = new AbortController();
  const seen: ControlEvent[] = [];
  for await (const one of open([etcd]).watch('', { fromRevision: 3, signal: ending.signal })) {
    seen.push(one);
    if (one.revision === 41) ending.abort();
  }
  expect(seen.map((one) => one.kind === 'put' && `${one.entry.key} ${one.revision}`)).toEqual([
    'before 4',
    'a 5',
    'b 5',
    'c 41',
  ]);
  expect(etcd.asked.map(({ request }) => request['startRevision'])).toEqual(['2', '4', '40']);
});

it('ends a watch that etcd does not permit', async () => {
  const etcd = await ScriptedEtcd.start({
    watch: (_request, stream) =>
      void stream.write({
        canceled: true,
        cancelReason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
      }),
  });
  const events = open([etcd])
    .watch('', { fromRevision: 3, signal: new AbortController().signal })
    [Symbol.asyncIterator]();
  await expect(events.next()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});
