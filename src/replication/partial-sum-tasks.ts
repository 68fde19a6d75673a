/**
 * The worker's part of a partial sum: one slice of this node's shards, verified, multiplied and added to what came from the next node.
 * In: where the slices lie and what they must hash to. Out: the sum, as long as a slice. Three slices of INPUT are in use, however
 * many terms there are. The bytes that are hashed are the bytes that are added: each is read once.
 */
import { DIGEST_BYTES, type Digest, type DigestHex, sameBytes, toHex } from '../digest.ts';
import { combineInPlace, layoutSlices } from '../erasure/combination.ts';
import { KwamError } from '../errors.ts';
import { withFile } from '../store/pack-reader.ts';
import { REGION } from '../wasm/kernels.ts';
import { defineTask, type WorkerContext } from '../workers/task.ts';
import { hashInput } from './pack-tasks.ts';

export interface SliceTerm {
  readonly shard: DigestHex;
  readonly path: string;
  /** Of the slice's payload in that file. */
  readonly position: number;
  readonly digest: Digest;
  readonly coefficient: number;
}

export interface AddSliceInput {
  readonly terms: readonly SliceTerm[];
  readonly bytes: number;
  /** The same slice of the sum so far. */
  readonly sum?: Uint8Array;
}

/** @throws KwamError PACK_INVALID  a slice of this node's is damaged; `context.pack` is its shard. */
export const addSlice = defineTask('add-slice', (context, input: AddSliceInput): Uint8Array => {
  const { bytes, sum, terms } = input;
  const { addresses } = layoutSlices(3, bytes);
  let [slice, from, into] = addresses as [number, number, number];
  const memory = context.kernels.bytes();
  if (sum !== undefined) memory.set(sum, from);
  for (const [i, term] of terms.entries()) {
    readVerified(context, term, slice, bytes);
    const isFirst = i === 0 && sum === undefined;
    const inputs = isFirst ? [slice] : [slice, from];
    const coefficients = Uint8Array.of(term.coefficient, 1).subarray(0, inputs.length);
    context.timed('erasure', () => combineInPlace(context.kernels, coefficients, inputs, [into], bytes));
    [from, into] = [into, from];
  }
  return memory.slice(from, from + bytes);
});

function readVerified(context: WorkerContext, term: SliceTerm, address: number, bytes: number): void {
  const { fileSystem } = context;
  const into = context.kernels.bytes().subarray(address, address + bytes);
  const got = naming(term, () =>
    withFile(fileSystem, term.path, (file) => fileSystem.read(file, into, term.position)),
  );
  const actual = hashInput(context)(Uint32Array.of(address - REGION.input, bytes)).subarray(0, DIGEST_BYTES);
  if (got === bytes && sameBytes(actual, term.digest)) return;
  throw new KwamError(
    'PACK_INVALID',
    `shard ${term.shard} at byte ${term.position}: expected ${toHex(term.digest)}, got ${got} bytes of ${toHex(actual)}; it has no part in the sum`,
    { context: { pack: term.shard } },
  );
}

/** An error of the disk says which shard it was. */
function naming<T>({ shard }: SliceTerm, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    const { code, message, context, retryable } = error;
    throw new KwamError(code, message, { context: { ...context, pack: shard }, retryable, cause: error });
  }
}
