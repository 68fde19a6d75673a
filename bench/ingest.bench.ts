/**
 * `put-tree`: storing a real tree on one node, as a user does it, beside `restic backup` of the same tree.
 * Both are whole commands: process start, reading, chunking, SHA-256, deduplication, writing, fsync. Both meet a store that
 * has never seen the data; the source is in the page cache for both. Compression is off, as we have none. They take turns;
 * value: median MB/s; spread: interquartile range over the median; ratio: median of restic's time over ours, pair by pair.
 * Input: KWAM_BENCH_TREE, or this project's node_modules. Digest: over what was stored, read back and verified.
 * Needs restic (Debian's package `restic`). Does not measure replication: the node is alone.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KwamError } from '../src/errors.ts';
import { seededRandom } from '../src/random.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMMAND = join(ROOT, 'bin/kwam-dp.mjs');
const ROUNDS = { smoke: 1, real: 7 } as const;

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const result = spawnSync(command, args, { encoding: 'utf8', env, maxBuffer: 64 * 2 ** 20 });
  if (result.status === 0) return result.stdout;
  const why = result.error?.message ?? result.stderr.trim();
  throw new KwamError('ENVIRONMENT', `${command} ${args.join(' ')} failed: ${why}`);
}

function secondsOf(act: () => void): number {
  const start = performance.now();
  act();
  return (performance.now() - start) / 1000;
}

interface PutDocument {
  readonly bytes: number;
  readonly files: number;
  readonly chunks: number;
}

interface Ours {
  readonly seconds: number;
  readonly put: PutDocument;
}

function kwam(...args: readonly string[]): string {
  return run(process.execPath, [COMMAND, ...args]);
}

function putOnce(work: string, tree: string): Ours {
  const directory = join(work, 'kwam');
  kwam('dev', 'up', '--dir', directory, '--nodes', '1');
  try {
    let put = '';
    const seconds = secondsOf(() => {
      put = kwam('put', tree, '--name', 'tree', '--dir', directory, '--json');
    });
    kwam('verify', 'tree', '--dir', directory);
    return { seconds, put: JSON.parse(put) as PutDocument };
  } finally {
    kwam('dev', 'down', '--dir', directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

function resticOnce(work: string, tree: string): number {
  const repository = join(work, 'restic');
  const cache = join(work, 'restic-cache');
  const env = { ...process.env, RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: cache };
  const restic = (...args: readonly string[]): string => run('restic', ['-r', repository, ...args], env);
  restic('init', '--quiet');
  try {
    return secondsOf(() => restic('backup', '--quiet', '--compression', 'off', tree));
  } finally {
    rmSync(repository, { recursive: true, force: true });
    rmSync(cache, { recursive: true, force: true });
  }
}

/** A few megabytes, so that a smoke run takes seconds. */
function smokeTree(work: string): string {
  const tree = join(work, 'tree');
  mkdirSync(tree);
  const random = seededRandom(20261122);
  for (let i = 0; i < 16; i++)
    writeFileSync(join(tree, `file-${i}`), random.fill(new Uint8Array(100_000 + i * 4096)));
  return tree;
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const work = mkdtempSync(join(tmpdir(), 'kwam-bench-'));
  try {
    const tree = options.smoke
      ? smokeTree(work)
      : (process.env['KWAM_BENCH_TREE'] ?? join(ROOT, 'node_modules'));
    const ours: Ours[] = [];
    const peer: number[] = [];
    run('sh', ['-c', 'tar -cf - "$1" | cat >/dev/null', 'sh', tree]);
    for (let round = 0; round < (options.smoke ? ROUNDS.smoke : ROUNDS.real); round++) {
      ours.push(putOnce(work, tree));
      peer.push(resticOnce(work, tree));
    }
    return [figureOf(ours, peer)];
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function figureOf(ours: readonly Ours[], peer: readonly number[]): Figure {
  const { bytes, files, chunks } = ours[0]!.put;
  const rates = ours.map(({ seconds }) => bytes / seconds / 1e6);
  return {
    name: 'put-tree',
    value: quantile(rates, 0.5),
    unit: 'MB/s',
    spread: (quantile(rates, 0.75) - quantile(rates, 0.25)) / quantile(rates, 0.5),
    peer: { name: 'restic backup', value: bytes / quantile(peer, 0.5) / 1e6 },
    ratio: quantile(
      peer.map((seconds, i) => seconds / ours[i]!.seconds),
      0.5,
    ),
    digest: createHash('sha256').update(JSON.stringify({ bytes, files, chunks })).digest('hex'),
  };
}
