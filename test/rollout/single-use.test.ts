/**
 * One token, a hundred redeemers at once: one of them may act, whatever the store and whoever dies meanwhile.
 * Each redeemer is a rollout of its own; they share the store through several handles, as several processes would.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { EmbeddedControlStore } from '../../src/control/embedded.ts';
import { EtcdControlStore } from '../../src/control/etcd.ts';
import { parseEtcdUrl } from '../../src/control/etcd-url.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { KwamError } from '../../src/errors.ts';
import { type Random, seededRandom, systemRandom } from '../../src/random.ts';
import { redeem } from '../../src/rollout/redeem.ts';
import { EtcdCluster } from '../faults/etcd-cluster.ts';
import { CAMPAIGN, chosenSeed } from '../faults/seed.ts';
import { envelopeOf, NOW, policyOf, releasers, USE } from './consents.ts';

const REDEEMERS = 100;
const HANDLES = 4;
const RUNS = CAMPAIGN ? 50 : 10;
/** An election and a restart take seconds. */
const ETCD_RUNS = CAMPAIGN ? 50 : 1;
const SPREAD_MS = 150;

const random = seededRandom(chosenSeed('single-use'));
/** The token is of a fixed day; patience is real. */
const clock: Clock = { ...systemClock, now: () => NOW };

async function ruleOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return 'redeemed';
  } catch (error) {
    if (error instanceof KwamError && error.code === 'CONSENT_REFUSED') return String(error.context['rule']);
    throw error;
  }
}

/** What became of each redeemer, counted. */
async function race(
  stores: readonly ControlStore[],
  spreadMs: number,
): Promise<Readonly<Record<string, number>>> {
  const jti = Buffer.from(random.fill(new Uint8Array(16))).toString('hex');
  const [envelope, policy] = [await envelopeOf({ jti }), await policyOf()];
  const rules = Array.from({ length: REDEEMERS }, async (_, at) => {
    const ledger = {
      control: stores[at % stores.length]!,
      clock,
      random: systemRandom,
      used: new Set<string>(),
    };
    if (spreadMs > 0) await delay(random.below(spreadMs));
    return ruleOf(redeem({ policy, ledger, releasers }, envelope, { ...USE, rollout: `rollout-${at}` }));
  });
  const counts: Record<string, number> = {};
  for (const rule of await Promise.all(rules)) counts[rule] = (counts[rule] ?? 0) + 1;
  return counts;
}

const ONE = { redeemed: 1, replayed: REDEEMERS - 1 };

it(`in memory, ${RUNS} runs`, async () => {
  const store = new MemoryControlStore({ clock: systemClock });
  for (let run = 0; run < RUNS; run++) expect(await race([store], 0), `run ${run}`).toEqual(ONE);
});

it(`in the embedded store, ${RUNS} runs`, { timeout: 600_000 }, async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-single-use-'));
  const open = () => EmbeddedControlStore.open({ directory, clock: systemClock });
  const stores = Array.from({ length: HANDLES }, open);
  try {
    for (let run = 0; run < RUNS; run++) expect(await race(stores, 0), `run ${run}`).toEqual(ONE);
  } finally {
    for (const store of stores) await store.close();
    fs.rmSync(directory, { recursive: true });
  }
});

describe('in an etcd of three members', () => {
  let etcd: EtcdCluster;
  let stores: readonly EtcdControlStore[];

  beforeAll(async () => {
    etcd = await EtcdCluster.start({
      members: 3,
      args: ['--heartbeat-interval=50', '--election-timeout=500'],
    });
    const place = parseEtcdUrl(`${etcd.url}/single-use`);
    stores = Array.from({ length: HANDLES }, () => new EtcdControlStore({ ...place, clock: systemClock }));
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
    await etcd.close();
  });

  async function killLeaderWithin(chance: Random): Promise<string> {
    const leader = await etcd.leader();
    await delay(chance.below(SPREAD_MS));
    await etcd.kill(leader);
    return leader;
  }

  it(`whose leader is killed meanwhile, ${ETCD_RUNS} runs`, { timeout: 1_800_000 }, async () => {
    for (let run = 0; run < ETCD_RUNS; run++) {
      const [counts, killed] = await Promise.all([race(stores, SPREAD_MS), killLeaderWithin(random)]);
      expect(counts, `run ${run}, ${killed} killed`).toEqual(ONE);
      await etcd.startMember(killed);
    }
  });
});
