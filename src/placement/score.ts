/**
 * The score of a node for a pack: −ln(u) / weight, u a hash of the two in (0, 1); the lowest score is preferred.
 * Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996; the weighted form is that of
 *   CRUSH's straw2 bucket. −ln(u)/w is an exponential variable of rate w, so a node wins with probability w / Σw, and the best
 *   node of a domain is an exponential variable of the domain's whole weight: taking the best node at once is the same draw
 *   as walking down az → spine → pdu → rack by weight, without the weights of domains to keep in step.
 * Same bits on every machine: Math.log may differ between engines, so ln uses + − × ÷ of doubles alone, each of which
 *   ECMA-262 (§6.1.6.1) fixes to the last bit. The name hash is not cryptographic: names are ours, pack ids are SHA-256.
 */

/** A 64-bit name for a node in two words. */
export interface NodeSeed {
  readonly a: number;
  readonly b: number;
}

/** The first 12 bytes of a pack id. */
export interface PackWords {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** MurmurHash3's 32-bit finaliser (Appleby, public domain): every input bit flips every output bit with p ≈ 1/2. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** FNV-1a over UTF-16 code units, once a word, from FNV's own basis and from a second one; then mixed. */
export function seedOf(name: string): NodeSeed {
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (let i = 0; i < name.length; i++) {
    a = Math.imul(a ^ name.charCodeAt(i), 0x01000193);
    b = mix(b ^ name.charCodeAt(i)) + i;
  }
  return { a: mix(a), b: mix(b) };
}

/** Uniform in (0, 1): 52 bits and a half, so that neither 0 nor 1 occurs and every step is exact. */
export function uniformOf(pack: PackWords, seed: NodeSeed): number {
  const x = mix(pack.a ^ seed.a);
  const y = mix((pack.b ^ seed.b) + x);
  const z = mix((pack.c ^ x) + y);
  return ((z >>> 0) * 0x10_0000 + (y >>> 12) + 0.5) / 0x10_0000_0000_0000;
}

/** Constants of the language, not calls: ECMA-262 fixes their values. */
const { LN2, SQRT1_2 } = Math;

/**
 * −ln(u) for 0 < u < 1, relative error below 2^-48 (the tests compare with Math.log and Math.log1p).
 * u = m · 2^-e with m in [√½, √2); ln m = 2 artanh(s), s = (m − 1)/(m + 1), |s| ≤ 0.1716: the first term left out, 2 s^23/23, is
 * below 2^-60.
 */
export function negativeLn(u: number): number {
  let e = 0;
  for (; u < 2 ** -32; e += 32) u *= 2 ** 32;
  for (; u < SQRT1_2; e++) u *= 2;
  const s = (u - 1) / (u + 1);
  const q = s * s;
  let sum = 1 / 21;
  for (let k = 19; k >= 1; k -= 2) sum = sum * q + 1 / k;
  return e * LN2 - 2 * s * sum;
}
