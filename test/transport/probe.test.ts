import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { probe } from '../../src/transport/probe.ts';

it('tells a host that accepts from one that refuses', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await probe(address, 5_000)).toBe('accepts');
  server.close();
  await once(server, 'close');
  expect(await probe(address, 5_000)).toBe('refuses');
});

it('calls an address silent that cannot be reached', async () => {
  // TCP has no broadcast: the kernel sends nothing and says so.
  expect(await probe('255.255.255.255:1', 5_000)).toBe('silent');
});
