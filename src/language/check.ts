/**
 * The static rules, in one list. Each looks at the resolved program and returns what it refuses; none changes anything and none
 * depends on another, so their order is only that of reading.
 */
import type { CheckContext, Rule } from './check-context.ts';
import { checkVersion } from './check-version.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { ProgramIr } from './ir.ts';
import { checkDomainTree } from './rules-domains.ts';
import { checkGuards } from './rules-durability.ts';
import { checkPlacement } from './rules-placement.ts';
import { checkRollout } from './rules-rollout.ts';
import { checkTelemetry } from './rules-telemetry.ts';
import { checkTrust } from './rules-trust.ts';

export const RULES: readonly Rule[] = [
  checkVersion,
  checkTrust,
  checkPlacement,
  checkDomainTree,
  checkGuards,
  checkRollout,
  checkTelemetry,
];

export function check(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return RULES.flatMap((rule) => rule(program, context));
}
