/** The digest of a Plan: what people compare and consent to. `sha256:<64 hex>` over its canonical JSON (RFC 8785), in a domain of its own. */
import type { Plan } from '../plan.ts';
import type { DigestOf } from './modules.ts';

const PLAN_DOMAIN = 'kwam.dev/plan/v1';

export function planDigest(plan: Plan, digestOf: DigestOf): string {
  return digestOf(PLAN_DOMAIN, plan);
}
