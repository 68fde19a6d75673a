import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetOf, type Observed } from '../../src/slo/budget.ts';
import { rolloutGate } from '../../src/slo/rollout-gate.ts';
import { OBJECTIVES } from './objectives.ts';

const healthy: readonly Observed[] = [{ events: 0 }, { events: 1, total: 4000 }, { events: 3 }];
const withReading = (at: number, reading: Observed | undefined) =>
  rolloutGate(OBJECTIVES, healthy.with(at, reading as Observed));

describe('the gate of rollouts', () => {
  it('is open when every budget has something left', () => {
    expect(rolloutGate(OBJECTIVES, healthy)).toEqual({ isOpen: true, objections: [] });
  });

  it.each<[string, number, Observed | undefined, string, RegExp]>([
    ['nothing known', 0, undefined, 'no data', /integrity_slo: nothing is known/],
    ['not a number', 0, { events: Number.NaN }, 'no data', /integrity_slo: nothing is known/],
    ['a share of nothing', 1, { events: 0, total: 0 }, 'no data', /detected: nothing is known/],
    ['a share of what is not a number', 1, { events: 0, total: Number.NaN }, 'no data', /detected/],
    ['one event where none is allowed', 0, { events: 1 }, 'exhausted', /1 of 0 allowed events in 30d/],
    [
      'the last event of a budget',
      2,
      { events: 10 },
      'exhausted',
      /worker_deaths: 10 of 10 allowed events in 7d/,
    ],
    ['the last of a share', 1, { events: 4, total: 4000 }, 'exhausted', /4 of 4 allowed/],
  ])('is shut for %s', (_, at, reading, reason, words) => {
    const { isOpen, objections } = withReading(at, reading);
    expect(isOpen).toBe(false);
    expect(objections).toEqual([
      { objective: OBJECTIVES[at]!.name, reason, words: expect.stringMatching(words) },
    ]);
  });

  it('is shut without an objective: nothing says that the cluster is healthy', () => {
    expect(rolloutGate([], [])).toMatchObject({ isOpen: false, objections: [{ reason: 'no data' }] });
  });

  it('names everything that is against it', () => {
    const { objections } = rolloutGate(OBJECTIVES, [undefined, { events: 9, total: 10 }, { events: 3 }]);
    expect(objections.map(({ objective }) => objective)).toEqual(['integrity_slo', 'detected']);
  });

  it('is never open where a budget is not kept, whatever was read', () => {
    const number = fc.oneof(fc.double(), fc.integer({ min: -2, max: 20 }));
    const reading = fc.option(
      fc.oneof(fc.record({ events: number }), fc.record({ events: number, total: number })),
      { nil: undefined },
    );
    fc.assert(
      fc.property(fc.tuple(reading, reading, reading), (readings) => {
        const areKept = OBJECTIVES.every((objective, i) => budgetOf(objective, readings[i]).state === 'kept');
        return areKept || !rolloutGate(OBJECTIVES, readings).isOpen;
      }),
    );
  });
});
