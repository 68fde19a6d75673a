/**
 * Every diagnostic code with its page. A code never changes its meaning and is never used again for another one.
 * 10xx syntax, 19xx holes, 20xx names, units and types, 30xx trust (3001–3009 secrets, 31xx modules), 40xx placement and durability,
 * 50xx rollout, 60xx telemetry. Each group is a file; the tests compile every example.
 */
import type { CodePage } from './code-page.ts';
import { MODULE_PAGES } from './codes-modules.ts';
import { NAME_CODES } from './codes-names.ts';
import { PLACEMENT_CODES } from './codes-placement.ts';
import { ROLLOUT_CODES } from './codes-rollout.ts';
import { SYNTAX_CODES } from './codes-syntax.ts';
import { TELEMETRY_CODES } from './codes-telemetry.ts';
import { TRUST_CODES } from './codes-trust.ts';
import { VALUE_CODES } from './codes-values.ts';
import type { DiagnosticCode } from './diagnostic.ts';

const GROUPS = [
  SYNTAX_CODES,
  NAME_CODES,
  VALUE_CODES,
  TRUST_CODES,
  MODULE_PAGES,
  PLACEMENT_CODES,
  ROLLOUT_CODES,
  TELEMETRY_CODES,
];

export const CODES: ReadonlyMap<DiagnosticCode, CodePage> = new Map(
  GROUPS.flatMap((group) => Object.entries(group) as [DiagnosticCode, CodePage][]),
);
