/**
 * Power failure at every single operation of a small workload, on a disk that loses what was not synced.
 * The workload seals packs, quarantines one and retires one; `acknowledged` is what its caller was told.
 */
import { expect, test, vi } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { seededRandom } from '../../src/random.ts';
import { layoutOf, packPath } from '../../src/store/layout.ts';
import { verifyPackFile } from '../../src/store/pack-verify.ts';
import { quarantineFile, scanStore } from '../../src/store/recovery.ts';
import { FaultyFileSystem, PowerLoss } from '../faults/faulty-filesystem.ts';
import { buildPack, CAMPAIGN, chosenSeed, hashRunsIn, randomPayloads } from './packs.ts';

vi.setConfig({ testTimeout: 1_800_000 }); // the campaign takes minutes
const layout = layoutOf('/store');
const buffer = new Uint8Array(4096);

interface Told {
  readonly sealed: Set<DigestHex>;
  /** Asked to leave packs/, whether or not it was confirmed. */
  readonly leaving: Set<DigestHex>;
  readonly quarantined: Set<DigestHex>;
}

async function workload(disk: FaultyFileSystem, seed: number, told: Told): Promise<void> {
  const random = seededRandom(seed);
  const ids: DigestHex[] = [];
  for (let n = 0; n < 4; n++) {
    const { id } = await buildPack(disk, layout, randomPayloads(random, 3, 200), `p${n}`);
    told.sealed.add(id);
    ids.push(id);
  }
  told.leaving.add(ids[0]!);
  quarantineFile(disk, layout, { id: ids[0]!, reason: 'test', atMs: 0 });
  told.quarantined.add(ids[0]!);
  told.leaving.add(ids[1]!);
  disk.remove(packPath(layout.packs, ids[1]!));
  disk.syncDirectory(layout.packs);
}

async function crashAt(step: number, seed: number): Promise<{ finished: boolean }> {
  const disk = new FaultyFileSystem(seededRandom(seed));
  const told: Told = { sealed: new Set(), leaving: new Set(), quarantined: new Set() };
  disk.schedule = (_, count) => (count === step ? 'crash' : undefined);
  let finished = true;
  try {
    await workload(disk, seed, told);
  } catch (error) {
    if (!isPowerLoss(error)) throw error;
    finished = false;
  }
  checkAfter(disk.crash(), told, `step ${step}, KWAM_SEED=${seed}`);
  return { finished };
}

/** Code that cleans up after a failure fails again: the power stays off. */
function isPowerLoss(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isPowerLoss);
  return error instanceof PowerLoss;
}

function checkAfter(disk: FaultyFileSystem, told: Told, where: string): void {
  const scan = scanStore(disk, layout);
  for (const id of told.sealed) {
    if (!told.leaving.has(id)) expect(scan.packs.has(id), `${where}: acknowledged pack ${id}`).toBe(true);
  }
  for (const id of told.quarantined) expect(scan.packs.has(id), `${where}: quarantined ${id}`).toBe(false);
  for (const id of scan.packs) {
    const found = verifyPackFile(disk, packPath(layout.packs, id), id, buffer, hashRunsIn(buffer));
    expect(found.ok, `${where}: ${id} is torn: ${found.problem}`).toBe(true);
  }
  expect(disk.list(layout.incoming), where).toEqual([]);
  expect(scanStore(disk, layout).incomingDropped, where).toEqual([]);
}

test('a power failure at any operation loses no acknowledged pack and leaves no torn one', async () => {
  const first = chosenSeed();
  let crashes = 0;
  for (let seed = first; seed < first + (CAMPAIGN ? 500 : 15); seed++)
    for (let step = 0; !(await crashAt(step, seed)).finished; step++) crashes++;
  expect(crashes).toBeGreaterThan(15 * 40);
});

test('canary: the same check finds a pack that was renamed before it was synced', async () => {
  const skipsSync = (disk: FaultyFileSystem): FaultyFileSystem =>
    Object.assign(disk, { sync: () => undefined });
  let found = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const disk = skipsSync(new FaultyFileSystem(seededRandom(seed)));
    const told: Told = { sealed: new Set(), leaving: new Set(), quarantined: new Set() };
    await workload(disk, seed, told);
    try {
      checkAfter(disk.crash(), told, `seed ${seed}`);
    } catch {
      found++;
    }
  }
  expect(found).toBeGreaterThan(20);
});

test('a second fsync after a failed one saves nothing, so the pack is abandoned', async () => {
  const disk = new FaultyFileSystem(seededRandom(1));
  disk.schedule = (operation) => (operation === 'sync' ? 'EIO' : undefined);
  await expect(buildPack(disk, layout, randomPayloads(seededRandom(1), 3, 200))).rejects.toMatchObject({
    code: 'IO',
  });
  expect(disk.list(layout.packs)).toEqual([]);
  expect(disk.list(layout.incoming)).toEqual([]);
});
