/**
 * Puts every checkpoint that is complete under a directory, in the order in which they became complete.
 * In: a directory that a training job writes into. Out: one put a checkpoint, named after its entry.
 * An entry directly under the directory is a checkpoint. It is complete when two looks found it the same and
 * - it was renamed to its final name there: when first seen under that name its change of name was newer than all inside (by a tick of the
 *   file system's clock, 4 to 10 ms on Linux; a rename within the tick of the last write does not show), or
 * - a done marker lies in it (`.done`, `done`, `_SUCCESS`), or beside it as `<entry>.done`, or
 * - nothing in it has changed for `quietMs`.
 * Names that end in `.tmp`, `.partial`, `.incomplete` or begin with `.` are being written, whatever their age.
 * Holds: an entry that changed while it was put is put again; one whose put failed too, with growing pauses. What was put is
 * remembered by its version, also over restarts.
 * Does not write into the directory, and does not pace its reading: `put` does, so that the job keeps its share of the disk.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { entryNames, lookAt, type Snapshot } from './snapshot.ts';

export interface WatchOptions {
  readonly directory: string;
  readonly quietMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly put: (path: string, name: string, signal: AbortSignal) => Promise<PutReport>;
  /** Remembers `name` → version over restarts. */
  readonly memory: { get(name: string): string | undefined; set(name: string, version: string): void };
  readonly onPut: (name: string, bytes: number) => void;
  readonly onFailure: (name: string, error: unknown) => void;
}

export interface PutReport {
  readonly bytes: number;
  /** What is not in the object, and why. */
  readonly problems?: readonly { readonly path: string; readonly reason: string }[];
}

/** What is known of an entry since the last look. */
interface Watched {
  readonly version: string;
  readonly inode: string;
  readonly sinceMs: number;
  /** It came under this name by a rename. A later change of its mode looks the same to one look, and is not that. */
  readonly hasArrived: boolean;
  failures: number;
  retryAtMs: number;
}

/** A put that fails reads the whole checkpoint each time; a disk that stays full is no reason to take the job's. */
const RETRY_MS_MAX = 60_000;

/** Runs until `signal` aborts. @throws KwamError ENVIRONMENT when the directory is not there to begin with. */
export async function watch(options: WatchOptions, signal: AbortSignal): Promise<void> {
  let seen = new Map<string, Watched>();
  const reported = new Set<string>();
  entryNames(options.directory);
  while (!signal.aborted) {
    try {
      const snapshots = await lookAround(options, reported, signal);
      seen = new Map(snapshots.map((snapshot) => [snapshot.name, updated(options, seen, snapshot)]));
      for (const snapshot of completeOnes(options, seen, snapshots)) {
        if (signal.aborted) return;
        await putOne(options, snapshot, seen.get(snapshot.name)!, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      // The directory may be back at the next look.
      if (!(error instanceof KwamError)) throw error;
      options.onFailure(options.directory, error);
    }
    await pause(options, signal);
  }
}

async function pause(options: WatchOptions, signal: AbortSignal): Promise<void> {
  try {
    await options.clock.sleep(options.pollMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function lookAround(
  options: WatchOptions,
  reported: Set<string>,
  signal: AbortSignal,
): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  const { names, strange, markers } = entryNames(options.directory);
  for (const name of strange) {
    if (!reported.has(name)) options.onFailure(name, nameNotText(name));
    reported.add(name);
  }
  for (const name of names) {
    const snapshot = lookAt(options.directory, name, markers);
    if (snapshot !== undefined) snapshots.push(snapshot);
    if (signal.aborted) break;
    await yieldToEvents();
  }
  return snapshots;
}

function nameNotText(name: string): KwamError {
  return new KwamError(
    'USAGE',
    `expected the name of a checkpoint in UTF-8, got ${JSON.stringify(name)}; rename it`,
  );
}

function updated(options: WatchOptions, seen: ReadonlyMap<string, Watched>, snapshot: Snapshot): Watched {
  const before = seen.get(snapshot.name);
  const { version, inode, wasRenamed } = snapshot;
  if (before?.version === version) return before;
  const hasArrived = wasRenamed && (before?.inode !== inode || before.hasArrived);
  return { version, inode, sinceMs: options.clock.monotonic(), hasArrived, failures: 0, retryAtMs: 0 };
}

/** Oldest first: the order in which the job finished them. */
function completeOnes(
  options: WatchOptions,
  seen: ReadonlyMap<string, Watched>,
  snapshots: readonly Snapshot[],
): Snapshot[] {
  return snapshots
    .filter((snapshot) => isDue(options, snapshot, seen.get(snapshot.name)!))
    .sort((a, b) => a.completedMs - b.completedMs || (a.name < b.name ? -1 : 1));
}

function isDue(options: WatchOptions, snapshot: Snapshot, watched: Watched): boolean {
  if (options.memory.get(snapshot.name) === snapshot.version) return false;
  const nowMs = options.clock.monotonic();
  const quietForMs = nowMs - watched.sinceMs;
  // Time has passed since this version was first seen: a marker that was written too early does no harm.
  const isSettled = quietForMs > 0 && (snapshot.isMarked || watched.hasArrived);
  return (isSettled || quietForMs >= options.quietMs) && nowMs >= watched.retryAtMs;
}

async function putOne(
  options: WatchOptions,
  snapshot: Snapshot,
  watched: Watched,
  signal: AbortSignal,
): Promise<void> {
  const { name, path, version } = snapshot;
  try {
    const { bytes, problems = [] } = await options.put(path, name, signal);
    const after = lookAt(options.directory, name, new Map());
    // It changed while it was put: what was stored is not what is there; the next looks decide again.
    if (after?.version !== version) return;
    if (problems.some(({ reason }) => MOVING.has(reason))) return postpone(options, watched);
    options.memory.set(name, version);
    options.onPut(name, bytes);
    if (problems.length > 0) options.onFailure(name, incomplete(name, problems));
  } catch (error) {
    if (signal.aborted) return;
    postpone(options, watched);
    options.onFailure(name, error);
  }
}

const MOVING: ReadonlySet<string> = new Set(['changed', 'vanished']);

function postpone(options: WatchOptions, watched: Watched): void {
  watched.failures++;
  watched.retryAtMs =
    options.clock.monotonic() + Math.min(RETRY_MS_MAX, options.pollMs * 2 ** watched.failures);
}

/** It is stored and not tried again: what cannot be read now would not be the next time. */
function incomplete(name: string, problems: NonNullable<PutReport['problems']>): KwamError {
  const first = problems.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
  return new KwamError(
    'IO',
    `checkpoint ${name} is stored without ${problems.length} entries: ${first.join(', ')}`,
  );
}
