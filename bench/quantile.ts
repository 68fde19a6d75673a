/** The sample below which `share` of all samples lie; the lower neighbour where it falls between two. Leaves `values` as they are. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))]!;
}
