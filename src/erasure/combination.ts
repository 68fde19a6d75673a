/**
 * Runs the kernel: linear combinations of shards, either where they lie in linear memory or streamed through it.
 * In: a coefficient matrix, one row an output and one column an input. Out: the outputs, overwritten.
 * Owns while it runs: SCRATCH, and for shards in host memory all of INPUT. Knows nothing of schemes or losses.
 */
import { assert } from '../errors.ts';
import { codingSliceBytes, shardAlignBytes, shardCountMax } from '../limits.ts';
import { INPUT_BYTES, type Kernels, REGION } from '../wasm/kernels.ts';

/** Offsets into SCRATCH; the picture is in assembly/reed-solomon.ts. */
const COEFFICIENTS = REGION.scratch;
const INPUT_ADDRESSES = REGION.scratch + 0x1_0000;
const OUTPUT_ADDRESSES = REGION.scratch + 0x1_0400;

const INPUT_END = REGION.input + INPUT_BYTES;

export interface SliceLayout {
  /** Bytes of each shard that fit at once, a multiple of 64. */
  readonly sliceBytes: number;
  /** Address in linear memory of each shard's slice. */
  readonly addresses: readonly number[];
}

/**
 * Where to put slices of `shardCount` shards in INPUT so that the kernel runs fastest.
 * Neighbours are one cache line more than a slice apart: at a power of two all shards would fall into the same set of
 * the 8-way L1 and evict each other (measured on Zen 3: a tenth to a third slower).
 */
export function layoutSlices(shardCount: number, sliceBytesMax: number = codingSliceBytes): SliceLayout {
  assert(shardCount >= 1 && shardCount <= shardCountMax + 1, `no layout for ${shardCount} shards`);
  const share = Math.floor(INPUT_BYTES / shardCount / shardAlignBytes) * shardAlignBytes;
  const wanted = Math.ceil(Math.max(sliceBytesMax, 1) / shardAlignBytes) * shardAlignBytes;
  const sliceBytes = Math.min(wanted, share - shardAlignBytes);
  const strideBytes = sliceBytes + shardAlignBytes;
  return {
    sliceBytes,
    addresses: Array.from({ length: shardCount }, (_, i) => REGION.input + i * strideBytes),
  };
}

function assertDisjoint(inputs: readonly number[], outputs: readonly number[], bytes: number): void {
  for (const address of [...inputs, ...outputs]) {
    assert(address >= REGION.input && address + bytes <= INPUT_END, `shard at ${address} lies outside INPUT`);
  }
  outputs.forEach((output, i) => {
    const apart = (other: number): boolean => Math.abs(output - other) >= bytes;
    assert(inputs.every(apart), `output at ${output} overlaps an input`);
    assert(
      outputs.every((other, j) => i === j || apart(other)),
      `output at ${output} overlaps another`,
    );
  });
}

function runKernel(
  kernels: Kernels,
  coefficients: Uint8Array,
  inputs: readonly number[],
  outputs: readonly number[],
  bytes: number,
): void {
  kernels.bytes().set(coefficients, COEFFICIENTS);
  kernels.words().set(inputs, INPUT_ADDRESSES / 4);
  kernels.words().set(outputs, OUTPUT_ADDRESSES / 4);
  kernels.exports.rsCode(inputs.length, outputs.length, bytes);
}

function assertShape(coefficients: Uint8Array, inputs: number, outputs: number): void {
  const fits = inputs <= shardCountMax && (inputs >= 1 || outputs === 0);
  assert(fits, `expected 1 to ${shardCountMax} inputs, got ${inputs}`);
  assert(outputs <= shardCountMax, `expected at most ${shardCountMax} outputs, got ${outputs}`);
  assert(coefficients.length === inputs * outputs, `${outputs} × ${inputs} needs that many coefficients`);
}

/**
 * Combines slices where they lie. Inputs are only read, outputs are overwritten and overlap nothing.
 * @param inputs   addresses in linear memory, inside INPUT, any alignment
 * @param outputs  likewise
 */
export function combineInPlace(
  kernels: Kernels,
  coefficients: Uint8Array,
  inputs: readonly number[],
  outputs: readonly number[],
  bytes: number,
): void {
  assertShape(coefficients, inputs.length, outputs.length);
  assertDisjoint(inputs, outputs, bytes);
  if (bytes > 0 && outputs.length > 0) runKernel(kernels, coefficients, inputs, outputs, bytes);
}

/**
 * Combines shards of equal length in host memory, a slice at a time through INPUT, whose content is lost.
 * Views of the kernels' own memory are refused: the slices would overwrite them.
 */
export function combineThrough(
  kernels: Kernels,
  coefficients: Uint8Array,
  inputs: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
): void {
  assertShape(coefficients, inputs.length, outputs.length);
  if (outputs.length === 0) return;
  const bytes = outputs[0]!.length;
  for (const shard of [...inputs, ...outputs]) {
    assert(shard.length === bytes, `expected shards of equal length ${bytes}, got ${shard.length}`);
    assert(shard.buffer !== kernels.bytes().buffer, 'expected shards in host memory; use the in-place calls');
  }
  const { sliceBytes, addresses } = layoutSlices(inputs.length + outputs.length);
  const from = addresses.slice(0, inputs.length);
  const to = addresses.slice(inputs.length);
  for (let start = 0; start < bytes; start += sliceBytes) {
    const end = Math.min(start + sliceBytes, bytes);
    const memory = kernels.bytes();
    inputs.forEach((shard, i) => {
      memory.set(shard.subarray(start, end), from[i]);
    });
    runKernel(kernels, coefficients, from, to, end - start);
    outputs.forEach((shard, i) => {
      shard.set(memory.subarray(to[i]!, to[i]! + end - start), start);
    });
  }
}
