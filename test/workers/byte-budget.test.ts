import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteBudget, type Grant } from '../../src/workers/byte-budget.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a byte budget', () => {
  it('is never exceeded, except by one request alone, and serves in order, whatever is taken, given back and aborted', async () => {
    const step = fc.record({
      bytes: fc.oneof(fc.nat(40), fc.nat(300)),
      /** Which of the grants held is given back before, and which waiting request is aborted. */
      release: fc.nat(5),
      abort: fc.option(fc.nat(5), { freq: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const budget = new ByteBudget(100);
        const held: { grant: Grant; bytes: number }[] = [];
        const waiting: { id: number; abort: AbortController }[] = [];
        const order: number[] = [];
        const gone: number[] = [];
        const check = (): void => {
          const bytes = held.reduce((sum, one) => sum + one.bytes, 0);
          expect(budget.bytesHeld).toBe(bytes);
          const positive = held.filter((one) => one.bytes > 0);
          expect(bytes <= 100 || positive.length === 1).toBe(true);
        };
        for (const [id, { bytes, release, abort }] of steps.entries()) {
          const controller = new AbortController();
          waiting.push({ id, abort: controller });
          budget.take(bytes, controller.signal).then(
            (grant) => {
              order.push(id);
              held.push({ grant, bytes });
              waiting.splice(
                waiting.findIndex((one) => one.id === id),
                1,
              );
            },
            () => gone.push(id),
          );
          await settled();
          check();
          if (abort !== null && waiting[abort] !== undefined) waiting.splice(abort, 1)[0]!.abort.abort();
          await settled();
          check();
          held.splice(release, 1)[0]?.grant.release();
          await settled();
          check();
        }
        while (held.length > 0) {
          held.shift()!.grant.release();
          await settled();
          check();
        }
        expect(order).toEqual(order.toSorted((a, b) => a - b));
        expect([...order, ...gone].sort((a, b) => a - b)).toEqual(steps.map((_, id) => id));
        expect(budget.bytesHeld).toBe(0);
      }),
      { numRuns: process.env['KWAM_CAMPAIGN'] === '1' ? 5000 : 100 },
    );
  });

  it('gives a grant back once', async () => {
    const budget = new ByteBudget(10);
    const grant = await budget.take(6);
    await budget.take(4);
    grant.release();
    grant.release();
    expect(budget.bytesHeld).toBe(4);
  });

  it('refuses a signal that was aborted before, and says so as CANCELLED', async () => {
    await expect(new ByteBudget(10).take(1, AbortSignal.abort())).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});
