/**
 * The loss rate of a stripe, exactly, for few units: the slow twin of src/guard/durability.ts.
 * Every unit (a node, a rack, …) fails at rate L while up and recovers in mean time t, independently; in the stationary state it is down with
 * probability q/(1+q), q = L·t, for any distribution of recovery times. The rate of losses is the sum, over all 2^units states, of
 * the probability of the state times the rates of the units whose failure takes the stripe over the edge.
 */
export interface Unit {
  readonly lossPerYear: number;
  readonly recoveryYears: number;
  /** The shards that it takes down, as bits. */
  readonly shards: number;
}

export function exactLossPerYear(units: readonly Unit[], toleratedLosses: number): number {
  const states = 1 << units.length;
  const covered = new Uint32Array(states);
  const probability = new Float64Array(states);
  probability[0] = units.reduce(
    (all, { lossPerYear, recoveryYears }) => all / (1 + lossPerYear * recoveryYears),
    1,
  );
  for (let state = 1; state < states; state++) {
    const last = 31 - Math.clz32(state);
    const before = state ^ (1 << last);
    const { lossPerYear, recoveryYears, shards } = units[last]!;
    covered[state] = covered[before]! | shards;
    probability[state] = probability[before]! * lossPerYear * recoveryYears;
  }
  let rate = 0;
  for (let state = 0; state < states; state++) {
    if (bits(covered[state]!) > toleratedLosses) continue;
    units.forEach((unit, index) => {
      const isUp = (state & (1 << index)) === 0;
      if (isUp && bits(covered[state]! | unit.shards) > toleratedLosses)
        rate += probability[state]! * unit.lossPerYear;
    });
  }
  return rate;
}

/**
 * Mean years until the first loss of n alike units of which m may be down, each repaired on its own at rate 1/t: the Markov chain of
 * states 0 … m with the loss as its end. h_i is the mean time from i down to i+1 down.
 */
export function meanYearsToLoss(
  shards: number,
  toleratedLosses: number,
  lossPerYear: number,
  repairYears: number,
): number {
  let [step, total] = [0, 0];
  for (let down = 0; down <= toleratedLosses; down++) {
    const failing = (shards - down) * lossPerYear;
    step = 1 / failing + (down / repairYears / failing) * step;
    total += step;
  }
  return total;
}

function bits(word: number): number {
  let count = 0;
  for (; word !== 0; word &= word - 1) count++;
  return count;
}
