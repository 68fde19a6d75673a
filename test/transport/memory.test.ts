import { expect, test } from 'vitest';
import { lostPeer } from '../../src/transport/failures.ts';
import { type MemoryFaults, memoryNetwork } from '../../src/transport/memory.ts';
import type { PeerId } from '../../src/transport/transport.ts';
import { collect, errorOf, handlerOf, transportSuite } from '../suites/transport.suite.ts';

const serverId = 'spiffe://kwam.test/node/server' as PeerId;
const clientId = 'spiffe://kwam.test/node/client' as PeerId;

transportSuite('memory', async (observer) => {
  const network = memoryNetwork();
  return {
    server: network.transport(serverId, observer),
    client: network.transport(clientId),
    serverId,
    clientId,
    address: 'server:0',
  };
});

async function pullMiB(faults: MemoryFaults): Promise<Uint8Array | string> {
  const network = memoryNetwork(faults);
  const handler = handlerOf({
    async *pull() {
      for (let i = 0; i < 64; i++) yield new Uint8Array(16_384);
    },
  });
  const { address } = await network.transport(serverId).listen('a:0', handler);
  const connection = await network.transport(clientId).connect(address, serverId);
  try {
    return Buffer.concat(await collect(connection.pull(null, { creditBytes: 65_536 })));
  } catch (error) {
    return String(error);
  }
}

const onesIn = (bytes: Uint8Array) =>
  bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);

test('faults follow the seed', async () => {
  const flips = { seed: 7, messagesPerFlip: 8, latencyMsMax: 1 };
  const first = (await pullMiB(flips)) as Uint8Array;
  expect(onesIn(first)).toBeGreaterThan(0);
  expect(await pullMiB(flips)).toEqual(first);
  expect(await pullMiB({ ...flips, seed: 8 })).not.toEqual(first);
  expect(onesIn((await pullMiB({ seed: 7 })) as Uint8Array)).toBe(0);
});

test('a broken connection is never a complete stream', async () => {
  let broken = 0;
  for (let seed = 0; seed < 40; seed++) {
    const result = await pullMiB({ seed, messagesPerBreak: 60 });
    if (typeof result === 'string') broken++;
    else expect(result.length).toBe(64 * 16_384);
  }
  expect(broken).toBeGreaterThan(5);
  expect(broken).toBeLessThan(40);
});

test('a killed peer breaks its streams', async () => {
  const network = memoryNetwork();
  const handler = handlerOf({
    async *pull() {
      for (;;) yield new Uint8Array(10);
    },
  });
  const { address } = await network.transport(serverId).listen('a:0', handler);
  const connection = await network.transport(clientId).connect(address, serverId);
  const stream = connection.pull(null)[Symbol.asyncIterator]();
  await stream.next();
  network.kill(address);
  const drained = (async () => {
    while ((await stream.next()).done !== true);
  })();
  expect(await errorOf(drained)).toMatchObject({ code: 'UNAVAILABLE', message: lostPeer(address).message });
});
