/**
 * Picks the SHA-256 engine of a worker: as told, or the faster of the two by measurement on this machine. Node only.
 * Reads the first bytes of INPUT, whatever they are; overwrites JOBS and DIGESTS.
 */
import { type Clock, systemClock } from '../clock.ts';
import { type Kernels, REGION } from '../wasm/kernels.ts';
import { crossCheck } from './cross-check.ts';
import type { HashEngine } from './engine.ts';
import { nativeEngine } from './native-engine.ts';
import { wasmEngine } from './wasm-engine.ts';

export type EnginePreference = 'auto' | 'wasm' | 'native';

export interface EngineChoice {
  readonly engine: HashEngine;
  /** The one not taken: it re-hashes samples (crossCheck). */
  readonly other: HashEngine;
}

/** Eight messages: two turns of the four lanes, and 0.1–0.4 ms a round on a 2021 server core. */
const probeRunBytes = 32_768;
const probeRuns = Uint32Array.from({ length: 16 }, (_, i) =>
  i % 2 === 0 ? REGION.input + (i / 2) * probeRunBytes : probeRunBytes,
);
/** V8 replaces its first, slow code of the kernel after about 9 ms of use (measured); the rest measures the final code. */
const probeMs = 24;
/** On a machine so busy that the time is over after a round or two, one interruption would decide; among so many some pass undisturbed. */
const probeRoundsMin = 16;

export function chooseEngine(
  kernels: Kernels,
  preference: EnginePreference,
  clock: Pick<Clock, 'monotonic'> = systemClock,
): EngineChoice {
  const wasm = wasmEngine(kernels);
  const native = nativeEngine(kernels);
  const wasmWins = preference === 'auto' ? isFaster(wasm, native, clock) : preference === 'wasm';
  return wasmWins ? { engine: wasm, other: native } : { engine: native, other: wasm };
}

/** Takes turns, so that a busy machine slows both; the best round counts, as noise only ever adds time. */
function isFaster(one: HashEngine, two: HashEngine, clock: Pick<Clock, 'monotonic'>): boolean {
  crossCheck(probeRuns, one.hashRuns(probeRuns), two, 1);
  const timeRound = (engine: HashEngine): number => {
    const before = clock.monotonic();
    engine.hashRuns(probeRuns);
    return clock.monotonic() - before;
  };
  let [bestOne, bestTwo] = [Infinity, Infinity];
  const end = clock.monotonic() + probeMs;
  for (let round = 0; round < probeRoundsMin || clock.monotonic() < end; round++) {
    bestOne = Math.min(bestOne, timeRound(one));
    bestTwo = Math.min(bestTwo, timeRound(two));
  }
  return bestOne < bestTwo;
}
