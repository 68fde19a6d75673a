import { describe, expect, it } from 'vitest';
import { beliefTickMs } from '../../src/health/model.ts';
import { HealthWatch, type WatchedMember } from '../../src/health/watch.ts';
import type { ProbeAnswer } from '../../src/transport/probe.ts';

function watched(count: number) {
  const members = new Map<string, WatchedMember>(
    Array.from({ length: count }, (_, i) => [
      `n${i}`,
      {
        name: `n${i}`,
        labels: { az: 'a', spine: 's', pdu: 'p', rack: `r${i >> 3}` },
        address: `n${i}:1`,
        state: 'up',
      },
    ]),
  );
  let nowMs = 0;
  let answer: ProbeAnswer = 'silent';
  const probed: string[] = [];
  const watch = new HealthWatch({
    clock: { now: () => nowMs, monotonic: () => nowMs, sleep: () => Promise.resolve() },
    members: async () => [...members.values()],
    probe: async (address) => {
      probed.push(address);
      return answer;
    },
  });
  return {
    watch,
    members,
    probed,
    answers(given: ProbeAnswer) {
      answer = given;
    },
    set(name: string, change: Partial<WatchedMember>) {
      members.set(name, { ...members.get(name)!, ...change });
    },
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed += beliefTickMs) {
        nowMs += beliefTickMs;
        await watch.tick();
      }
    },
  };
}

describe('health watch', () => {
  it('knows of no absence while all leases live, and asks nobody', async () => {
    const { watch, probed, pass } = watched(16);
    await pass(60_000);
    expect(watch.absences()).toEqual([]);
    expect(probed).toEqual([]);
  });

  it('counts from the first tick without a lease, and forgets when it is back', async () => {
    const { watch, set, pass } = watched(16);
    await pass(60_000);
    set('n3', { state: 'down' });
    await pass(300_000);
    expect(watch.absences()).toMatchObject([{ node: 'n3', absentMs: 290_000, aloneMs: 290_000 }]);
    set('n3', { state: 'up' });
    await pass(beliefTickMs);
    expect(watch.absences()).toEqual([]);
    expect(watch.absence('n3').absentMs).toBe(0);
  });

  it('starts the lonely time anew when the domain was down', async () => {
    const { watch, set, pass } = watched(16);
    for (let i = 0; i < 8; i++) set(`n${i}`, { state: 'down' });
    await pass(3_600_000);
    expect(watch.absence('n0')).toMatchObject({ absentMs: 3_590_000, aloneMs: 0 });
    for (let i = 1; i < 8; i++) set(`n${i}`, { state: 'up' });
    await pass(120_000);
    expect(watch.absence('n0').aloneMs).toBeGreaterThan(90_000);
    expect(watch.absence('n0').absentMs).toBeGreaterThan(3_700_000);
  });

  it('believes a node that said so, or whose host refuses, to be on its way back', async () => {
    const said = watched(16);
    said.set('n0', { state: 'down', isLeaving: true });
    await said.pass(600_000);
    expect(said.watch.absence('n0').belief.permanent).toBeLessThan(0.02);
    const refuses = watched(16);
    refuses.answers('refuses');
    refuses.set('n0', { state: 'down' });
    await refuses.pass(600_000);
    expect(refuses.watch.absence('n0').belief.permanent).toBeLessThan(0.02);
    expect(new Set(refuses.probed)).toEqual(new Set(['n0:1']));
  });

  it('looks at a node that keeps its lease and does not answer', async () => {
    const { watch, answers, pass, probed } = watched(16);
    watch.unreachable(new Set(['n5']));
    await pass(300_000);
    expect(watch.absences()).toMatchObject([{ node: 'n5', absentMs: 290_000 }]);
    answers('accepts');
    await pass(beliefTickMs);
    expect(watch.absences()).toEqual([]);
    expect(new Set(probed)).toEqual(new Set(['n5:1']));
  });

  it('takes reports of devices, the worst of a tick', async () => {
    const { watch, set, pass } = watched(16);
    set('n0', { state: 'down' });
    for (let tick = 0; tick < 6; tick++) {
      watch.report('n0', 'lost');
      watch.report('n0', 'quiet');
      await pass(beliefTickMs);
    }
    expect(watch.absence('n0').belief.permanent).toBeGreaterThan(0.5);
  });

  it('goes on when nodes are added and removed', async () => {
    const { watch, members, set, pass } = watched(16);
    set('n0', { state: 'down' });
    await pass(60_000);
    const before = watch.absence('n0').belief;
    set('n0', { state: 'down', labels: members.get('n0')!.labels });
    members.set('n16', { ...members.get('n1')!, name: 'n16' });
    await pass(beliefTickMs);
    expect(watch.absence('n0').belief.permanent).toBeGreaterThanOrEqual(before.permanent);
    members.delete('n0');
    await pass(beliefTickMs);
    expect(watch.absences()).toEqual([]);
  });
});
