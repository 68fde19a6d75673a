/** What a development cluster makes of local groups: its domains are made up, so that too few of them are said and not refused. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';
import { devPlan, exampleProgram } from '../../src/cli/dev-program.ts';
import { Shell } from '../../src/cli/shell.ts';
import type { ErasureScheme, Plan } from '../../src/plan.ts';

const LRC: ErasureScheme = { dataShards: 12, parityShards: 4, matrix: 'lrc', localGroups: 2 };
const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-dev-program-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

async function planned(program: string, erasure?: ErasureScheme): Promise<{ plan: Plan; said: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const shell = new Shell({ stdout, stderr }, {});
  const { plan } = await devPlan(shell, program, { nodes: 16, ...(erasure && { erasure }) });
  stderr.end();
  return { plan, said: await text(stderr) };
}

/** The example with another `replicate`, and no more nines than that supports over three zones. */
function written(attributes: string): string {
  const example = fs.readFileSync(exampleProgram(), 'utf8');
  const program = join(directory, 'h100.kwam');
  const changed = example.replace(/anti_affinity \[[^\]]*\]/, attributes).replace('6nines', '1nines');
  fs.writeFileSync(program, changed);
  return program;
}

test('a wish for local groups is planned as it is, over the three zones that there are', async () => {
  const { plan, said } = await planned(exampleProgram(), LRC);
  expect(plan.replicate.erasure).toEqual(LRC);
  expect(said).toMatch(
    /declares 12 domains for local groups, 6nines; this cluster has 3 of `az`, [\d.]+ nines;/,
  );
});

test('a program that asks for them runs too, though every shard finds a node', async () => {
  const { plan, said } = await planned(written('anti_affinity [rack, pdu, spine, az] erasure lrc(12, 2, 2)'));
  expect(plan.replicate.erasure).toEqual(LRC);
  expect(said).toContain('declares 12 domains for local groups');
});
