/**
 * Serves packs to other nodes.
 * In: a pull request. Out: bytes of a present pack's file. A pack in quarantine, missing or unknown is NOT_FOUND.
 * Does not verify what it streams: the receiver does, against the pack's id, and tells us when it finds damage.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { AsyncFiles } from '../filesystem.ts';
import { messageBytesMax } from '../limits.ts';
import { openPack } from '../store/pack-reader.ts';
import type { Store } from '../store/store.ts';
import type { PackPull } from './protocol.ts';

/** @param onRead  told the seconds that each read of the disk took. */
export async function* servePull(
  store: Store,
  request: PackPull,
  onRead: (seconds: number) => void = () => undefined,
): AsyncGenerator<Uint8Array> {
  requirePresent(store, request.pack);
  const path = store.packFile(request.pack);
  if (request.what === 'frame') {
    const started = performance.now();
    const { headerBytes, index } = openPack(store.fileSystem, path, request.pack);
    onRead((performance.now() - started) / 1000);
    yield headerBytes;
    for (let at = 0; at < index.length; at += messageBytesMax) yield index.subarray(at, at + messageBytesMax);
    return;
  }
  yield* streamRanges(store.files, path, request.ranges, onRead);
}

function requirePresent(store: Store, pack: DigestHex): void {
  if (store.hasPack(pack)) return;
  const state = store.packInfo(pack)?.state ?? 'unknown';
  throw new KwamError('NOT_FOUND', `expected to hold pack ${pack}, it is ${state} here; ask another node`, {
    context: { pack, state },
  });
}

/** One buffer serves the whole stream: a yielded view is only read until the next one is asked for. */
async function* streamRanges(
  files: AsyncFiles,
  path: string,
  ranges: readonly (readonly [number, number])[],
  onRead: (seconds: number) => void,
): AsyncGenerator<Uint8Array> {
  const file = await files.open(path, 'read');
  const most = ranges.reduce((bytes, [start, end]) => Math.max(bytes, end - start), 0);
  const buffer = new Uint8Array(Math.min(messageBytesMax, most));
  try {
    for (const [start, end] of ranges) {
      for (let at = start; at < end; ) {
        const started = performance.now();
        const bytesRead = await file.read(buffer.subarray(0, Math.min(buffer.length, end - at)), at);
        onRead((performance.now() - started) / 1000);
        if (bytesRead === 0) throw new KwamError('IO', `the pack at ${path} ends at ${at}, before ${end}`);
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    }
  } finally {
    await file.close();
  }
}
