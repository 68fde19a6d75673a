/** What a node has seen of failures, as it is kept (health/outage-record.ts) and compared with a guard (slo/guard-feedback.ts). */
import type { Domain } from '../plan.ts';

export interface Loss {
  readonly node: string;
  /** Since when it has been away. */
  readonly atMs: number;
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface DomainOutage extends Span {
  readonly domain: Domain;
  readonly value: string;
}

export interface Outages {
  /** Time of members that was watched, all together. */
  readonly memberMs: number;
  readonly losses: readonly Loss[];
  readonly domains: readonly DomainOutage[];
  /** From the first look that found packs lacking copies or shards to the first that found none, where something was restored meanwhile. */
  readonly restores: readonly Span[];
}
