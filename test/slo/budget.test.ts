import { describe, expect, it } from 'vitest';
import { type Budget, budgetOf, type Observed } from '../../src/slo/budget.ts';
import { sumOf } from '../../src/slo/exposition.ts';
import { durationText, objectiveOf } from '../../src/slo/objective.ts';
import { METRICS, OBJECTIVES } from './objectives.ts';

const [anyEvent, ratio, count] = OBJECTIVES as [
  (typeof OBJECTIVES)[0],
  (typeof OBJECTIVES)[0],
  (typeof OBJECTIVES)[0],
];

describe('objectives', () => {
  it('come in three kinds', () => {
    expect(OBJECTIVES.map(({ kind }) => kind)).toEqual(['any-event', 'ratio', 'count']);
    expect(ratio).toMatchObject({ allowed: 0.001, totalSeries: 'kwam_verified_chunks_total' });
    expect(objectiveOf({ ...METRICS[1]!, target: '0/1' }).kind).toBe('any-event');
  });

  it.each([
    [30 * 86_400_000, '30d'],
    [90 * 60_000, '90m'],
    [36 * 3_600_000, '36h'],
    [1500, '1500ms'],
    [45_000, '45s'],
  ])('write %i ms as %s', (ms, text) => expect(durationText(ms)).toBe(text));
});

describe('budgets', () => {
  it.each<[string, (typeof OBJECTIVES)[0], Observed | undefined, Budget]>([
    ['nothing known', anyEvent, undefined, { state: 'no data' }],
    ['no event', anyEvent, { events: 0 }, { state: 'kept', events: 0, allowed: 0, left: 0 }],
    ['one event', anyEvent, { events: 1 }, { state: 'exhausted', events: 1, allowed: 0, left: -1 }],
    ['the last of a count', count, { events: 10 }, { state: 'kept', events: 10, allowed: 10, left: 0 }],
    ['one more', count, { events: 11 }, { state: 'exhausted', events: 11, allowed: 10, left: -1 }],
    ['a share', ratio, { events: 2, total: 4000 }, { state: 'kept', events: 2, allowed: 4, left: 2 }],
    [
      'too large a share',
      ratio,
      { events: 5, total: 4000 },
      { state: 'exhausted', events: 5, allowed: 4, left: -1 },
    ],
    ['a share of nothing', ratio, { events: 0, total: 0 }, { state: 'no data' }],
    ['a share of nobody knows what', ratio, { events: 0 }, { state: 'no data' }],
    ['what is not a number', count, { events: Number.NaN }, { state: 'no data' }],
    ['a share of what is not a number', ratio, { events: 0, total: Number.NaN }, { state: 'no data' }],
  ])('%s', (_, objective, observed, budget) => expect(budgetOf(objective, observed)).toEqual(budget));
});

describe('sums over a page', () => {
  const page = [
    '# HELP a_total A.',
    '# TYPE a_total counter',
    'a_total{site="x",node="n}1"} 3',
    'a_total{site="y"} 4.5 1700000000000',
    'a_total_more 100',
    'b_total 7',
    '',
  ].join('\n');

  it('take every label set of one series', () => {
    expect(sumOf(page, 'a_total')).toBe(7.5);
    expect(sumOf(page, 'b_total')).toBe(7);
  });

  it('tell nothing of what is not there', () => expect(sumOf(page, 'c_total')).toBeUndefined());
});
