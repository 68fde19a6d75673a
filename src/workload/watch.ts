/**
 * Puts every checkpoint that is complete under a directory, in the order in which they became complete.
 * In: a directory that a training job writes into. Out: one put a checkpoint, named after its entry.
 * An entry directly under the directory is a checkpoint. It is complete when
 * - it was renamed to its final name there: its change of name is newer than anything inside it, or
 * - a done marker lies in it (`.done`, `done`, `_SUCCESS`), or beside it as `<entry>.done`, or
 * - nothing in it has changed for `quietMs`.
 * Names that end in `.tmp`, `.partial`, `.incomplete` or begin with `.` are being written, whatever their age.
 * Holds: an entry that changed while it was put is put again. What was put is remembered by its version, also over restarts.
 * Does not write into the directory, and does not pace its reading: `put` does, so that the job keeps its share of the disk.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';

export interface WatchOptions {
  readonly directory: string;
  readonly quietMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly put: (path: string, name: string, signal: AbortSignal) => Promise<{ readonly bytes: number }>;
  /** Remembers `name` → version over restarts. */
  readonly memory: { get(name: string): string | undefined; set(name: string, version: string): void };
  readonly onPut: (name: string, bytes: number) => void;
  readonly onFailure: (name: string, error: unknown) => void;
}

const UNFINISHED = /(^\.|\.(tmp|partial|incomplete)$)/;
const MARKERS = ['.done', 'done', '_SUCCESS'];
const MARKER_SUFFIX = '.done';

interface Snapshot {
  readonly name: string;
  readonly path: string;
  /** Changes with any change of names, sizes or times below the entry. */
  readonly version: string;
  readonly newestMs: number;
  readonly isMarked: boolean;
}

/** Runs until `signal` aborts. */
export async function watch(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, { version: string; sinceMs: number }>();
  while (!signal.aborted) {
    for (const snapshot of completeOnes(options, seen)) {
      if (signal.aborted) return;
      await putOne(options, snapshot, signal);
    }
    try {
      await options.clock.sleep(options.pollMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** Oldest first: the order in which the job finished them. */
function completeOnes(
  options: WatchOptions,
  seen: Map<string, { version: string; sinceMs: number }>,
): Snapshot[] {
  const nowMs = options.clock.monotonic();
  const complete: Snapshot[] = [];
  for (const snapshot of snapshots(options.directory)) {
    if (options.memory.get(snapshot.name) === snapshot.version) continue;
    const before = seen.get(snapshot.name);
    const isUnchanged = before?.version === snapshot.version;
    const sinceMs = isUnchanged ? before.sinceMs : nowMs;
    seen.set(snapshot.name, { version: snapshot.version, sinceMs });
    // A marker counts once nothing changed between two looks, so that a marker written too early does no harm.
    const isQuiet = isUnchanged && nowMs - sinceMs >= options.quietMs;
    if (isQuiet || (snapshot.isMarked && isUnchanged)) complete.push(snapshot);
  }
  return complete.sort((a, b) => a.newestMs - b.newestMs || (a.name < b.name ? -1 : 1));
}

function snapshots(directory: string): Snapshot[] {
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code;
    throw new KwamError(
      'ENVIRONMENT',
      `expected to watch the directory ${directory}, got ${errno}; create it first`,
      {
        cause,
      },
    );
  }
  const isEntry = (name: string): boolean => !UNFINISHED.test(name) && !name.endsWith(MARKER_SUFFIX);
  return names.filter(isEntry).flatMap((name) => snapshotOf(directory, name, names) ?? []);
}

/** Undefined when the entry vanished while it was looked at. */
function snapshotOf(directory: string, name: string, siblings: readonly string[]): Snapshot | undefined {
  const path = join(directory, name);
  try {
    const own = fs.lstatSync(path);
    const inside = own.isDirectory() ? listBelow(path) : [];
    const newestInsideMs = Math.max(0, ...inside.map(({ mtimeMs }) => mtimeMs));
    const version = [own, ...inside.map(({ stat }) => stat)].map(
      (stat) => `${stat.ino}:${stat.size}:${stat.mtimeMs}`,
    );
    const wasRenamed = own.ctimeMs > Math.max(own.mtimeMs, newestInsideMs);
    const hasMarker =
      inside.some(({ relative }) => MARKERS.includes(relative)) || siblings.includes(name + MARKER_SUFFIX);
    return {
      name,
      path,
      version: createHash('sha256').update(version.join(',')).digest('hex'),
      newestMs: Math.max(own.ctimeMs, newestInsideMs),
      isMarked: hasMarker || wasRenamed,
    };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

interface Below {
  readonly relative: string;
  readonly mtimeMs: number;
  readonly stat: fs.Stats;
}

function listBelow(directory: string): Below[] {
  const names = fs.readdirSync(directory, { recursive: true }) as string[];
  return names.sort().map((relative) => {
    const stat = fs.lstatSync(join(directory, relative));
    return { relative, mtimeMs: stat.mtimeMs, stat };
  });
}

async function putOne(options: WatchOptions, snapshot: Snapshot, signal: AbortSignal): Promise<void> {
  try {
    const { bytes } = await options.put(snapshot.path, snapshot.name, signal);
    const after = snapshots(options.directory).find((one) => one.name === snapshot.name);
    // It changed while it was put: what was stored is not what is there; the next look decides again.
    if (after?.version !== snapshot.version) return;
    options.memory.set(snapshot.name, snapshot.version);
    options.onPut(snapshot.name, bytes);
  } catch (error) {
    if (signal.aborted) return;
    options.onFailure(snapshot.name, error);
  }
}
