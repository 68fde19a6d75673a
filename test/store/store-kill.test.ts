/** kill -9 at random moments: whatever the killed process had said to be committed is there and verifies. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type DigestHex, parseDigestHex } from '../../src/digest.ts';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { type Random, seededRandom } from '../../src/random.ts';
import { verifyPackFile } from '../../src/store/pack-verify.ts';
import { Store } from '../../src/store/store.ts';
import { CAMPAIGN, chosenSeed, hashRunsIn } from './packs.ts';

const child = new URL('./commit-loop.ts', import.meta.url).pathname;
const buffer = new Uint8Array(1 << 16);

/** In memory where there is such a place: the kernel keeps what a killed process wrote, so only the process dies here. */
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Runs the child and kills it some time after its n-th line; returns the whole lines that it printed. */
async function killedRun(directory: string, seed: number, random: Random): Promise<string[]> {
  const running = spawn(process.execPath, [child, directory, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  running.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const ended = new Promise<void>((resolve) => running.once('close', () => resolve()));
  const lines = 1 + random.below(8);
  while (output.split('\n').length <= lines && running.exitCode === null)
    await Promise.race([delay(1), ended]);
  await delay(random.below(10));
  running.kill('SIGKILL');
  await ended;
  expect(running.signalCode, 'the child ran until it was killed').toBe('SIGKILL');
  return output.split('\n').slice(0, -1);
}

test('kill -9 at any moment loses nothing acknowledged and serves nothing torn', {
  timeout: 3600_000,
}, async () => {
  const seed = chosenSeed();
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(base, 'kwam-kill-'));
  const kept = new Set<DigestHex>();
  const given = new Set<DigestHex>();
  for (let round = 0; round < (CAMPAIGN ? 150 : 20); round++) {
    const lines = await killedRun(directory, seed + round, random);
    for (const line of lines.filter((text) => /^[+-]/.test(text))) {
      const id = parseDigestHex(line.slice(1));
      if (line[0] === '+') kept.add(id);
      else given.add(id);
    }
    const store = await Store.open({ directory });
    const where = `round ${round}, KWAM_SEED=${seed}`;
    expect(store.recovery.packsQuarantined, where).toEqual([]);
    for (const id of kept) {
      if (given.has(id)) continue;
      expect(store.hasPack(id), `${where}: ${id}`).toBe(true);
    }
    for (const { id, state } of store.listPacks(undefined, 1e6)) {
      if (state !== 'present') continue;
      const found = verifyPackFile(nodeFileSystem, store.packFile(id), id, buffer, hashRunsIn(buffer));
      expect(found.ok, `${where}: ${id} ${found.problem}`).toBe(true);
      for (const { digest } of store.recordsOf(id)) expect(store.locate(digest), where).toBeDefined();
    }
    await store.close();
  }
  expect(kept.size).toBeGreaterThan(20);
  rmSync(directory, { recursive: true });
});
