/**
 * Modules: what a module file is, what it may contain, and its digest.
 * In: a module's text and the digests of its imports. Out: its exports and its digest, or the one reason why not.
 * Source: the digest follows Dhall's "semantic" integrity checks (dhall-lang, standard/imports.md), over canonical JSON (RFC 8785).
 * Pure: hashing comes in as a function; finding files and judging signatures is for whoever calls.
 */
import type { Diagnostic } from './diagnostic.ts';
import { literalOf, plainText } from './literals.ts';
import { type ExportMeanings, exportsOf, NoMeaning } from './modules-meaning.ts';
import { fine, type Outcome, refused } from './modules-problem.ts';
import { type Parsed, parse } from './parse.ts';
import { attributeRow, BLOCKS } from './schema.ts';
import type { BodyRow, ExpectedType } from './schema-types.ts';
import type { SourceRange } from './source.ts';
import type { WrittenAtom, WrittenBody, WrittenImport, WrittenProgram, WrittenValue } from './written.ts';

/** The digest of canonical JSON under a domain, `sha256:<64 hex>`: no digest of one domain is ever one of another. */
export type DigestOf = (domain: string, value: unknown) => string;

export const MODULE_DOMAIN = 'kwam.dev/module/v1';
const MODULE_NAME = /^[a-z0-9][a-z0-9_-]*(\/[a-z0-9][a-z0-9_-]*)+$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const nameCharactersMax = 200;

export interface ImportPin {
  readonly module: string;
  readonly alias: string;
  /** Absent when it is not written, a hole, or no digest at all. */
  readonly digest?: string;
  readonly item: WrittenImport;
}

/** A module's text, read but not yet tied to what it imports. */
export interface ModuleText {
  readonly name: string;
  readonly imports: readonly ImportPin[];
  readonly parsed: Parsed;
}

export interface ModuleMeaning {
  readonly digest: string;
  readonly exports: ExportMeanings;
}

export function isStandard(name: string): boolean {
  return name.startsWith('std/');
}

/** Safe as a part of a file's path: no dots, no empty segments, no capitals that some disks would merge. */
export function isModuleName(name: string): boolean {
  return name.length <= nameCharactersMax && MODULE_NAME.test(name);
}

export function isModuleDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function importsOf(program: WrittenProgram): readonly ImportPin[] {
  const items = program.items.filter((item) => item.kind === 'import');
  return items.map((item) => {
    const written = item.digest === undefined ? undefined : plainText(item.digest);
    const pinned = written !== undefined && DIGEST.test(written) ? { digest: written } : {};
    return { module: plainText(item.module) ?? item.module.text, alias: item.alias.text, ...pinned, item };
  });
}

/** Reads a module's text. `expectedName` is the name under which it was looked for. */
export function readModule(file: string, text: string, expectedName?: string): Outcome<ModuleText> {
  const parsed = parse(file, text);
  const label = expectedName ?? file;
  const error = parsed.diagnostics.find((each: Diagnostic) => each.severity === 'error');
  if (error !== undefined) {
    return refused('notAModule', label, `${file}, line ${error.range.start.line}: ${error.message}`);
  }
  const heads = parsed.program.items.filter((item) => item.kind === 'module');
  const name = heads[0] === undefined ? undefined : plainText(heads[0].name);
  if (heads.length !== 1 || name === undefined || !isModuleName(name)) {
    return refused(
      'notAModule',
      label,
      `expected one line such as \`module "acme/domains"\` in ${file}, got ${heads.length === 1 ? heads[0]!.name.text : heads.length}`,
    );
  }
  if (expectedName !== undefined && name !== expectedName) {
    return refused(
      'notAModule',
      label,
      `expected the module "${expectedName}" in ${file}, got "${name}"; import it by its own name`,
    );
  }
  const module = { name, imports: importsOf(parsed.program), parsed };
  return isStandard(name) ? refuseForeign(module) : fine(module);
}

/** What keeps a text from being a module of that name, and where. */
export interface ModuleFlaw {
  readonly fault: 'importsBeyondStd' | 'readsSecret' | 'readsFile';
  readonly message: string;
  readonly range: SourceRange;
}

function refuseForeign(module: ModuleText): Outcome<ModuleText> {
  const flaw = standardFlaw(module.name, module.parsed.program);
  if (flaw === undefined) return fine(module);
  return refused(flaw.fault, module.name, `line ${flaw.range.start.line}: ${flaw.message}`);
}

