/**
 * SHA-256 written straight from FIPS 180-4, one word at a time, for comparison only.
 * Shares nothing with the kernel: even the constants are worked out from the primes by the standard's rule (4.2.2, 5.3.3).
 * `start` continues a message whose first `start.bytes` bytes (a multiple of 64) led to `start.state`, which reaches
 * lengths that nobody wants to hash in a test.
 */
export interface PlainState {
  readonly state: readonly number[];
  readonly bytes: bigint;
}

const PRIMES = primes(64);
const K = PRIMES.map((prime) => fractionOfRoot(BigInt(prime), 3n));
const EMPTY: PlainState = {
  state: PRIMES.slice(0, 8).map((prime) => fractionOfRoot(BigInt(prime), 2n)),
  bytes: 0n,
};

export function plainSha256(message: Uint8Array, start: PlainState = EMPTY): Uint8Array {
  let state = [...start.state];
  const padded = pad(message, (start.bytes + BigInt(message.length)) * 8n);
  for (let at = 0; at < padded.length; at += 64) state = compress(state, padded.subarray(at, at + 64));
  const digest = new DataView(new ArrayBuffer(32));
  for (const [i, word] of state.entries()) digest.setUint32(4 * i, word);
  return new Uint8Array(digest.buffer);
}

function pad(message: Uint8Array, bits: bigint): Uint8Array {
  let length = message.length + 1;
  while (length % 64 !== 56) length++;
  const padded = new Uint8Array(length + 8);
  padded.set(message);
  padded[message.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(length, bits);
  return padded;
}

function compress(state: readonly number[], block: Uint8Array): number[] {
  const view = new DataView(block.buffer, block.byteOffset, 64);
  const w = Array.from({ length: 16 }, (_, i) => view.getUint32(4 * i));
  for (let t = 16; t < 64; t++) {
    const [x, y] = [w[t - 15]!, w[t - 2]!];
    const sigma0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >>> 3);
    const sigma1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >>> 10);
    w.push((w[t - 16]! + sigma0 + w[t - 7]! + sigma1) >>> 0);
  }
  let [a, b, c, d, e, f, g, h] = state as [number, number, number, number, number, number, number, number];
  for (let t = 0; t < 64; t++) {
    const t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[t]! + w[t]!;
    const t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [(t1 + t2) >>> 0, a, b, c, (d + t1) >>> 0, e, f, g];
  }
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + state[i]!) >>> 0);
}

function rotr(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** First 32 bits of the fractional part of the square or cube root: the whole root of prime · 2^(32·degree). */
function fractionOfRoot(prime: bigint, degree: bigint): number {
  const scaled = prime << (32n * degree);
  let [low, high] = [0n, 1n << 40n];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= scaled) low = middle;
    else high = middle;
  }
  return Number(low & 0xffff_ffffn);
}
