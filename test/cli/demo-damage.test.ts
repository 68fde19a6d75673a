/** The demo's eyes on disks: it must see damage that nobody reported, or its "silent 0" would mean nothing. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  auditPacks,
  fullestOf,
  holdersOf,
  injectCorruption,
  isSetAside,
  type NodeDirectory,
} from '../../src/cli/demo-damage.ts';
import { temporary } from './run.ts';

interface PackVector {
  readonly id: string;
  readonly kind: string;
  readonly file: string;
}

const ROOT = temporary('damage');
afterAll(() => fs.rmSync(ROOT, { recursive: true }));
const { packs } = JSON.parse(
  fs.readFileSync(join(import.meta.dirname, '../vectors/pack-v1.json'), 'utf8'),
) as { packs: PackVector[] };
const VECTORS = packs.filter(({ kind }) => kind === 'chunks');

let nodes: NodeDirectory[];

/** Three nodes; each vector lies on all of them but the first, which lies on `n0001` alone. */
beforeEach(() => {
  nodes = ['n0001', 'n0002', 'n0003'].map((name) => ({ name, directory: fs.mkdtempSync(join(ROOT, name)) }));
  for (const [i, { directory }] of nodes.entries()) {
    for (const sub of ['packs', 'quarantine']) fs.mkdirSync(join(directory, sub));
    for (const [v, { id, file }] of VECTORS.entries()) {
      if (i === 0 || v > 0) fs.writeFileSync(join(directory, `packs/${id}.pack`), Buffer.from(file, 'hex'));
    }
  }
});

const audit = () => auditPacks(nodes, () => undefined, new AbortController().signal);

describe('the demo looks at disks itself', () => {
  it('finds every copy intact before anything happened', async () => {
    expect(VECTORS.length).toBeGreaterThan(1);
    const { intact, badRecords } = await audit();
    expect(badRecords).toBe(0);
    expect(VECTORS.map(({ id }) => intact.get(id as never))).toEqual(
      VECTORS.map((_, v) => (v === 0 ? 1 : 3)),
    );
    expect(holdersOf(nodes).size).toBe(VECTORS.length);
    expect(fullestOf(nodes).name).toBe('n0001');
  });

  it('damages two nodes, never the last copy of a pack, and sees each flip as a bad record', async () => {
    const injections = injectCorruption(nodes);
    expect(new Set(injections.map(({ node }) => node)).size).toBe(2);
    expect(injections.some(({ pack }) => pack === VECTORS[0]!.id)).toBe(false);
    const { intact, badRecords } = await audit();
    expect(badRecords).toBe(injections.length);
    for (const { pack } of injections) expect(intact.get(pack)).toBeGreaterThanOrEqual(1);
    expect(injections.filter(isSetAside)).toEqual([]);
  });

  it('calls a flip detected only when the node keeps that pack as evidence', () => {
    const [first, ...others] = injectCorruption(nodes);
    const { directory, pack } = first!;
    fs.renameSync(join(directory, `packs/${pack}.pack`), join(directory, `quarantine/${pack}.1.pack`));
    expect(isSetAside(first!)).toBe(true);
    expect(others.filter((one) => one.node !== first!.node).filter(isSetAside)).toEqual([]);
  });

  it('counts a pack with a damaged frame as bad', async () => {
    const [{ directory }, { id }] = [nodes[1]!, VECTORS[1]!];
    fs.truncateSync(join(directory, `packs/${id}.pack`), 100);
    const { intact, badRecords } = await audit();
    expect([intact.get(id as never), badRecords]).toEqual([2, 1]);
  });
});
