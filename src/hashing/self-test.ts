/**
 * Known-answer tests of a SHA-256 engine, to be run before it is trusted and again while it works: a processor that has
 * become faulty is found by them. Six messages of unequal lengths together (all four lanes, refills, a lone last one),
 * then each alone, and for kernels the stream in odd pieces. Well under 2 ms. Restores the memory that it borrows, but
 * overwrites the engine's result (for kernels: JOBS and DIGESTS). Browser-safe.
 * Source: "abc" and 448 bits, NIST's example values for FIPS 180-4; the empty message, CAVP. Digests of the others, which
 * are the 896-bit example of SHA-512 and sequences of bytes i·167 + 13 mod 256, are OpenSSL's.
 */
import { toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type Kernels, REGION } from '../wasm/kernels.ts';
import { digestOfRun, type HashEngine } from './engine.ts';
import { Sha256Stream } from './sha256.ts';
import { wasmEngine } from './wasm-engine.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const sequence = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 167 + 13);

const CASES: readonly { readonly message: Uint8Array; readonly digest: string }[] = [
  { message: sequence(1000), digest: 'fa10d4e76ab24b0ff9d6c596a00df178cd2a80a15c70770dee68d374ccb39bc6' },
  { message: ascii('abc'), digest: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
  { message: ascii(''), digest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
  {
    message: ascii('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
    digest: '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  },
  {
    message: ascii(
      'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
    ),
    digest: 'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
  },
  { message: sequence(317), digest: 'c2c3bb78c0bbebbcfdb5336551447722d86e89d55b30f05902870158ce99fc43' },
];
const caseBytes = CASES.reduce((sum, { message }) => sum + message.length, 0);

/** @throws KwamError SELF_TEST_FAILED  the engine must not be used; the message names the case. */
export function selfTestSha256(target: HashEngine | Kernels): void {
  const engine = 'hashRuns' in target ? target : wasmEngine(target);
  withCases(engine, (runs) => {
    expectDigests(engine, runs, 'together');
    for (let run = 0; run < CASES.length; run++) expectDigests(engine, runs, 'alone', run);
  });
  if ('exports' in target) testStream(target);
}

/** Lends the last bytes below SCRATCH's end, or of a smaller memory, to the cases and restores them. */
function withCases(engine: HashEngine, body: (runs: Uint32Array) => void): void {
  const memory = engine.memory.bytes();
  const at = Math.min(REGION.scratch, memory.length - caseBytes);
  const borrowed = memory.slice(at, at + caseBytes);
  const runs = new Uint32Array(2 * CASES.length);
  let offset = at;
  for (const [i, { message }] of CASES.entries()) {
    memory.set(message, offset);
    runs.set([offset, message.length], 2 * i);
    offset += message.length;
  }
  try {
    body(runs);
  } finally {
    engine.memory.bytes().set(borrowed, at);
  }
}

function expectDigests(engine: HashEngine, runs: Uint32Array, how: string, only?: number): void {
  const cases = only === undefined ? CASES : CASES.slice(only, only + 1);
  const digests = engine.hashRuns(only === undefined ? runs : runs.slice(2 * only, 2 * only + 2));
  for (const [i, { message, digest }] of cases.entries()) {
    expectDigest(`${engine.name} engine, ${how}`, message.length, toHex(digestOfRun(digests, i)), digest);
  }
}

function testStream(kernels: Kernels): void {
  const stream = new Sha256Stream(kernels);
  for (const { message, digest } of CASES) {
    for (let from = 0; from < message.length; from += 61) stream.update(message.subarray(from, from + 61));
    expectDigest('wasm stream', message.length, toHex(stream.digest()), digest);
  }
}

function expectDigest(what: string, bytes: number, actual: string, expected: string): void {
  if (actual === expected) return;
  throw new KwamError(
    'SELF_TEST_FAILED',
    `SHA-256 self-test (${what}): expected ${expected} for ${bytes} bytes, got ${actual}; retire this worker`,
    { context: { what, bytes, expected, actual } },
  );
}
