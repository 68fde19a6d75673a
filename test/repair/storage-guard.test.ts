/** When a node drains itself, when it is held back, and how that ends: over the memory control store, with real memberships. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { beginDrain, endDrain } from '../../src/cluster/drains.ts';
import { type Member, Membership } from '../../src/cluster/membership.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import type { DigestHex } from '../../src/digest.ts';
import { StorageRecord } from '../../src/health/storage-record.ts';
import type { GuardPlan, Plan } from '../../src/plan.ts';
import { StorageGuard, type StorageState } from '../../src/repair/storage-guard.ts';
import { FakeClock } from '../control/fake-clock.ts';

const guardPlan = { name: 'sla', onViolation: 'quarantine' } as GuardPlan;
const plan = { replicate: { factor: 3 }, guard: guardPlan } as unknown as Plan;

const unnoted = (error: Error): never => {
  throw error;
};

let clock: FakeClock;
let control: MemoryControlStore;
let observer: Membership;
const joined: Membership[] = [];

beforeEach(() => {
  clock = new FakeClock();
  control = new MemoryControlStore({ clock });
});

afterEach(async () => {
  const leaving = Promise.all(joined.splice(0).map((one) => one.leave()));
  await clock.advance(1);
  await leaving;
});

async function nodes(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const labels = { rack: `r${i}`, pdu: 'p', spine: 's', az: 'a' };
    const self = {
      name: `n${i}`,
      spiffe: `spiffe://kwam/n${i}`,
      address: 'h:1',
      metricsAddress: 'h:2',
      labels,
      weight: 1,
    };
    joined.push(await Membership.join(control, self, clock));
  }
  observer = await Membership.observe(control, clock);
  joined.push(observer);
}

/** As others see it; a watch has to hear of it first. */
async function member(name: string, holds: (one: Member) => boolean): Promise<Member> {
  for (let i = 0; i < 100; i++) {
    const one = (await observer.members()).find((each) => each.name === name)!;
    if (holds(one)) return one;
    await clock.advance(1);
  }
  throw new Error(`${name} did not become what was expected`);
}

function guardOf(name: string, damagedPacks: number, its: Plan = plan) {
  const kept = new Map<string, string>();
  const put = (key: string, text: string): void => void kept.set(key, text);
  const store = { getNote: (key: string) => kept.get(key), putDurableNote: put };
  const record = new StorageRecord(store, clock, unnoted);
  for (let i = 0; i < damagedPacks; i++) record.damaged(String(i).padStart(64, '0') as DigestHex);
  const changes: StorageState['state'][] = [];
  const onChanged = ({ state }: StorageState): void => void changes.push(state);
  const peers = { self: name, members: () => observer.members() };
  return {
    guard: new StorageGuard({ control, peers, record, plan: its, clock, onChanged }),
    record,
    changes,
  };
}

it('drains a node whose storage is failing, until an operator ends it; a single flip drains nothing', async () => {
  await nodes(5);
  const flipped = guardOf('n1', 1);
  await flipped.guard.look();
  expect(flipped.guard.state).toMatchObject({ state: 'in order', damagedPacks: 1 });

  const failing = guardOf('n2', 3);
  await failing.guard.look();
  const drained = await member('n2', ({ drain }) => drain !== undefined);
  expect(drained).toMatchObject({
    weight: 0,
    state: 'up',
    drain: { by: 'guard sla', reason: expect.stringContaining('3 packs') },
  });
  expect((await member('n1', () => true)).drain).toBeUndefined();
  await failing.guard.look();
  expect(failing.changes).toEqual(['draining']);

  expect(await endDrain(control, 'n2', '2026-11-25T10:00:00.000Z')).toBe(true);
  expect(await endDrain(control, 'n2', '2026-11-25T10:00:01.000Z')).toBe(false);
  expect((await member('n2', ({ drain }) => drain === undefined)).weight).toBe(1);
  await clock.advance(1);
  await failing.guard.look();
  expect(failing.guard.state).toMatchObject({ state: 'in order', damagedPacks: 0 });
  await clock.advance(1);
  for (const i of [7, 8, 9]) failing.record.damaged(String(i).padStart(64, '0') as DigestHex);
  await failing.guard.look();
  expect(failing.changes).toEqual(['draining', 'in order', 'draining']);
});

it.each([
  ['without a guard in the program', { ...plan, guard: undefined } as unknown as Plan, 'no guard'],
  ['with too few others for its copies', { ...plan, replicate: { factor: 5 } } as Plan, 'only 4 other nodes'],
  [
    'with too few others for its stripes',
    { ...plan, replicate: { factor: 1, erasure: { dataShards: 8, parityShards: 2 } } } as Plan,
    'and 5 are needed',
  ],
])('is held back %s, and says so', async (_, its, why) => {
  await nodes(5);
  const { guard, changes } = guardOf('n2', 3, its);
  await guard.look();
  expect(guard.state).toMatchObject({ state: 'held back', reason: expect.stringContaining(why) });
  expect(changes).toEqual(['held back']);
  expect((await member('n2', () => true)).drain).toBeUndefined();
});

it('drains few at once: two nodes that fail at the same moment look like one bug', async () => {
  await nodes(5);
  const [one, two] = [guardOf('n1', 3), guardOf('n2', 3)];
  await Promise.all([one.guard.look(), two.guard.look()]);
  expect([one.guard.state.state, two.guard.state.state].sort()).toEqual(['draining', 'held back']);
  const held = one.guard.state.state === 'held back' ? one : two;
  expect(held.guard.state.reason).toMatch(/n[12] is being drained already/);
});

it('is not begun again by whoever asks twice, and is there after a restart of the node', async () => {
  await nodes(3);
  const drain = { node: 'n1', by: 'spiffe://kwam/admin', reason: 'disk', since: '2026-11-25T10:00:00.000Z' };
  expect(await beginDrain(control, drain)).toBe(true);
  expect(await beginDrain(control, { ...drain, reason: 'another' })).toBe(true);
  await joined[1]!.leave();
  expect(await member('n1', ({ state }) => state === 'down')).toMatchObject({
    weight: 0,
    drain: { reason: 'disk' },
  });
});
