/**
 * From a program's file to the Plan that nodes run from.
 * In: a program and the nodes that exist. Out: the Plan, or what is wrong: `plan` shows it as its result, every other command prints it and
 * refuses. Holes are refused: nobody can run what is still open.
 */
import { KwamError } from '../errors.ts';
import { check } from '../language/check.ts';
import type { StandardTables } from '../language/check-context.ts';
import { type ResolvedText, resolveText } from '../language/compile.ts';
import { type Diagnostic, hasErrors, sortDiagnostics } from '../language/diagnostic.ts';
import type { Inventory } from '../language/inventory.ts';
import type { ProgramIr } from '../language/ir.ts';
import { programDigest } from '../language/program-digest.ts';
import { renderPretty } from '../language/render-pretty.ts';
import { toPlan } from '../language/to-plan.ts';
import type { Plan } from '../plan.ts';
import { digestOf } from './domain-digest.ts';
import { modulesOf } from './module-loading.ts';
import { programText } from './program-file.ts';
import type { Shell } from './shell.ts';

export interface ReadProgram extends ResolvedText {
  readonly file: string;
  readonly tables: StandardTables;
}

/** @param sources  directories with modules outside std/ */
export async function readProgram(
  { environment }: Shell,
  file: string,
  sources: readonly string[] = [],
): Promise<ReadProgram> {
  const text = programText(file);
  const { modules, tables } = await modulesOf(file, text, { environment, sources });
  return { file, tables, ...resolveText(file, text, { modules }) };
}

/** How a development cluster departs from its program. */
export interface Departure {
  /** The program with the redundancy that was asked for; the plan's digest stays that of the program as written. */
  readonly program: ProgramIr;
  /** Codes of errors that do not keep it from running. */
  readonly tolerated: ReadonlySet<string>;
}

export type Planned =
  | { readonly plan: Plan; readonly diagnostics: readonly Diagnostic[] }
  | { readonly plan?: undefined; readonly diagnostics: readonly Diagnostic[] };

export function planOf(read: ReadProgram, inventory: Inventory, departure?: Departure): Planned {
  const program = departure?.program ?? read.program;
  const context = { tables: read.tables, inventory };
  const found = sortDiagnostics([...read.diagnostics, ...check(program, context)]);
  const diagnostics = found.filter(({ code }) => departure?.tolerated.has(code) !== true);
  if (hasErrors(diagnostics)) return { diagnostics };
  const { plan, problems } = toPlan(program, context, programDigest(read.program, digestOf));
  return plan === undefined ? { diagnostics: [...diagnostics, ...problems] } : { plan, diagnostics };
}

export function framesOf(shell: Shell, { source }: ReadProgram, diagnostics: readonly Diagnostic[]): string {
  const colour = shell.output.stderr.isTTY === true && shell.environment['NO_COLOR'] === undefined;
  return renderPretty(diagnostics, [source], { colour });
}

/** @throws KwamError PROGRAM_REFUSED  after the errors have been printed */
export function requirePlan(shell: Shell, read: ReadProgram, planned: Planned): Plan {
  return planned.plan ?? refuseErrors(shell, read, planned.diagnostics);
}

export function refuseErrors(shell: Shell, read: ReadProgram, diagnostics: readonly Diagnostic[]): never {
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  shell.note(framesOf(shell, read, errors));
  throw new KwamError(
    'PROGRAM_REFUSED',
    `expected a program without errors, ${read.file} has ${errors.length}; kwam-dp explain CODE says more about each`,
  );
}
