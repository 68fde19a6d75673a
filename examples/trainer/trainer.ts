/**
 * A training job beside its sidecar: it writes checkpoints, is killed, and goes on where the last complete one was.
 * Run: npm run example:trainer. Starts a development cluster of three nodes, and gives the first one a directory to watch.
 *
 * The job knows nothing of kwam-dp but a directory. It writes a checkpoint under a name that begins with a dot and renames it when
 * it is complete; the sidecar takes what has its final name. To restore, it asks for the newest object.
 * Times of files move in ticks of some milliseconds. A rename within the tick of the last write does not show; such a checkpoint, as these
 * small ones are, counts as complete once it was quiet for a while, here two seconds.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const COMMAND = join(import.meta.dirname, '../../bin/kwam-dp.mjs');
const work = mkdtempSync(join(tmpdir(), 'kwam-trainer-'));
const cluster = join(work, 'cluster');
const checkpoints = join(work, 'checkpoints');
const STEPS = 4;
const WEIGHTS_BYTES = 4 * 2 ** 20;

const kwam = (...args: string[]): string =>
  execFileSync(process.execPath, [COMMAND, ...args, '--dir', cluster], { encoding: 'utf8' });

/** One step of "training": every weight depends on the one before, so a wrong byte would not go unnoticed. */
function train(weights: Uint8Array): Buffer<ArrayBuffer> {
  const next = Buffer.from(weights);
  const seed = createHash('sha256').update(weights).digest();
  for (let i = 0; i < 4096; i++) next[(seed.readUInt32LE(i % 28) + i * 977) % next.length]! ^= seed[i % 32]!;
  return next;
}

function writeCheckpoint(step: number, weights: Uint8Array): void {
  const name = `step-${String(step).padStart(6, '0')}`;
  const growing = join(checkpoints, `.${name}`);
  mkdirSync(growing);
  writeFileSync(join(growing, 'weights.bin'), weights);
  writeFileSync(join(growing, 'state.json'), JSON.stringify({ step }));
  renameSync(growing, join(checkpoints, name));
}

function storedNames(): string[] {
  const { objects } = JSON.parse(kwam('ls', '--json')) as { objects: { name: string }[] };
  return objects.map((object) => object.name).sort();
}

async function untilStored(count: number): Promise<void> {
  while (storedNames().length < count) await sleep(200);
}

/** The newest complete checkpoint, verified byte for byte on its way back; undefined for a new job. */
function restoreNewest(): { step: number; weights: Buffer } | undefined {
  const newest = storedNames().at(-1);
  if (newest === undefined) return undefined;
  const place = join(work, 'restored');
  rmSync(place, { recursive: true, force: true });
  kwam('get', newest, place);
  const { step } = JSON.parse(readFileSync(join(place, 'state.json'), 'utf8')) as { step: number };
  return { step, weights: readFileSync(join(place, 'weights.bin')) };
}

mkdirSync(checkpoints);
kwam('dev', 'up', '--nodes', '3');
// In production the sidecar is one `serve … --watch` next to the job; here its node takes the place of the cluster's first.
kwam('dev', 'down', '--node', 'n0001');
const plan = join(cluster, 'plan.json');
const ready = join(work, 'ready.json');
const sidecar = spawn(
  process.execPath,
  [
    COMMAND,
    'serve',
    plan,
    '--dir',
    cluster,
    '--node',
    'n0001',
    '--watch',
    checkpoints,
    '--watch-quiet',
    '2s',
    '--ready-file',
    ready,
  ],
  { stdio: ['ignore', 'ignore', 'ignore'] },
);
try {
  while (!existsSync(ready)) await sleep(100);
  const seed = createHash('sha512').update('weights').digest();
  let weights = Buffer.alloc(WEIGHTS_BYTES, seed);
  for (let step = 1; step <= STEPS; step++) {
    weights = train(weights);
    writeCheckpoint(step, weights);
  }
  await untilStored(STEPS);
  console.log(`the sidecar stored ${storedNames().join(', ')}`);

  // The job's machine is lost, and its checkpoints with it. What it had not finished writing never counted.
  mkdirSync(join(checkpoints, `.step-${String(STEPS + 1).padStart(6, '0')}`));
  rmSync(checkpoints, { recursive: true });

  const restored = restoreNewest();
  if (restored?.step !== STEPS || !restored.weights.equals(weights))
    throw new Error('the restored state differs');
  console.log(
    `a new job goes on at step ${restored.step + 1} with ${restored.weights.length} verified bytes of weights`,
  );
} finally {
  sidecar.kill('SIGTERM');
  await new Promise((resolve) => sidecar.once('exit', resolve));
  kwam('dev', 'down');
  rmSync(work, { recursive: true, force: true });
}
