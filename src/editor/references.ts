/**
 * Find references: every place that names what a place names.
 * In: the compiled programs to look through and a target. Out: places by file, the declaration among them where it lies in one of
 * these programs and is asked for.
 */
import type { Compiled } from '../language/compile.ts';
import type { SourceRange } from '../language/source.ts';
import { type Named, usesOf } from './names.ts';

export interface Reference {
  readonly file: string;
  readonly range: SourceRange;
}

export function referencesTo(
  target: Named,
  programs: readonly Compiled[],
  withDeclaration: boolean,
): readonly Reference[] {
  const declaration = withDeclaration ? [{ file: target.file, range: target.nameRange }] : [];
  const uses = programs.flatMap((compiled) =>
    usesOf(compiled, target).map((range) => ({ file: compiled.program.file, range })),
  );
  return [...declaration, ...uses];
}
