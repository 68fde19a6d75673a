/**
 * Which rows of a coding matrix follow from others, and how.
 * In: rows, one at a time. Out: whether each says anything new, and the factors that make any row of those that did.
 * Gaussian elimination as rows arrive: what is kept of a row begins where those before it have zeros, and remembers of which of them it is
 * the sum. Bytes of GF(2^8); addition is XOR.
 */
import { inverse } from './galois.ts';
import { addScaledRow, scaleRow } from './matrix.ts';

export class RowSpace {
  readonly #columns: number;
  /** Each the reduced row, then its factors of the rows that were kept, in the order of keeping. */
  readonly #reduced: { readonly pivot: number; readonly row: Uint8Array }[] = [];

  constructor(columns: number) {
    this.#columns = columns;
  }

  get rank(): number {
    return this.#reduced.length;
  }

  /** Keeps a row that does not follow from those kept before; false when it does. */
  add(row: Uint8Array): boolean {
    if (this.rank === this.#columns) return false;
    const rest = this.#reduce(row);
    const pivot = rest.findIndex((cell) => cell !== 0);
    if (pivot < 0 || pivot >= this.#columns) return false;
    rest[this.#columns + this.rank] = 1;
    scaleRow(rest, inverse(rest[pivot]!));
    this.#reduced.push({ pivot, row: rest });
    return true;
  }

  /** One factor for each kept row, whose sum is `row`; undefined when no sum is. */
  express(row: Uint8Array): Uint8Array | undefined {
    const rest = this.#reduce(row);
    if (rest.subarray(0, this.#columns).some((cell) => cell !== 0)) return undefined;
    return rest.subarray(this.#columns, this.#columns + this.rank);
  }

  /** The row less what the kept ones make of it, and with which factors. */
  #reduce(row: Uint8Array): Uint8Array {
    const rest = new Uint8Array(2 * this.#columns);
    rest.set(row);
    for (const kept of this.#reduced) addScaledRow(rest, kept.row, rest[kept.pivot]!);
    return rest;
  }
}
