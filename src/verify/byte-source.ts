/**
 * Streams as people have them — web streams, Node streams, async iterables — read as pieces of bytes.
 * Holds: whoever stops early closes the source. Pieces are the source's own and are only read, before the next is asked for.
 */
import { KwamError } from '../errors.ts';

export type ByteSource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Not every browser's ReadableStream is an async iterable. */
async function* piecesOfReader(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      finished = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!finished) await reader.cancel();
    reader.releaseLock();
  }
}

function iterableOf(source: ByteSource): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const known = source as Partial<AsyncIterable<Uint8Array> & Iterable<Uint8Array>>;
  if (known[Symbol.asyncIterator] || known[Symbol.iterator]) return source as AsyncIterable<Uint8Array>;
  return piecesOfReader(source as ReadableStream<Uint8Array>);
}

export async function* piecesOf(source: ByteSource): AsyncGenerator<Uint8Array> {
  for await (const piece of iterableOf(source)) {
    if (!(piece instanceof Uint8Array)) {
      throw new KwamError('USAGE', `expected a stream of Uint8Array, got a piece of type ${typeof piece}`);
    }
    yield piece;
  }
}
