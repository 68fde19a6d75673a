/** What a seed has redeemed it knows by itself, over restarts. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { usedTokensIn } from '../../src/rollout/used-tokens.ts';
import { TOKEN } from './consents.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-used-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

it('is known after a restart, and nothing else is', () => {
  const place = join(directory, 'n0001', 'redeemed');
  expect(usedTokensIn(place).has(TOKEN.jti)).toBe(false);
  usedTokensIn(place).add(TOKEN.jti);
  usedTokensIn(place).add(TOKEN.jti);
  expect(usedTokensIn(place).has(TOKEN.jti)).toBe(true);
  expect(usedTokensIn(place).has('f'.repeat(32))).toBe(false);
});

it('that cannot be noted is an error that says what to do', () => {
  const file = join(directory, 'a file');
  fs.writeFileSync(file, '');
  expect(() => usedTokensIn(join(file, 'redeemed')).add(TOKEN.jti)).toThrow(
    expect.objectContaining({ code: 'IO', context: expect.objectContaining({ errno: 'ENOTDIR' }) }),
  );
});
