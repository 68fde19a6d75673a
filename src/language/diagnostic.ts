/**
 * What the compiler says about a program: values, never exceptions.
 * A diagnostic has a stable code (the pages are in codes.ts), one sentence with expected, actual and remedy, and the range
 * it is about. Lists are sorted by place, then code, then message, so that equal programs give equal output.
 */
import type { SourceRange } from './source.ts';

/** 1xxx syntax, 19xx holes, 2xxx names and units, 3xxx trust, 4xxx placement and durability, 5xxx rollout, 6xxx telemetry. */
export type DiagnosticCode = `KW${number}`;

export type Severity = 'error' | 'warning' | 'note';

/** A change that would remove the diagnostic: `text` instead of what stands in `range`. */
export interface Suggestion {
  readonly title: string;
  readonly replacement: { readonly range: SourceRange; readonly text: string };
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  readonly message: string;
  readonly note?: string;
  readonly suggestion?: Suggestion;
  readonly file: string;
  readonly range: SourceRange;
}

export interface DiagnosticExtras {
  readonly severity?: Severity;
  readonly note?: string | undefined;
  readonly suggestion?: Suggestion | undefined;
}

/** A sentence stays on its line, whatever a string of the program holds. */
const LINE_BREAKS = /[\r\n\u2028\u2029]+/g;

/** An error unless `extras.severity` says otherwise. */
export function diagnostic(
  code: DiagnosticCode,
  message: string,
  where: { readonly file: string; readonly range: SourceRange },
  extras: DiagnosticExtras = {},
): Diagnostic {
  return {
    code,
    severity: extras.severity ?? 'error',
    message: message.replace(LINE_BREAKS, ' '),
    ...(extras.note === undefined ? {} : { note: extras.note }),
    ...(extras.suggestion === undefined ? {} : { suggestion: extras.suggestion }),
    file: where.file,
    range: where.range,
  };
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function compare(left: Diagnostic, right: Diagnostic): number {
  return (
    compareText(left.file, right.file) ||
    left.range.start.offset - right.range.start.offset ||
    left.range.end.offset - right.range.end.offset ||
    compareText(left.code, right.code) ||
    compareText(left.message, right.message)
  );
}

/** Sorted, and without repetitions of the same sentence at the same place. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const sorted = [...diagnostics].sort(compare);
  return sorted.filter((each, at) => at === 0 || compare(sorted[at - 1]!, each) !== 0);
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((each) => each.severity === 'error');
}
