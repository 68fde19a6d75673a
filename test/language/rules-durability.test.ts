/**
 * Guards of programs: the verdict is the closed form's, the worse scheme stands, and an inventory that cannot keep copies apart
 * takes nines away.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { type GuardEntry, guardEntries, guardVerdicts } from '../../src/language/guard-verdict.ts';
import type { Inventory, InventoryNode } from '../../src/language/inventory.ts';
import { faultdomains } from './front.ts';
import { TABLES } from './standard-tables.ts';

interface Parts {
  readonly factor?: number;
  readonly domains?: string;
  readonly more?: string;
  readonly nines?: number;
  readonly restore?: string;
  readonly recovery?: string;
  readonly rows?: Readonly<Record<string, string>>;
}

const RATES = { node: '5y', rack: '50y', pdu: '100y', spine: '200y', az: '1000y' };

function program(parts: Parts): string {
  const {
    factor = 3,
    domains = 'rack, pdu, spine, az',
    more = '',
    nines = 6,
    restore = '30m',
    recovery = '12h',
  } = parts;
  const rows = Object.entries(parts.rows ?? RATES).map(
    ([name, mtbf]) => `${name} ${mtbf} { source "log" audited_by "Ada" audited_on "2026-09-30" }`,
  );
  return `apiVersion "kwam.dev/v0.2"
import "std/faultdomains" as fd digest "sha256:${'0'.repeat(64)}"
use fd.h100
replicate data { factor ${factor} anti_affinity [${domains}] ${more} }
guard sla {
  durability ${nines}nines
  mttr_restore ${restore}
  recovery_time ${recovery}
  integrity sha256
  on_violation quarantine
  mtbf { ${rows.join('\n')} }
}
`;
}

function judged(parts: Parts, inventory?: Inventory) {
  const context = { tables: TABLES, ...(inventory && { inventory }) };
  const compiled = compile('p.kwam', program(parts), { modules: faultdomains(), context });
  const codes = compiled.diagnostics.map(({ code }) => code);
  return { ...compiled, codes, entry: guardEntries(guardVerdicts(compiled.program, context))[0]! };
}

/** `racks` racks of `each` nodes, every rack with a pdu and a spine of its own, in `azs` azs. */
function racks(count: number, each: number, azs = count): Inventory {
  const nodes = Array.from({ length: count * each }, (_, i): InventoryNode => {
    const rack = i % count;
    const labels = { rack: `r${rack}`, pdu: `p${rack}`, spine: `s${rack}`, az: `az${rack % azs}` };
    return {
      name: `n${i}`,
      spiffe: `spiffe://kwam/acme/n${i}/node`,
      address: `n${i}:7400`,
      labels,
      weight: 1,
    };
  });
  return { schema: 'kwam.inventory/v1', pools: new Map([['pool', nodes]]) };
}

const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);

/** DESIGN "Guard", in doubles: n·C(n−1,m)·(Ln+ΣLd)·(Ln·tn+ΣLd·td)^m with years throughout. */
function closedForm(
  n: number,
  m: number,
  years: readonly number[],
  restoreYears: number,
  recoveryYears: number,
): number {
  const rates = years.map((each) => 1 / each);
  const total = rates.reduce((a, b) => a + b);
  const down = rates.reduce((sum, rate, i) => sum + rate * (i === 0 ? restoreYears : recoveryYears), 0);
  return n * choose(n - 1, m) * total * down ** m;
}

