/**
 * Names of a program: what a place names, and where it is named.
 * In: the IR. Out: declarations and uses with the range of the very name, whether it stands bare, in `${…}` or in a string.
 */
import type { Compiled } from '../language/compile.ts';
import type { NameUse, ProgramIr } from '../language/ir.ts';
import type { SourceRange, SourceText } from '../language/source.ts';
import { covers, useAt } from './find.ts';

export type Named = NameUse['target'];

/** The names that this program declares. */
export function declarationsOf({ file, lets, blocks, imports }: ProgramIr): readonly Named[] {
  return [
    ...lets.map(({ name, nameRange }) => ({ file, name, nameRange })),
    ...blocks.map(({ name, nameRange }) => ({ file, name, nameRange })),
    ...imports.map(({ alias, aliasRange }) => ({ file, name: alias, nameRange: aliasRange })),
  ];
}

/** What the name at a place stands for: a use, or the declaration itself. */
export function namedAt(program: ProgramIr, offset: number): Named | undefined {
  const use = useAt(program, offset);
  if (use !== undefined) return use.target;
  return declarationsOf(program).find(({ nameRange }) => covers(nameRange, offset));
}

function isSame(left: Named, right: Named): boolean {
  return left.file === right.file && left.nameRange.start.offset === right.nameRange.start.offset;
}

/** Without the `${` around it. */
export function nameRangeOf(source: SourceText, { range, target }: NameUse): SourceRange {
  const inside = source.slice(range).indexOf(target.name);
  const start = range.start.offset + Math.max(inside, 0);
  return source.range(start, start + target.name.length);
}

/** Every place of this program that names the target, its declaration apart; each once, in order. */
export function usesOf({ source, program }: Compiled, target: Named): readonly SourceRange[] {
  const ranges = program.nameUses
    .filter((use) => isSame(use.target, target))
    .map((use) => nameRangeOf(source, use));
  const once = new Map(ranges.map((range) => [range.start.offset, range]));
  return [...once.values()].sort((left, right) => left.start.offset - right.start.offset);
}
