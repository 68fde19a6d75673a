/**
 * Chance enters the program here: the operating system's for keys and identifiers, a seeded generator (SplitMix64)
 * for everything that must be replayed.
 */
export interface Random {
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  fill(bytes: Uint8Array): Uint8Array;
}

export const systemRandom: Random = {
  below(bound) {
    const word = crypto.getRandomValues(new Uint32Array(1))[0]!;
    return Math.floor((word / 2 ** 32) * bound);
  },
  fill(bytes) {
    for (let i = 0; i < bytes.length; i += 65536)
      crypto.getRandomValues(bytes.subarray(i, i + 65536) as Uint8Array<ArrayBuffer>);
    return bytes;
  },
};

/** Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64). */
export function seededRandom(seed: bigint | number): Random {
  let state = BigInt.asUintN(64, BigInt(seed));
  const next = (): bigint => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
  return {
    below: (bound) => Number((next() >> 11n) % BigInt(bound)),
    fill(bytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let i = 0;
      for (; i + 8 <= bytes.length; i += 8) view.setBigUint64(i, next(), true);
      for (let word = next(); i < bytes.length; i++, word >>= 8n) bytes[i] = Number(word & 255n);
      return bytes;
    },
  };
}
