/**
 * Text to written program, the first stage of compile.ts.
 * A text beyond the limits gives an empty program and one diagnostic, and is not looked at further.
 */
import { syntaxErrorsMax } from '../limits.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import { lower } from './lower.ts';
import { type Comment, parseText } from './parser.ts';
import { sizeProblem } from './size-limits.ts';
import { SourceText } from './source.ts';
import { syntaxErrors } from './syntax-errors.ts';
import type { WrittenProgram } from './written.ts';

export interface Parsed {
  readonly source: SourceText;
  readonly program: WrittenProgram;
  readonly comments: readonly Comment[];
  readonly diagnostics: readonly Diagnostic[];
  /** The text is beyond a limit, of size, depth or errors: not all of it was read, so nothing but its syntax can be judged. */
  readonly isRefused: boolean;
}

export function parse(file: string, text: string): Parsed {
  const problem = sizeProblem(text);
  if (problem !== undefined) {
    const source = new SourceText(file, '');
    const refusal = diagnostic('KW1010', `${problem}; split the program`, {
      file,
      range: source.range(0, 0),
    });
    return { source, program: { items: [] }, comments: [], diagnostics: [refusal], isRefused: true };
  }
  const source = new SourceText(file, text);
  const tree = parseText(text);
  return {
    source,
    program: lower(tree.root, source),
    comments: tree.comments,
    diagnostics: syntaxErrors(source, tree),
    isRefused:
      tree.repairs.some(({ what }) => what === 'too-deep') || tree.parserErrors.length >= syntaxErrorsMax,
  };
}
