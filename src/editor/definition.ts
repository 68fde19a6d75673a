/**
 * Go to definition: of a name, of a fault domain, of a module.
 * In: a compiled program and an offset. Out: the file and the range of the declaration, in this program or in a module that it imports;
 * undefined for what nothing declares.
 */
import type { Compiled } from '../language/compile.ts';
import type { ProgramIr } from '../language/ir.ts';
import type { SourceRange } from '../language/source.ts';
import { covers, importAt, useAt, wordAt } from './find.ts';
import { namedAt, nameRangeOf } from './names.ts';

export interface Definition {
  /** What was asked about. */
  readonly origin: SourceRange;
  readonly file: string;
  readonly range: SourceRange;
}

export function definitionAt(compiled: Compiled, offset: number): Definition | undefined {
  return (
    definitionOfName(compiled, offset) ??
    moduleAt(compiled.program, offset) ??
    domainAt(compiled.program, offset)
  );
}

function definitionOfName({ source, program }: Compiled, offset: number): Definition | undefined {
  const named = namedAt(program, offset);
  if (named === undefined) return undefined;
  const use = useAt(program, offset);
  const origin = use === undefined ? named.nameRange : nameRangeOf(source, use);
  return { origin, file: named.file, range: named.nameRange };
}

/** The name of an imported module leads to its text. */
function moduleAt(program: ProgramIr, offset: number): Definition | undefined {
  const imported = importAt(program, offset);
  if (imported?.loaded === undefined || !covers(imported.moduleRange, offset)) return undefined;
  const { file, start, module } = imported.loaded.program;
  return { origin: imported.moduleRange, file, range: module?.range ?? start };
}

/** A fault domain leads to its row in the set that `use` brought into scope. */
function domainAt(program: ProgramIr, offset: number): Definition | undefined {
  const found = wordAt(program, offset);
  if (found?.vocabulary !== 'domain') return undefined;
  for (const { block } of program.uses) {
    if (block?.kind !== 'domains') continue;
    const row = block.body.attributes.find(({ name }) => name === found.word);
    if (row !== undefined) return { origin: found.range, file: block.file, range: row.nameRange };
  }
  return undefined;
}
