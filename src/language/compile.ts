/**
 * The compiler as one sentence: parse → resolve → check (→ plan, which to-plan.ts makes of a program that is ok).
 * A file that begins with `module` is checked as a module.
 * In: a program's text and what the caller knows beside it. Out: the IR and every diagnostic, sorted; never an exception.
 * Runs in a browser as in Node: modules, tables and inventories come through the options.
 */
import { check } from './check.ts';
import type { CheckContext } from './check-context.ts';
import { checkModule } from './check-module.ts';
import { type Diagnostic, hasErrors, sortDiagnostics } from './diagnostic.ts';
import { holeDiagnostics } from './holes.ts';
import type { ProgramIr } from './ir.ts';
import type { ModuleResolver } from './module-resolver.ts';
import { type Parsed, parse } from './parse.ts';
import { resolve } from './resolve.ts';
import type { SourceText } from './source.ts';

export interface ResolveOptions {
  readonly modules: ModuleResolver;
  /** Holes are notes instead of errors. */
  readonly allowHoles?: boolean;
  /** Told when a stage of the sentence is over. */
  readonly mark?: (stage: string) => void;
}

export interface CompileOptions extends ResolveOptions {
  readonly context: CheckContext;
}

/** What a text says by itself, before anyone has judged it. */
export interface ResolvedText {
  readonly source: SourceText;
  /** As it is written, for editors: words, comments and what has no meaning yet. */
  readonly parsed: Parsed;
  readonly program: ProgramIr;
  readonly diagnostics: readonly Diagnostic[];
  /** Not all of the text was read, so nothing more can be said of it. */
  readonly isRefused: boolean;
}

export interface Compiled extends ResolvedText {
  /** No errors: a plan may be made, unless there are holes. */
  readonly ok: boolean;
}

/** The first half, for those who must know the program before they know what to check it against. */
export function resolveText(file: string, text: string, options: ResolveOptions): ResolvedText {
  const parsed = parse(file, text);
  options.mark?.('parse');
  const { source, isRefused } = parsed;
  const { program, diagnostics } = resolve(parsed, options.modules);
  const said = [
    ...diagnostics,
    ...holeDiagnostics(program, options.allowHoles ?? false),
    ...checkModule(parsed.program, program),
  ];
  const all = isRefused ? parsed.diagnostics : [...parsed.diagnostics, ...said];
  options.mark?.('resolve');
  return { source, parsed, program, diagnostics: all, isRefused };
}

export function compile(file: string, text: string, options: CompileOptions): Compiled {
  return judge(resolveText(file, text, options), options);
}

/** The second half. Remarks are about a program that is right: beside an error they would only stand in the way of it. */
export function judge(
  resolved: ResolvedText,
  { context, mark }: Pick<CompileOptions, 'context' | 'mark'>,
): Compiled {
  const found = resolved.isRefused ? [] : check(resolved.program, context);
  const ok = !hasErrors([...resolved.diagnostics, ...found]);
  const told = ok ? found : found.filter(({ severity }) => severity !== 'note');
  mark?.('check');
  return { ...resolved, diagnostics: sortDiagnostics([...resolved.diagnostics, ...told]), ok };
}
