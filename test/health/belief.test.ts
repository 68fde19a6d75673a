import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HealthBelief, REST_NODE, type WatchedNode } from '../../src/health/belief.ts';
import { ALL_WELL, DEVICE_REPORTS, type Evidence, HEARTBEATS } from '../../src/health/evidence.ts';
import {
  beliefTickMs,
  DOMAIN_CHANGE,
  likelihoodsOf,
  NODE_CHANGE,
  NODE_STATES,
} from '../../src/health/model.ts';
import { seededRandom } from '../../src/random.ts';
import { type ReferenceDomain, type ReferenceNode, tick } from '../reference/belief.ts';

const SILENT: Evidence = { heartbeat: 'silent', device: 'quiet', leaving: false };

function rackOf(rack: string, count: number, pdu = 'p'): WatchedNode[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `${rack}-${i}`,
    labels: { az: 'a', spine: 's', pdu, rack },
  }));
}

function observe(belief: HealthBelief, ms: number, evidence: ReadonlyMap<string, Evidence>): void {
  for (let at = 0; at < ms; at += beliefTickMs) belief.observe(evidence);
}

const of = (names: readonly string[], evidence: Evidence): Map<string, Evidence> =>
  new Map(names.map((name) => [name, evidence]));

describe('model', () => {
  it('has rows of chances that sum to one', () => {
    for (const matrix of [NODE_CHANGE, ...Object.values(DOMAIN_CHANGE)]) {
      for (const row of matrix) {
        expect(row.every((chance) => chance >= 0)).toBe(true);
        expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      }
    }
  });

  it('has evidence whose kinds sum to one in each state, apart from what is said on leaving', () => {
    for (const domain of [0, 1, 2]) {
      for (const state of NODE_STATES.keys()) {
        const kinds = HEARTBEATS.flatMap((heartbeat) =>
          DEVICE_REPORTS.map((device) => ({ heartbeat, device, leaving: false })),
        );
        const sum = kinds.reduce((total, kind) => total + likelihoodsOf(kind)[domain]![state]!, 0);
        expect(sum, `${NODE_STATES[state]} in domain state ${domain}`).toBeCloseTo(1, 9);
      }
    }
  });

  it('computes with + − × ÷ only, which are the same on every machine', () => {
    const folder = join(import.meta.dirname, '../../src/health');
    const used = readdirSync(folder).flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(/Math\.(\w+)/g)].map((match) => match[1]),
    );
    expect([...new Set(used)].sort()).toEqual(['abs', 'floor', 'max', 'min']);
  });
});

