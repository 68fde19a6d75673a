/** The seed of a test run, printed so that it can be run again: KWAM_SEED chooses it, KWAM_CAMPAIGN=1 raises counts. */
export const CAMPAIGN = process.env['KWAM_CAMPAIGN'] === '1';

export function chosenSeed(what: string): number {
  const seed = Number(process.env['KWAM_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${what}: KWAM_SEED=${seed}`);
  return seed;
}
