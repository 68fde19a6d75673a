/**
 * A module file that is checked as such: what an import of it would refuse, placed where it is written.
 * In: a parsed text and its IR. Out: nothing for a program; for a module a name that is none, blocks that nobody could import, and
 *   secrets and files where they may not be.
 * Signature, digest and lock are judged where a module is imported: they are not in its text.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { BodyIr, ProgramIr, ValueIr } from './ir.ts';
import { isModuleName, isStandard, standardFlaw } from './modules.ts';
import { MODULE_CODES } from './modules-problem.ts';
import type { WrittenProgram } from './written.ts';

export function checkModule(written: WrittenProgram, program: ProgramIr): readonly Diagnostic[] {
  const { module, file } = program;
  if (module === undefined) return [];
  const flaw = isStandard(module.name) ? standardFlaw(module.name, written) : undefined;
  return [
    ...(isModuleName(module.name) ? [] : [noName(program, module)]),
    ...(flaw === undefined
      ? []
      : [diagnostic(MODULE_CODES[flaw.fault], flaw.message, { file, range: flaw.range })]),
    ...notExported(program),
    ...(isStandard(module.name) ? [] : exportedSecrets(program)),
  ];
}

function noName({ file }: ProgramIr, { name, range }: NonNullable<ProgramIr['module']>): Diagnostic {
  const message = `expected the name of a module such as "acme/domains", got "${name.slice(0, 60)}"`;
  return diagnostic(
    MODULE_CODES.notAModule,
    message,
    { file, range },
    {
      note: 'Small letters, digits, - and _, in at least two parts with / between them.',
    },
  );
}

function notExported({ file, blocks }: ProgramIr): readonly Diagnostic[] {
  return blocks
    .filter(({ exported }) => !exported)
    .map(({ kind, name, nameRange, range }) => {
      const at = { start: range.start, end: range.start };
      return diagnostic(
        MODULE_CODES.notAModule,
        `expected \`export ${kind} ${name}\`, got a ${kind} that nobody can import`,
        { file, range: nameRange },
        { suggestion: { title: 'write `export` before it', replacement: { range: at, text: 'export ' } } },
      );
    });
}

function exportedSecrets({ file, blocks }: ProgramIr): readonly Diagnostic[] {
  return blocks
    .flatMap(({ body }) => valuesOf(body))
    .filter(({ kind }) => kind === 'secret')
    .map(({ range }) =>
      diagnostic(
        MODULE_CODES.readsSecret,
        'expected an export without secrets, got one; take the secret as an attribute of the program instead',
        { file, range },
      ),
    );
}

function valuesOf({ attributes }: BodyIr): readonly ValueIr[] {
  return attributes.flatMap(({ value, body }) => [
    ...(value?.kind === 'list' ? value.items : value === undefined ? [] : [value]),
    ...(body === undefined ? [] : valuesOf(body)),
  ]);
}
