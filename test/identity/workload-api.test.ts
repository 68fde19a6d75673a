/** How an agent is asked again: after growing pauses, from the shortest one when it has answered, and never after INVALID_ARGUMENT. */
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { KwamError } from '../../src/errors.ts';
import { type StateMessage, WorkloadApi } from '../../src/identity/workload-api.ts';
import { workloadRetryMsMax, workloadRetryMsMin } from '../../src/limits.ts';
import { connectionsTo } from '../transport/connections.ts';

type Stream = ServerWritableStream<object, object>;
const proto = fileURLToPath(new URL('../../src/identity/workload-api.proto', import.meta.url));
const { SpiffeWorkloadAPI } = loadPackageDefinition(loadSync(proto)) as unknown as {
  SpiffeWorkloadAPI: { service: Parameters<Server['addService']>[0] };
};
const WAIT = { timeout: 20_000, interval: 10 };

let server: Server;
let address: string;
/** Answers the stream of this number. */
let answer: (stream: Stream, count: number) => void;
let asked: number;
let pauses: number[];
let failures: string[];
let states: StateMessage[];
let api: WorkloadApi | undefined;

const refuse = (stream: Stream, code: number): void =>
  void stream.emit('error', { code, details: 'as the test says' });
const PERMISSION_DENIED = 7;
const INVALID_ARGUMENT = 3;

beforeEach(async () => {
  [asked, pauses, failures, states] = [0, [], [], []];
  server = new Server();
  const fetch = (stream: Stream): void => answer(stream, asked++);
  server.addService(SpiffeWorkloadAPI.service, { FetchX509SVID: fetch });
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, free: number) => (error === null ? resolve(free) : reject(error));
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
  });
  address = `127.0.0.1:${port}`;
});
afterEach(async () => {
  await api?.close();
  api = undefined;
  server.forceShutdown();
});

/** So many pauses cost nothing; the next one lasts until the end. */
function clockOf(count: number): Clock {
  return {
    ...systemClock,
    sleep: async (ms, signal) => {
      pauses.push(ms);
      if (pauses.length > count) await systemClock.sleep(3_600_000, signal);
    },
  };
}

function follow(pausesFree: number, read = (message: StateMessage): void => void states.push(message)): void {
  const failed = (error: KwamError): void => void failures.push(error.message);
  api = new WorkloadApi(`tcp://${address}`, { state: read, failed }, clockOf(pausesFree));
}

it('pauses grow while it does not answer, up to a bound', async () => {
  answer = (stream) => refuse(stream, PERMISSION_DENIED);
  follow(9);
  await vi.waitFor(() => expect(pauses).toHaveLength(10), WAIT);
  const expected = Array.from({ length: 10 }, (_, at) =>
    Math.min(workloadRetryMsMin * 2 ** at, workloadRetryMsMax),
  );
  expect(pauses).toEqual(expected);
  expect(failures).toHaveLength(10);
});

it('an answer brings the shortest pause back', async () => {
  answer = (stream, count) => {
    if (count === 2) stream.write({});
    if (count === 2) stream.end();
    else refuse(stream, PERMISSION_DENIED);
  };
  follow(4);
  await vi.waitFor(() => expect(pauses).toHaveLength(5), WAIT);
  expect(pauses.map((ms) => ms / workloadRetryMsMin)).toEqual([1, 2, 1, 2, 4]);
  expect(states).toHaveLength(1);
});

it('INVALID_ARGUMENT is never asked about again', async () => {
  answer = (stream) => refuse(stream, INVALID_ARGUMENT);
  follow(9);
  await vi.waitFor(() => expect(failures).toHaveLength(1), WAIT);
  await systemClock.sleep(50);
  expect([asked, pauses, failures.length]).toEqual([1, [], 1]);
});

it('a state that does not fit is told, and the stream goes on', async () => {
  answer = (stream) => void [stream.write({}), stream.write({})];
  follow(0, (message) => {
    states.push(message);
    if (states.length === 1) throw new KwamError('SVID_INVALID', 'a test refuses it');
  });
  await vi.waitFor(() => expect(states).toHaveLength(2), WAIT);
  expect([asked, failures]).toEqual([1, ['a test refuses it']]);
});

it('when it is closed, nothing is told and no connection stays', async () => {
  answer = (stream) => void stream.write({});
  follow(0);
  await vi.waitFor(() => expect(states).toHaveLength(1), WAIT);
  expect(connectionsTo(address)).toBe(1);
  await api!.close();
  await vi.waitFor(() => expect(connectionsTo(address)).toBe(0), WAIT);
  expect([failures, pauses]).toEqual([[], []]);
});

it('it is closed at once in a pause', async () => {
  answer = (stream) => refuse(stream, PERMISSION_DENIED);
  follow(0);
  await vi.waitFor(() => expect(pauses).toHaveLength(1), WAIT);
  await api!.close();
  expect(asked).toBe(1);
});
