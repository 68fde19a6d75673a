/** One measured figure of a benchmark, beside the peer that ran in the same minutes on the same core. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly spread: number;
  readonly peer: { readonly name: string; readonly value: number };
  readonly ratio: number;
  readonly digest: string;
}
