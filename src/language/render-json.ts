/**
 * The document of `check --json`, schema kwam.check/v1, as far as this layer knows it.
 * In: diagnostics, holes, and the guards as the durability rules report them. Out: a plain value; lines and columns 1-based.
 */
import { type Diagnostic, hasErrors } from './diagnostic.ts';
import type { GuardEntry } from './guard-verdict.ts';
import type { Hole } from './ir.ts';
import type { SourceRange } from './source.ts';

interface RangeJson {
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number };
}

function rangeJson({ start, end }: SourceRange): RangeJson {
  return {
    start: { line: start.line, column: start.column },
    end: { line: end.line, column: end.column },
  };
}

function diagnosticJson({ code, severity, message, note, suggestion, file, range }: Diagnostic) {
  const replacement = suggestion?.replacement;
  return {
    code,
    severity,
    message,
    ...(note === undefined ? {} : { note }),
    ...(suggestion === undefined || replacement === undefined
      ? {}
      : {
          suggestion: {
            title: suggestion.title,
            range: rangeJson(replacement.range),
            text: replacement.text,
          },
        }),
    file,
    range: rangeJson(range),
  };
}

export function checkJson(
  diagnostics: readonly Diagnostic[],
  holes: readonly Hole[],
  guards: readonly GuardEntry[],
) {
  return {
    schema: 'kwam.check/v1',
    ok: !hasErrors(diagnostics),
    diagnostics: diagnostics.map(diagnosticJson),
    holes: holes.map(({ path, expected, range }) => ({ path, expected, range: rangeJson(range) })),
    guards,
  } as const;
}