describe('belief', () => {
  it('agrees with the sum over every joint state, tick by tick', () => {
    const random = seededRandom(20261125);
    const nodes = [...rackOf('r0', 2), ...rackOf('r1', 1)];
    const domains: ReferenceDomain[] = (['az', 'spine', 'pdu', 'rack', 'rack'] as const).map((kind, i) => ({
      kind,
      parent: Math.min(i, 3) - 1,
      nodeCount: [3, 3, 3, 2, 1][i]!,
      chances: [1 - 2e-9, 1e-9, 1e-9],
    }));
    const reference: ReferenceNode[] = [3, 3, 4].map((rack) => ({
      rack,
      chances: [...REST_NODE],
    }));
    const belief = new HealthBelief(nodes);
    for (let step = 0; step < 6; step++) {
      const evidence = nodes.map(
        (): Evidence => ({
          heartbeat: HEARTBEATS[random.below(3)]!,
          device: DEVICE_REPORTS[random.below(4)]!,
          leaving: random.below(5) === 0,
        }),
      );
      belief.observe(new Map(nodes.map((node, i) => [node.name, evidence[i]!])));
      const down = tick(domains, reference, evidence);
      nodes.forEach((node, i) => {
        const { ok, permanent, domainDown } = belief.node(node.name);
        const [referenceOk, ...rest] = reference[i]!.chances as [number, ...number[]];
        expect(ok).toBeCloseTo(referenceOk, 9);
        expect(permanent).toBeCloseTo(rest.at(-1)! + rest.at(-2)!, 9);
        expect(domainDown).toBeCloseTo(down[i]!, 9);
      });
      const rack = belief.domain('rack', nodes[0]!.labels);
      expect(rack.down).toBeCloseTo(domains[3]!.chances[2]!, 9);
    }
  });

  it('believes a silent node lost the more, the longer it is silent, and a restart is over sooner', () => {
    const belief = new HealthBelief([...rackOf('r0', 16), ...rackOf('r1', 16)]);
    const seen: number[] = [];
    for (let minute = 0; minute < 20; minute++) {
      observe(belief, 60_000, of(['r0-0'], SILENT));
      seen.push(belief.node('r0-0').permanent);
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(seen[0]).toBeLessThan(0.05);
    expect(seen[19]).toBeGreaterThan(0.1);
    expect(belief.domain('rack', rackOf('r0', 1)[0]!.labels).ok).toBeGreaterThan(0.999);
  });

  it('explains many silent nodes of one rack by the rack, and holds nothing against them', () => {
    const nodes = [...rackOf('r0', 16), ...rackOf('r1', 16)];
    const alone = new HealthBelief(nodes);
    const together = new HealthBelief(nodes);
    observe(alone, 600_000, of(['r0-0'], SILENT));
    observe(
      together,
      600_000,
      of(
        rackOf('r0', 16).map((node) => node.name),
        SILENT,
      ),
    );
    expect(together.node('r0-0').domainDown).toBeGreaterThan(0.999);
    expect(together.node('r0-0').permanent).toBeLessThan(alone.node('r0-0').permanent / 1000);
    expect(together.node('r1-0').domainDown).toBeLessThan(0.001);
  });

  it('does not take a lost node for a rack that is down where the rack has no other', () => {
    const nodes = Array.from({ length: 6 }, (_, i) => ({
      name: `n${i}`,
      labels: { az: `a${i % 3}`, spine: `s${i % 3}`, pdu: `p${i}`, rack: `r${i}` },
    }));
    const belief = new HealthBelief(nodes);
    observe(belief, 600_000, of(['n0'], SILENT));
    expect(belief.node('n0').domainDown).toBeLessThan(0.01);
    observe(belief, 600_000, of(['n0', 'n3'], SILENT));
    expect(belief.node('n3').domainDown).toBeGreaterThan(0.3);
  });

  it('keeps what it believes when nodes come and go', () => {
    const before = new HealthBelief(rackOf('r0', 16));
    observe(before, 300_000, of(['r0-0'], SILENT));
    const after = new HealthBelief(rackOf('r0', 17), before);
    expect(after.node('r0-0')).toEqual(before.node('r0-0'));
    expect(after.node('r0-16').ok).toBeGreaterThan(0.99);
  });

  it('finds the widest domain that is silent', () => {
    const nodes = [...rackOf('r0', 8, 'p0'), ...rackOf('r1', 8, 'p0'), ...rackOf('r2', 8, 'p1')];
    const belief = new HealthBelief(nodes);
    observe(
      belief,
      60_000,
      of(
        nodes.filter((node) => node.labels.pdu === 'p0').map((node) => node.name),
        SILENT,
      ),
    );
    expect(belief.domain('pdu', nodes[0]!.labels).down).toBeGreaterThan(0.99);
    expect(belief.domain('pdu', nodes[16]!.labels).down).toBeLessThan(0.001);
  });

  it('doubts a node that stays silent when its rack is back', () => {
    const nodes = rackOf('r0', 16);
    const belief = new HealthBelief(nodes);
    observe(
      belief,
      3_600_000,
      of(
        nodes.map((node) => node.name),
        SILENT,
      ),
    );
    expect(belief.node('r0-3').permanent).toBeLessThan(0.001);
    observe(belief, 900_000, of(['r0-3'], SILENT));
    expect(belief.node('r0-3').permanent).toBeGreaterThan(0.1);
    expect(belief.node('r0-3').domainDown).toBeLessThan(0.001);
  });

  it('takes an announced leave, or a host that refuses, for a return', () => {
    const belief = new HealthBelief(rackOf('r0', 16));
    belief.observe(of(['r0-0'], { ...SILENT, leaving: true }));
    observe(
      belief,
      1_800_000,
      new Map([...of(['r0-0'], SILENT), ...of(['r0-1'], { ...SILENT, heartbeat: 'refused' })]),
    );
    expect(belief.node('r0-0').permanent).toBeLessThan(0.02);
    expect(belief.node('r0-1').permanent).toBeLessThan(0.02);
    expect(belief.node('r0-0').transient).toBeGreaterThan(0.97);
  });

  it('knows a lost disk within a minute, though its host answers', () => {
    const belief = new HealthBelief(rackOf('r0', 16));
    observe(belief, 60_000, of(['r0-0'], { heartbeat: 'seen', device: 'lost', leaving: false }));
    expect(belief.node('r0-0').permanent).toBeGreaterThan(0.9);
  });

  it('unlearns: a node that was thought lost and answers again is well within minutes', () => {
    const belief = new HealthBelief(rackOf('r0', 16));
    observe(belief, 4 * 3_600_000, of(['r0-0'], SILENT));
    expect(belief.node('r0-0').permanent).toBeGreaterThan(0.8);
    observe(belief, 180_000, new Map());
    expect(belief.node('r0-0').ok).toBeGreaterThan(0.99);
  });

  it('is not moved by a lost message', () => {
    const belief = new HealthBelief(rackOf('r0', 16));
    observe(belief, beliefTickMs, of(['r0-0'], SILENT));
    expect(belief.node('r0-0').ok).toBeGreaterThan(0.99);
  });

  it('gives the same bits for the same evidence', () => {
    const run = (): number[] => {
      const nodes = [...rackOf('r0', 5), ...rackOf('r1', 4)];
      const belief = new HealthBelief(nodes);
      const random = seededRandom(7);
      for (let step = 0; step < 200; step++) {
        const silent = nodes.filter(() => random.below(4) === 0).map((node) => node.name);
        belief.observe(of(silent, SILENT));
      }
      return nodes.flatMap((node) => Object.values(belief.node(node.name)));
    };
    expect(run()).toEqual(run());
  });

  it('refuses nodes of one name and questions about unknown ones', () => {
    expect(() => new HealthBelief([...rackOf('r0', 1), ...rackOf('r0', 1)])).toThrow('distinct node names');
    const belief = new HealthBelief(rackOf('r0', 1));
    belief.observe(of(['r0-0'], ALL_WELL));
    expect(() => belief.node('nobody')).toThrow('expected a node that is watched, got nobody');
    expect(() => belief.domain('rack', { az: 'x', spine: 'x', pdu: 'x', rack: 'x' })).toThrow('x/x/x/x');
  });
});
