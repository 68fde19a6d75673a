/**
 * Other people's published models of independent losses, kept to check our arithmetic against their numbers and to show
 * what leaving domains out would grant.
 * Source: Backblaze, "erasure-coding-durability" (README and calculation.ipynb); Storj, whitepaper v3, section 7 (Poisson).
 * Uses Math.expm1, log1p and exp, whose last bits may differ between engines: the checker does not call this file.
 */
import { KwamError } from '../errors.ts';

export interface BackblazeInputs {
  readonly shards: number;
  /** Shards that may be lost in one recovery period. */
  readonly tolerated: number;
  /** 0.00405 is 0.405 % a year. */
  readonly annualFailureRate: number;
  readonly recoveryDays: number;
}

/**
 * Losses a year: p = 1 − e^(−A·R/365) a shard and period, P = Σ_{i>f} C(S,i) pⁱ (1−p)^(S−i), 1 − (1−P)^(365/R).
 * Their own code subtracts near one and loses digits below 1e-14; expm1 and log1p do not.
 */
export function backblazeAnnualLoss({
  shards,
  tolerated,
  annualFailureRate,
  recoveryDays,
}: BackblazeInputs): number {
  if (!(tolerated < shards && annualFailureRate > 0 && recoveryDays > 0)) {
    const got = `${tolerated} of ${shards}, ${annualFailureRate} a year, ${recoveryDays} days`;
    throw new KwamError(
      'USAGE',
      `expected fewer losses than shards, a rate and a time above 0, got ${got}; correct them`,
    );
  }
  const failed = -Math.expm1((-annualFailureRate * recoveryDays) / 365);
  let lost = 0;
  for (let i = shards; i > tolerated; i--) {
    lost += binomial(shards, i) * failed ** i * (1 - failed) ** (shards - i);
  }
  return -Math.expm1((365 / recoveryDays) * Math.log1p(-lost));
}

/** Storj: the chance that at most n − k of n pieces are lost in a period, their number taken as Poisson of mean p·n. */
export function poissonDurability(needed: number, pieces: number, lossPerPeriod: number): number {
  const mean = lossPerPeriod * pieces;
  let term = Math.exp(-mean);
  let survived = term;
  for (let i = 1; i <= pieces - needed; i++) {
    term *= mean / i;
    survived += term;
  }
  return survived;
}

function binomial(n: number, k: number): number {
  let product = 1;
  for (let i = 1; i <= Math.min(k, n - k); i++) product = (product * (n - Math.min(k, n - k) + i)) / i;
  return product;
}
