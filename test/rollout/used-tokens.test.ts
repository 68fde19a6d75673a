/** What a seed has redeemed it knows by itself, over restarts and power failures. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { usedTokensIn } from '../../src/rollout/used-tokens.ts';
import { FaultyFileSystem } from '../faults/faulty-filesystem.ts';
import { TOKEN } from './consents.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-used-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

it('is known after a restart, and nothing else is', () => {
  const place = join(directory, 'redeemed');
  expect(usedTokensIn(place).has(TOKEN.jti)).toBe(false);
  usedTokensIn(place).add(TOKEN.jti);
  usedTokensIn(place).add(TOKEN.jti);
  expect(usedTokensIn(place).has(TOKEN.jti)).toBe(true);
  expect(usedTokensIn(place).has('f'.repeat(32))).toBe(false);
  expect(fs.readdirSync(place)).toEqual([TOKEN.jti]);
});

it('is known after a power failure', () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new FaultyFileSystem(seededRandom(seed));
    usedTokensIn('/n0001/redeemed', disk).add(TOKEN.jti);
    expect(usedTokensIn('/n0001/redeemed', disk.crash()).has(TOKEN.jti), `seed ${seed}`).toBe(true);
  }
});

it('lies in a directory whose own name is durable', () => {
  const synced: string[] = [];
  const noting = { ...nodeFileSystem, syncDirectory: (path: string) => void synced.push(path) };
  usedTokensIn(join(directory, 'new'), noting);
  expect(synced).toEqual([directory]);
});

it('that cannot be noted is an error', () => {
  const place = join(directory, 'lost');
  const used = usedTokensIn(place);
  fs.rmdirSync(place);
  fs.writeFileSync(place, '');
  expect(() => used.add(TOKEN.jti)).toThrow(expect.objectContaining({ code: 'IO' }));
});