/** A standard module says the same on every machine: it reads nothing and rests on nothing that could differ. */
export function standardFlaw(name: string, program: WrittenProgram): ModuleFlaw | undefined {
  const foreign = importsOf(program).find((each) => !isStandard(each.module));
  if (foreign !== undefined) {
    const message = `expected "${name}" to import standard modules only, got "${foreign.module}"; copy what it needs into std/`;
    return { fault: 'importsBeyondStd', message, range: foreign.item.module.range };
  }
  const atoms = program.items.flatMap(atomsOfItem);
  const secret = atoms.find(isSecret);
  if (secret !== undefined) {
    const message = `expected no secret in the standard module "${name}", got one; take the secret as an attribute of the program instead`;
    return { fault: 'readsSecret', message, range: secret.range };
  }
  const path = atoms.find((atom) => atom.form === 'uri' && /^file:/i.test(atom.text)) ?? pathIn(program);
  if (path === undefined) return undefined;
  const message = `expected no file to be read by the standard module "${name}", got ${path.text}; write the value itself`;
  return { fault: 'readsFile', message, range: path.range };
}

function isSecret(atom: WrittenAtom): boolean {
  return atom.form === 'uri' && /^secret:/i.test(atom.text);
}

function atomsOfItem(item: WrittenProgram['items'][number]): readonly WrittenAtom[] {
  if (item.kind === 'let') return atomsOfValue(item.value);
  return item.kind === 'block' ? atomsOfBody(item.body) : [];
}

function atomsOfBody(body: WrittenBody): readonly WrittenAtom[] {
  return body.entries.flatMap((entry) => {
    if (entry.kind === 'omission') return [];
    const own = entry.value === undefined ? [] : atomsOfValue(entry.value);
    return entry.body === undefined ? own : [...own, ...atomsOfBody(entry.body)];
  });
}

function atomsOfValue(value: WrittenValue): readonly WrittenAtom[] {
  return value.kind === 'atom' ? [value] : value.items.flatMap(atomsOfValue);
}

/** The first value whose attribute takes a path of a file, by the schema. */
function pathIn(program: WrittenProgram): WrittenAtom | undefined {
  for (const item of program.items) {
    if (item.kind !== 'block') continue;
    const row = BLOCKS.get(item.blockKind.text);
    const found = row === undefined ? undefined : pathInBody(item.body, row.body);
    if (found !== undefined) return found;
  }
  return undefined;
}

function pathInBody(body: WrittenBody, rows: BodyRow): WrittenAtom | undefined {
  for (const entry of body.entries) {
    if (entry.kind === 'omission') continue;
    const row = attributeRow(rows, entry.name.text);
    const atom = entry.value?.kind === 'atom' ? entry.value : undefined;
    if (atom !== undefined && row?.type !== undefined && takesPath(row.type) && mayBeText(atom)) return atom;
    const inner = entry.body && row?.body ? pathInBody(entry.body, row.body) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function takesPath(type: ExpectedType): boolean {
  if (type.kind === 'either') return type.of.some(takesPath);
  return type.kind === 'text' && type.noun.startsWith('a path of ');
}

/** A string, or a name that may stand for one. */
function mayBeText(atom: WrittenAtom): boolean {
  const { kind } = literalOf(atom);
  return kind === 'text' || kind === 'interpolation' || kind === 'word';
}

/**
 * The digest of a module whose imports have these digests, by alias: over its resolved exports, the digests of its imports, and
 * the exports that it takes from them by `use`.
 */
export function meaningOf(
  module: ModuleText,
  importDigests: ReadonlyMap<string, string>,
  digestOf: DigestOf,
): Outcome<ModuleMeaning> {
  const { source, program } = module.parsed;
  try {
    const exports = exportsOf(source, program, importDigests);
    const imports = [...new Set(importDigests.values())].sort();
    const uses = usesOf(program, importDigests);
    return fine({ exports, digest: digestOf(MODULE_DOMAIN, { exports, imports, uses }) });
  } catch (error) {
    if (!(error instanceof NoMeaning)) throw error;
    return refused(
      error.secret ? 'readsSecret' : 'notAModule',
      module.name,
      `"${module.name}", ${error.message}`,
    );
  }
}

function usesOf(program: WrittenProgram, importDigests: ReadonlyMap<string, string>): readonly string[] {
  const uses = program.items.filter((item) => item.kind === 'use');
  const taken = uses.map(({ path }) => {
    const [alias = '', ...rest] = path.text.split('.');
    const digest = importDigests.get(alias);
    if (digest === undefined || rest.length === 0) {
      throw new NoMeaning(
        `line ${path.range.start.line}: expected \`use ALIAS.NAME\` of an import, got \`${path.text}\``,
      );
    }
    return `${digest} ${rest.join('.')}`;
  });
  return [...new Set(taken)].sort();
}
