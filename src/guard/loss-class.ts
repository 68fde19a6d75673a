/**
 * What the bounds on losses are about: classes of units (nodes, racks, …) that fail and recover independently of each other.
 */
import type { Ratio } from './ratio.ts';

export interface LossClass {
  readonly lossPerYear: Ratio;
  /** Loss rate × recovery time: a bound on the share of time that a unit is down. */
  readonly unavailability: Ratio;
  /** The most shards of the stripe that each unit takes, fullest first, summing to n at least; absent: n units of one shard. */
  readonly shardsOfUnits?: readonly number[];
}

export interface LossBound {
  readonly lossPerYear: Ratio;
  /**
   * Per class, summing to lossPerYear. A loss is several units down at once; the share of a class is its share of those units, over
   * all losses with the rates at which they happen.
   */
  readonly byClass: readonly Ratio[];
}
