/**
 * One import: its parts as values, and what the ModuleResolver says of it, placed at the part it is about.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { ImportIr } from './ir.ts';
import { literalOf, plainText } from './literals.ts';
import type { ModuleProblem, ModuleResolver } from './module-resolver.ts';
import type { WrittenAtom, WrittenImport } from './written.ts';

export interface ResolvedImport {
  readonly imported: ImportIr;
  readonly diagnostics: readonly Diagnostic[];
}

function isHole(atom: WrittenAtom | undefined): boolean {
  if (atom === undefined) return false;
  return atom.form === 'hole' || (atom.form === 'text' && /…|\.\.\./.test(atom.text));
}

/** The parser has said so. */
function isOpenText(atom: WrittenAtom | undefined): boolean {
  return atom?.form === 'open-text';
}

/** What is wrong with the form of an atom that should be a plain text. */
export function atomProblem(atom: WrittenAtom, file: string): Diagnostic | undefined {
  const literal = literalOf(atom);
  if (literal.kind !== 'problem') return undefined;
  const { code, message, note, instead } = literal;
  const suggestion =
    instead === undefined
      ? undefined
      : { title: `write \`${instead}\``, replacement: { range: atom.range, text: instead } };
  return diagnostic(code, message, { file, range: atom.range }, { note, suggestion });
}

function place(problem: ModuleProblem, written: WrittenImport, file: string): Diagnostic {
  const { code, message, note, digestInstead } = problem;
  const at = written.digest?.range;
  const replacement =
    digestInstead === undefined || at === undefined ? undefined : { range: at, text: digestInstead };
  return diagnostic(
    code,
    message,
    { file, range: written.module.range },
    {
      note,
      suggestion: replacement && { title: `write \`digest ${digestInstead}\``, replacement },
    },
  );
}

export function resolveImport(written: WrittenImport, file: string, modules: ModuleResolver): ResolvedImport {
  const diagnostics: Diagnostic[] = [];
  const module = plainText(written.module);
  const digestIsHole = isHole(written.digest);
  const digest = written.digest === undefined || digestIsHole ? undefined : plainText(written.digest);
  for (const atom of [written.module, written.digest]) {
    const problem = atom && atomProblem(atom, file);
    if (problem !== undefined) diagnostics.push(problem);
  }
  const isDamaged = diagnostics.length > 0 || [written.module, written.digest].some(isOpenText);
  if (module === undefined && !isDamaged) {
    const message = `expected the name of a module such as "std/faultdomains", got ${written.module.text.slice(0, 60)}`;
    diagnostics.push(diagnostic('KW2006', message, { file, range: written.module.range }));
  }
  if (written.digest !== undefined && !digestIsHole && digest === undefined && !isDamaged) {
    const message = `expected a digest: "sha256:" and 64 hexadecimal digits, got ${written.digest.text.slice(0, 60)}`;
    diagnostics.push(diagnostic('KW2006', message, { file, range: written.digest.range }));
  }
  const answer = module === undefined ? { problems: [] } : modules.load({ module, digest, from: file });
  diagnostics.push(...answer.problems.map((problem) => place(problem, written, file)));
  const loaded = 'loaded' in answer ? answer.loaded : undefined;
  return {
    imported: {
      module: module ?? '',
      moduleRange: written.module.range,
      alias: written.alias.text,
      aliasRange: written.alias.range,
      range: written.range,
      ...(digest === undefined ? {} : { digest }),
      ...(written.digest === undefined ? {} : { digestRange: written.digest.range }),
      digestIsHole,
      ...(loaded === undefined ? {} : { loaded }),
    },
    diagnostics,
  };
}
