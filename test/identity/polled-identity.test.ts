/** What is looked at again and again: renewed when it changed, told when it failed twice, and left alone after its end. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { KwamError } from '../../src/errors.ts';
import { createAuthority, issueSvid, type KeyedPem } from '../../src/identity/authority.ts';
import { type Identity, identityFromPems } from '../../src/identity/identity.ts';
import type { IdentitySource } from '../../src/identity/identity-source.ts';
import { pollIdentity } from '../../src/identity/polled-identity.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';

const ID = parseSpiffeId('spiffe://kwam.test/node/n1');
const EVERY_MS = 777;

let authority: KeyedPem;
let source: IdentitySource;
let told: string[];
/** Ends the pause that the source is in. */
let wake: (() => void) | undefined;
let load: () => Identity | Promise<Identity>;

const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => {
    expect(ms).toBe(EVERY_MS);
    if (signal?.aborted) return Promise.reject(new Error('ended'));
    return new Promise((resolve, reject) => {
      wake = resolve;
      signal?.addEventListener('abort', () => reject(new Error('ended')), { once: true });
    });
  },
};

async function fresh(): Promise<Identity> {
  const { certificatePem, privateKeyPem } = await issueSvid(authority, ID, { nowMs: Date.now() });
  const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: authority.certificatePem };
  return identityFromPems(pems, Date.now());
}

const bad = (): never => {
  throw new KwamError('SVID_INVALID', `bad at ${told.length}`);
};

/** One look, to its end. */
async function look(next: typeof load): Promise<void> {
  load = next;
  const woken = wake!;
  wake = undefined;
  woken();
  while (wake === undefined) await systemClock.sleep(1);
}

beforeAll(async () => {
  authority = await createAuthority(parseTrustDomain('kwam.test'), { nowMs: Date.now() });
});
beforeEach(async () => {
  told = [];
  const first = await fresh();
  load = () => first;
  source = await pollIdentity({
    origin: 'a test',
    load: () => load(),
    everyMs: EVERY_MS,
    clock,
    watcher: {
      renewed: ({ expiresAtMs }) => told.push(`renewed ${typeof expiresAtMs}`),
      failed: ({ message }) => told.push(message),
    },
  });
});
afterEach(() => source.close());

it('what is the same is no renewal', async () => {
  const { current } = source;
  await look(() => current);
  expect([source.current === current, told]).toEqual([true, []]);
});

it('what is new is one, for whoever listens', async () => {
  let heard = 0;
  source.onChange(() => heard++);
  const next = await fresh();
  await look(() => next);
  expect([source.current === next, heard, told]).toEqual([true, 1, ['renewed number']]);
});

it('a failure is told when the next look fails as well, once, and again after a good one', async () => {
  const { current } = source;
  await look(bad);
  expect(told).toEqual([]);
  for (let i = 0; i < 3; i++) await look(bad);
  expect(told).toEqual(['bad at 0']);
  await look(() => current);
  await look(bad);
  expect(told).toEqual(['bad at 0']);
  await look(bad);
  expect(told).toEqual(['bad at 0', 'bad at 1']);
  expect(source.current).toBe(current);
});

it('what is loaded while it is closed comes too late', async () => {
  const { current } = source;
  const loading = Promise.withResolvers<Identity>();
  load = () => loading.promise;
  wake!();
  const closed = source.close();
  loading.resolve(await fresh());
  await closed;
  expect([source.current === current, told]).toEqual([true, []]);
});

it('a bug of ours is not told as a failure', async () => {
  load = () => {
    throw new TypeError('a bug');
  };
  wake!();
  await expect(source.close()).rejects.toThrow(TypeError);
  expect(told).toEqual([]);
  source = { ...source, close: async () => undefined };
});

it('its first failure is that of whoever opens it', async () => {
  const opened = pollIdentity({ origin: 'a test', load: bad, everyMs: EVERY_MS, clock });
  await expect(opened).rejects.toThrow('bad at 0');
});
