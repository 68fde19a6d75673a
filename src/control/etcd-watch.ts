/**
 * Follows a prefix of an etcd by revision, over broken connections, elections and compactions.
 * In: a client and the range of keys. Out: changes, whole revisions at a time and each once, or a snapshot where etcd has
 * forgotten. Ends with UNAVAILABLE when no member takes the watch up again within the time of a call.
 * Source: etcd's Watch API (etcd.io/docs, "etcd API guarantees": ordered, unique, reliable, atomic, resumable).
 *
 * A watch starts one revision early and drops what it has seen: etcd before 3.4.34 and 3.5.16 leaves out a deletion that lies
 * exactly at the compacted revision (etcd-io/etcd issue 18089), and starting there means to ask for the revision before it.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import type { ControlEntry, ControlEvent } from './control-store.ts';
import type { EtcdClient } from './etcd-client.ts';
import { CallFailed, type Stream } from './etcd-member.ts';
import { METHODS, revisionOf, type WatchRequest, type WatchResponse } from './etcd-protocol.ts';
import type { Change } from './watch.ts';

export interface WatchedRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  snapshot(): Promise<{ readonly revision: number; readonly entries: ControlEntry[] }>;
  changeOf(event: WatchResponse['events'][number]): Change;
}

export interface Following {
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly range: WatchedRange;
  readonly fromRevision: number | undefined;
  readonly signal: AbortSignal;
}

/** Between two streams; a member that ends each one at once is not asked in a busy loop. */
const reopenMs = 50;

export async function* followEtcd(following: Following): AsyncGenerator<ControlEvent, void, undefined> {
  const { range, signal } = following;
  let next = following.fromRevision;
  while (!signal.aborted) {
    if (next === undefined) {
      const snapshot = await unlessAborted(signal, range.snapshot());
      if (snapshot === undefined) return;
      next = snapshot.revision + 1;
      yield { kind: 'snapshot', ...snapshot };
      continue;
    }
    for await (const page of pagesOf(following, next)) {
      if (page === 'forgotten') {
        next = undefined;
        break;
      }
      for (const change of page.changes) {
        if (signal.aborted) return;
        if (change.revision >= next) yield change;
      }
      next = Math.max(next, page.last + 1);
    }
  }
}

/** All changes of the revisions up to `last` that came after the page before. */
interface Page {
  readonly changes: readonly Change[];
  readonly last: number;
}

/** What one stream says; ends when the stream breaks, so that the caller opens the next one where this one ended. */
async function* pagesOf(
  { client, clock, range, signal }: Following,
  next: number,
): AsyncGenerator<Page | 'forgotten', void, undefined> {
  const opening = client.open(METHODS.watch, requestOf(range, next));
  const stream = await unlessAborted(signal, opening);
  const cancel = (): void => void opening.then((one) => one.cancel(), ignored);
  if (stream === undefined) return cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    yield* wholePages(stream, range);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    if (!error.failure.passing) throw error.failure.error;
    await unlessAborted(signal, clock.sleep(reopenMs));
  } finally {
    signal.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

/** Fragments of one message are put together first, so that a broken stream leaves no part of a revision behind. */
async function* wholePages(
  stream: Stream<WatchResponse>,
  range: WatchedRange,
): AsyncGenerator<Page | 'forgotten', void, undefined> {
  let changes: Change[] = [];
  for (let said: WatchResponse | undefined = stream.first; said !== undefined; said = await stream.next()) {
    if (said.canceled) {
      if (said.compactRevision === '0') throw refused(said.cancelReason);
      yield 'forgotten';
      return;
    }
    changes.push(...said.events.map((event) => range.changeOf(event)));
    if (said.created || said.fragment) continue;
    yield { changes, last: changes.at(-1)?.revision ?? revisionOf(said.header.revision) };
    changes = [];
  }
}

function requestOf({ key, rangeEnd }: WatchedRange, next: number): WatchRequest {
  // 0 would mean "from now on".
  const startRevision = Math.max(1, next - 1);
  return { createRequest: { key, rangeEnd, startRevision, progressNotify: true, fragment: true } };
}

function refused(reason: string): KwamError {
  return new KwamError(
    reason.includes('permission denied') ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
    `expected etcd to let us watch, got "${reason}"; our user needs to read the prefix /kwam/`,
  );
}

function ignored(): void {
  // Whoever waits for the same promise hears of it.
}

/** Undefined as soon as the signal is aborted, whatever becomes of the work. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const abort = (): void => aborted.resolve(undefined);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  work.catch(ignored);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
