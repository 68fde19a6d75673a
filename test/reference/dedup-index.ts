/**
 * Slow, plainly right twin of the dedup index: a Map from the first 8 bytes of a digest to its value.
 * Does not grow, probe or hash.
 */
const DIGEST_BYTES = 32;
const PREFIX_BYTES = 8;

export class ReferenceDedupIndex {
  readonly #values = new Map<string, number>();

  get size(): number {
    return this.#values.size;
  }

  lookup(digests: Uint8Array): number[] {
    return prefixesOf(digests).map((prefix) => this.#values.get(prefix) ?? 0xffff_ffff);
  }

  insert(digests: Uint8Array, values: ArrayLike<number>): void {
    prefixesOf(digests).forEach((prefix, i) => {
      this.#values.set(prefix, values[i]!);
    });
  }

  remove(digests: Uint8Array): number {
    return prefixesOf(digests).filter((prefix) => this.#values.delete(prefix)).length;
  }

  /** `prefix value` lines, sorted. */
  dump(): string[] {
    return [...this.#values].map(([prefix, value]) => `${prefix} ${value}`).sort();
  }
}

export function prefixesOf(digests: Uint8Array, stride = DIGEST_BYTES): string[] {
  return Array.from({ length: digests.length / stride }, (_, i) =>
    Buffer.from(digests.subarray(i * stride, i * stride + PREFIX_BYTES)).toString('hex'),
  );
}
