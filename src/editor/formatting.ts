/**
 * `fmt` as edits: the lines that it would change. None for a text with syntax errors, as there.
 */
import { hasErrors } from '../language/diagnostic.ts';
import { format } from '../language/format.ts';
import type { SourceText } from '../language/source.ts';
import { difference, type TextEdit } from './text-edit.ts';

export function formattingEdits(source: SourceText): readonly TextEdit[] {
  const { text, diagnostics } = format(source.file, source.text);
  return hasErrors(diagnostics) ? [] : difference(source, text);
}

export function isFormatted(source: SourceText): boolean {
  const { text, diagnostics } = format(source.file, source.text);
  return !hasErrors(diagnostics) && text === source.text;
}