describe('without an inventory', () => {
  test('the loss is that of the closed form, for copies and for shards', () => {
    const years = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.tuple(years, years, years),
        fc.integer({ min: 5, max: 3000 }),
        fc.integer({ min: 1, max: 400 }),
        (factor, [node, rack, az], restoreMinutes, recoveryHours) => {
          const { entry } = judged({
            factor,
            domains: 'rack, az',
            more: 'erasure rs(4, 2)',
            restore: `${restoreMinutes}m`,
            recovery: `${recoveryHours}h`,
            rows: { node: `${node}y`, rack: `${rack}y`, az: `${az}y` },
          });
          const times = [restoreMinutes / 525_600, recoveryHours / 8760] as const;
          const [copies, shards] = entry.schemes;
          expect(
            copies!.lossPerYear / closedForm(factor, factor - 1, [node, rack, az], ...times),
          ).toBeCloseTo(1, 9);
          expect(shards!.lossPerYear / closedForm(6, 2, [node, rack, az], ...times)).toBeCloseTo(1, 9);
          expect(entry.lossPerYear).toBe(Math.max(copies!.lossPerYear, shards!.lossPerYear));
          expect(entry.accepted).toBe(entry.lossPerYear <= 1e-6);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('with local groups any m + 1 losses count as survived, and no more', () => {
    const [, shards] = judged({
      more: 'erasure lrc(12, 2, 2)',
      domains: 'rack',
      rows: { node: '5y', rack: '50y' },
      restore: '30m',
      recovery: '12h',
    }).entry.schemes;
    expect([shards!.n, shards!.m]).toEqual([16, 3]);
    expect(shards!.lossPerYear / closedForm(16, 3, [5, 50], 30 / 525_600, 12 / 8760)).toBeCloseTo(1, 9);
  });

  test('the entry has the shape that `check --json` prints, and terms that sum to the loss', () => {
    const { entry } = judged({ more: 'erasure rs(6, 3)' });
    expect(entry).toMatchObject({
      name: 'sla',
      declaredNines: 6,
      accepted: true,
    } satisfies Partial<GuardEntry>);
    expect(entry.schemes.map(({ n, m }) => [n, m])).toEqual([
      [3, 2],
      [9, 3],
    ]);
    for (const { terms, lossPerYear } of entry.schemes) {
      expect(terms.map(({ name }) => name)).toEqual(['node', 'rack', 'pdu', 'spine', 'az']);
      expect(terms.reduce((sum, { value }) => sum + value, 0) / lossPerYear).toBeCloseTo(1, 9);
    }
  });

  test('one copy a domain is assumed, and said', () => {
    expect(judged({}).codes).toEqual(['KW4015']);
  });

  test('the largest claim that is accepted is the one that a refusal suggests', () => {
    const refused = judged({ nines: 18 }).diagnostics.find(({ code }) => code === 'KW4005')!;
    const nines = Number.parseInt(refused.suggestion!.replacement.text, 10);
    expect(judged({ nines }).ok).toBe(true);
    expect(judged({ nines: nines + 1 }).codes).toContain('KW4005');
    expect(refused.note).toContain('Gains the most:');
    for (const name of Object.keys(RATES)) expect(refused.note).toContain(`  ${name} `);
  });

  test('a domain that is not listed may hold every copy', () => {
    const { codes, entry } = judged({ domains: 'rack, pdu, spine' });
    expect(codes).toEqual(['KW4005', 'KW4009']);
    // One az with all three copies: lost as often as an az is.
    expect(entry.lossPerYear).toBeGreaterThan(1 / 1000);
    expect(entry.lossPerYear).toBeLessThan(1.1 / 1000);
  });

  test('open or wrong inputs give no verdict', () => {
    expect(judged({ restore: '…' }).entry).toBeUndefined();
    expect(judged({ recovery: '10mb' }).entry).toBeUndefined();
    expect(judged({ rows: { node: '5y' } }).entry).toBeUndefined();
  });
});

describe('with an inventory', () => {
  test('domains enough for every copy change nothing', () => {
    const { entry, codes } = judged({}, racks(4, 3));
    expect(entry).toEqual(judged({}).entry);
    expect(codes).toEqual([]);
  });

  test('fewer domains than copies cost nines', () => {
    const { entry, codes } = judged({ nines: 5 }, racks(4, 3, 2));
    expect(codes).toEqual([]);
    // Two copies in one az and one in the other: the az and then the third copy, or the other way round. The bound is within a factor of 4.
    const [copy, az] = [1 / 5 + 1 / 50 + 1 / 100 + 1 / 200 + 1 / 1000, 1 / 1000];
    const [restore, recovery] = [30 / 525_600, 12 / 8760];
    const loss = az * ((1 / 5) * restore + (copy - 1 / 5) * recovery) + copy * az * recovery;
    expect(entry.lossPerYear / loss).toBeGreaterThan(1);
    expect(entry.lossPerYear / loss).toBeLessThan(4);
  });

  test('a domain that holds more copies than may be lost caps the nines by its own loss rate', () => {
    const { entry, codes } = judged({}, racks(4, 3, 1));
    expect(codes).toEqual(['KW4005']);
    expect(entry.lossPerYear).toBeGreaterThan(1 / 1000);
    expect(entry.lossPerYear).toBeLessThan(1.1 / 1000);
  });

  test('more copies than nodes are refused, and the guard with them', () => {
    const { entry, codes } = judged({ factor: 5 }, racks(2, 2));
    expect(codes).toEqual(['KW4003']);
    expect(entry.accepted).toBe(false);
  });

  test('nodes of weight 0 hold no copies', () => {
    const [name, nodes] = [...racks(3, 1).pools][0]!;
    const inventory: Inventory = {
      schema: 'kwam.inventory/v1',
      pools: new Map([[name, nodes.map((node, i) => ({ ...node, weight: i }))]]),
    };
    expect(judged({}, inventory).codes).toContain('KW4003');
    expect(judged({ factor: 2, nines: 1 }, inventory).codes).toEqual([]);
  });

  test('the widest stripes are judged too, in racks that hold many of their shards', () => {
    const wide = (m: number) =>
      judged({ more: `erasure rs(${255 - m}, ${m})`, nines: 3 }, racks(51, 10)).entry.schemes[1]!;
    expect(wide(4).nines).toBeLessThan(2);
    expect(wide(55).nines).toBeGreaterThan(10);
  });

  test('the worst of several pools stands', () => {
    const both: Inventory = {
      schema: 'kwam.inventory/v1',
      pools: new Map([
        ['good', racks(4, 3).pools.get('pool')!],
        ['bad', racks(4, 3, 1).pools.get('pool')!],
      ]),
    };
    expect(judged({}, both).entry).toEqual(judged({}, racks(4, 3, 1)).entry);
  });
});

describe('restore times', () => {
  const repair = (delay: string): string => `repair { delay ${delay} bandwidth 8gbps }`;

  test('detection, delay and one pack over the link is the least', () => {
    // 3 s of leases + 60 s + 32 MiB at 1 GB/s, rounded up: 63,034 ms.
    expect(judged({ restore: '63034ms', more: repair('1m') }).codes).not.toContain('KW4006');
    const refused = judged({ restore: '63033ms', more: repair('1m') }).diagnostics.find(
      ({ code }) => code === 'KW4006',
    );
    expect(refused?.message).toContain('at least 63.034s');
    expect(refused?.suggestion?.replacement.text).toBe('2m');
  });

  test('without repair settings and profile only the detection counts', () => {
    expect(judged({ restore: '3s' }).codes).not.toContain('KW4006');
    expect(judged({ restore: '2s' }).codes).toContain('KW4006');
  });
});
