/**
 * The holes of a program as diagnostics: errors, or notes where the caller allows them.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { ProgramIr } from './ir.ts';

export function holeDiagnostics({ holes }: ProgramIr, allowed: boolean): readonly Diagnostic[] {
  return holes.map(({ path, expected, file, range }) =>
    diagnostic(
      'KW1901',
      `\`${path}\` is still open: expected ${expected}`,
      { file, range },
      { severity: allowed ? 'note' : 'error' },
    ),
  );
}
