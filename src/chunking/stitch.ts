/**
 * Joins the cuts of one large file whose parts were scanned at the same time, into the cuts that one scan would give.
 * In: for consecutive parts, the cuts each found from its own start, and a way to rescan from a true cut. Out: the file's chunks as runs,
 * each run naming the part and chunk it was found in, so that work done on those chunks (their digests) is kept.
 *
 * A cut depends only on the bytes since the chunk's start. So as soon as a scan from a true cut meets any cut of a part (or the part's
 * start), all later cuts of that part are true. Usually that takes two or three chunks a part; they are all that is hashed twice.
 * Does not read or scan: the caller does, and may do so in a worker.
 */
import { assert } from '../errors.ts';

export interface PartCuts {
  /** Offset of the part in the file; the first part starts at 0, each next one where the one before ends. */
  readonly start: number;
  readonly end: number;
  /** Ascending end offsets in the file, from scans with final = true for the last part, false for all others. */
  readonly cuts: readonly number[];
}

/**
 * Scans from `from`, a true cut, and returns the cuts up to and including the first one that `isEnough` accepts.
 * It reads past the part's end where the chunk does; at the end of the file the rest is the last chunk, accepted or not.
 */
export type Rescan = (from: number, isEnough: (cut: number) => boolean) => Promise<readonly number[]>;

export interface StitchedRun {
  /** Where the first chunk of the run starts. */
  readonly start: number;
  readonly cuts: readonly number[];
  /** Chunk i of the run is chunk firstChunk + i of that part; absent where the run was rescanned. */
  readonly found?: { readonly part: number; readonly firstChunk: number };
}

export async function stitchCuts(parts: readonly PartCuts[], rescan: Rescan): Promise<StitchedRun[]> {
  const runs: StitchedRun[] = [];
  let at = 0;
  for (const [index, part] of parts.entries()) {
    assert(part.start === (index === 0 ? 0 : parts[index - 1]!.end), 'parts follow one another from 0');
    const known = new Map([[part.start, -1], ...part.cuts.map((cut, i): [number, number] => [cut, i])]);
    // A part too short for a cut, or one that the chunk before it covers, gives nothing and needs no scan of its own.
    if (!known.has(at) && at < part.end) {
      const cuts = await rescan(at, (cut) => known.has(cut) || cut >= part.end);
      runs.push({ start: at, cuts });
      at = cuts[cuts.length - 1]!;
    }
    const firstChunk = (known.get(at) ?? part.cuts.length) + 1;
    const cuts = part.cuts.slice(firstChunk);
    if (cuts.length === 0) continue;
    runs.push({ start: at, cuts, found: { part: index, firstChunk } });
    at = cuts[cuts.length - 1]!;
  }
  return runs;
}
