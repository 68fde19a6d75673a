/** One at a time, also when holders die, and nothing of a holder that lost its turn is taken. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { inTurn, type Turn } from '../../src/control/turn.ts';
import { FakeClock } from './fake-clock.ts';

const never = new AbortController().signal;

function take<T>(
  control: ControlStore,
  holder: string,
  act: (turn: Turn) => Promise<T>,
  signal = never,
): Promise<T> {
  return inTurn({ control, clock: systemClock, work: 'tidying', holder, signal }, act);
}

test('ten that want a turn at once get one each, one after the other', async () => {
  const control = new MemoryControlStore({ clock: systemClock });
  let busy = 0;
  const turns = Array.from({ length: 10 }, (_, i) =>
    take(control, `n${i}`, async ({ fence }) => {
      expect(++busy).toBe(1);
      const { committed } = await control.transact(
        [fence],
        [{ kind: 'put', key: 'done', value: new Uint8Array() }],
      );
      await systemClock.sleep(5);
      busy--;
      return committed;
    }),
  );
  expect(await Promise.all(turns)).toEqual(new Array(10).fill(true));
  expect(await control.list('turns/')).toEqual([]);
});

test('a turn ends with an error of the work, and who gives up waiting leaves nothing', async () => {
  const control = new MemoryControlStore({ clock: systemClock });
  await expect(take(control, 'a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  const giveUp = new AbortController();
  await take(control, 'a', async () => {
    const waiting = take(control, 'b', async () => 'never', giveUp.signal);
    giveUp.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow();
  });
  expect(await take(control, 'b', async () => 'free')).toBe('free');
});

test('the fence of a turn whose lease ran out fails, while the next one holds it', async () => {
  const clock = new FakeClock();
  const control = new MemoryControlStore({ clock });
  const put = { kind: 'put', key: 'done', value: new Uint8Array() } as const;
  await take(control, 'cut off', async (lost) => {
    clock.advance(60_000);
    await take(control, 'next', async (turn) => {
      expect((await control.transact([lost.fence], [put])).committed).toBe(false);
      expect((await control.transact([turn.fence], [put])).committed).toBe(true);
      expect(turn.isLost).toBe(false);
    });
    while (!lost.isLost) await systemClock.sleep(20);
  });
});
