/**
 * Rename: a name of this program, at its declaration and at every use.
 * In: a compiled program, an offset, the new name, and how to compile a changed text. Out: the edits, or why not.
 * Every other word must go on to mean what it meant: the renamed program is compiled, and a rename that would catch or lose a name
 * is refused. What a module declares is renamed there, because its digest pins it.
 */
import type { Compiled } from '../language/compile.ts';
import type { ProgramIr } from '../language/ir.ts';
import type { SourceRange } from '../language/source.ts';
import { covers, useAt } from './find.ts';
import { declarationsOf, type Named, namedAt, nameRangeOf, usesOf } from './names.ts';
import { applyEdits, type TextEdit } from './text-edit.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const KEYWORDS: ReadonlySet<string> = new Set([
  'apiVersion',
  'module',
  'import',
  'as',
  'digest',
  'use',
  'let',
  'export',
  'true',
  'false',
]);

export interface Refusal {
  readonly refusal: string;
}

export interface Renamable {
  readonly name: string;
  readonly range: SourceRange;
}

/** The name at a place that may be renamed. */
export function renamableAt({ source, program }: Compiled, offset: number): Renamable | Refusal {
  const target = namedAt(program, offset);
  if (target === undefined) {
    return { refusal: 'expected the name of a let, a block or an import, got none here' };
  }
  if (target.file !== program.file) {
    return {
      refusal: `\`${target.name}\` is declared in ${target.file}: rename it there, then pin the new digest`,
    };
  }
  const use = useAt(program, offset);
  const range =
    use === undefined || covers(target.nameRange, offset) ? target.nameRange : nameRangeOf(source, use);
  return { name: target.name, range };
}

export function rename(
  compiled: Compiled,
  offset: number,
  newName: string,
  recompile: (text: string) => Compiled,
): readonly TextEdit[] | Refusal {
  const renamable = renamableAt(compiled, offset);
  if ('refusal' in renamable) return renamable;
  const problem = problemOf(newName, renamable.name, compiled.program);
  if (problem !== undefined) return { refusal: problem };
  const target = namedAt(compiled.program, offset)!;
  const edits = [target.nameRange, ...usesOf(compiled, target)].map((range) => ({ range, text: newName }));
  const after = recompile(applyEdits(compiled.source.text, edits));
  if (means(compiled, target, newName) === means(after)) return edits;
  return {
    refusal: `\`${newName}\` means something else in this program: expected a name that changes no other word`,
  };
}

function problemOf(newName: string, oldName: string, program: ProgramIr): string | undefined {
  if (!NAME.test(newName) || KEYWORDS.has(newName)) {
    return `expected a name of letters, digits and _ that is no keyword, got \`${newName.slice(0, 60)}\``;
  }
  const taken = declarationsOf(program).find(({ name }) => name === newName && name !== oldName);
  if (taken === undefined) return undefined;
  return `\`${newName}\` is declared in line ${taken.nameRange.start.line}: expected a name that is free`;
}

/** Which name stands for which declaration, in the order of the text, and how many errors there are. */
function means({ program, diagnostics }: Compiled, renamed?: Named, newName?: string): string {
  const written = (target: Named): string =>
    renamed !== undefined && target.file === renamed.file && target.name === renamed.name
      ? newName!
      : target.name;
  const uses = program.nameUses.map(({ range, target }) => ({
    at: range.start.offset,
    name: written(target),
  }));
  const inOrder = uses.sort((left, right) => left.at - right.at || (left.name < right.name ? -1 : 1));
  const declared = declarationsOf(program).map(written);
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return JSON.stringify([inOrder.map(({ name }) => name), declared, errors]);
}
