import { describe, expect, it } from 'vitest';
import { grafanaDashboard } from '../../src/slo/grafana.ts';
import { openSlo } from '../../src/slo/openslo.ts';
import { ruleFile } from '../../src/slo/prometheus-rules.ts';
import { OBJECTIVES } from './objectives.ts';

interface Slo {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations: Record<string, string> };
  readonly spec: {
    readonly budgetingMethod: string;
    readonly timeWindow: readonly { readonly duration: string; readonly isRolling: boolean }[];
    readonly objectives: readonly { readonly target: number; readonly timeSliceTarget?: number }[];
  };
}

describe('OpenSLO', () => {
  const [service, ...slos] = openSlo(OBJECTIVES) as unknown as Slo[];

  it('has a service and one SLO an objective', () => {
    expect(service!.kind).toBe('Service');
    expect(slos.map(({ metadata }) => metadata.name)).toEqual(['integrity-slo', 'detected', 'worker-deaths']);
  });

  it('keeps every target below 1, as the format demands, and says the exact one beside it', () => {
    for (const { spec } of slos) {
      const [{ target }] = spec.objectives as [{ target: number }];
      expect(target).toBeGreaterThan(0.9);
      expect(target).toBeLessThan(1);
    }
    const exact = slos.map(({ metadata }) => metadata.annotations['kwam.dev/exact-target']);
    expect(exact).toEqual(['0 events', '0.001 of all', '10 events']);
  });

  it('takes time slices for events and occurrences for shares, over the rolling window', () => {
    expect(slos.map(({ spec }) => spec.budgetingMethod)).toEqual(['Timeslices', 'Occurrences', 'Timeslices']);
    expect(slos.map(({ spec }) => spec.timeWindow)).toEqual(
      ['30d', '30d', '7d'].map((duration) => [{ duration, isRolling: true }]),
    );
    expect(slos[0]!.spec.objectives[0]!.timeSliceTarget).toBe(1);
  });
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

describe('the dashboard', () => {
  const panels = grafanaDashboard(OBJECTIVES)['panels'] as Panel[];

  it('has a row an objective, and no panel over another', () => {
    expect(panels.filter(({ type }) => type === 'row').length).toBe(OBJECTIVES.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  it('asks only for records that the rule file makes', () => {
    const made = new Set(
      ruleFile(OBJECTIVES).groups.flatMap(({ rules }) =>
        rules.flatMap((rule) => ('record' in rule ? rule.record : [])),
      ),
    );
    const asked = panels
      .flatMap(({ targets = [] }) => targets)
      .flatMap(({ expr }) => [...expr.matchAll(/\b(?:kwam|slo):[\w:]+/g)].map(([name]) => name));
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((name) => !made.has(name))).toEqual([]);
  });
});
