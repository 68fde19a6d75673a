/**
 * Quick fixes: changes that make a diagnostic go away.
 * In: a compiled program, the standard tables and a range. Out: for each diagnostic there, what the language offers itself (its suggestion),
 * the digest that an import should have, and for a hole a value of the type that is due.
 * A text in the one style stays in it: then the change is formatted with its surroundings. Applies nothing.
 */
import type { Compiled } from '../language/compile.ts';
import type { Diagnostic } from '../language/diagnostic.ts';
import { format } from '../language/format.ts';
import type { BodyIr, ImportIr, ProgramIr, ValueIr } from '../language/ir.ts';
import { MODULE_CODES } from '../language/modules-problem.ts';
import { BLOCKS } from '../language/schema.ts';
import type { AttributeRow, BodyRow, ExpectedType } from '../language/schema-types.ts';
import type { SourceRange, SourceText } from '../language/source.ts';
import { attributesAt, blockAt, bodyAt, covers, itemType } from './find.ts';
import { isFormatted } from './formatting.ts';
import {
  attributesSnippet,
  bodySnippet,
  type Knowledge,
  knownRows,
  openRows,
  plainText,
  type Snippet,
  valueSnippet,
} from './snippet.ts';
import { applyEdits, difference, type TextEdit } from './text-edit.ts';

export interface QuickFix {
  readonly title: string;
  readonly diagnostic: Diagnostic;
  readonly edits: readonly TextEdit[];
  /** The same for editors that can jump from place to place: at `range`, with `snippet`. */
  readonly fillable?: { readonly range: SourceRange; readonly snippet: Snippet };
}

const HOLE = 'KW1901';
/** What the pin of an import can be wrong about. */
const PIN_CODES: ReadonlySet<string> = new Set([
  MODULE_CODES.importWithoutDigest,
  MODULE_CODES.digestMismatch,
  MODULE_CODES.lockDisagrees,
]);

/** Titles that say more than the suggestion alone, by code. */
const TITLES: Readonly<Record<string, (title: string) => string>> = {
  KW3012: (title) => `raise the sandbox to the floor: ${title}`,
  KW4004: (title) => `add the missing \`mtbf\` row: ${title}`,
};

function meets(left: SourceRange, right: SourceRange): boolean {
  return left.start.offset <= right.end.offset && right.start.offset <= left.end.offset;
}

export function quickFixes(
  compiled: Compiled,
  tables: Knowledge['tables'],
  range: SourceRange,
): readonly QuickFix[] {
  const { program, source, diagnostics } = compiled;
  const here = diagnostics.filter((each) => each.file === program.file && meets(each.range, range));
  const known = { program, tables };
  const fixes = here.flatMap((each) => fixOf(source, known, each) ?? []);
  return fixes.length > 0 && isFormatted(source) ? fixes.map((fix) => formatted(fix, source)) : fixes;
}

function fixOf(source: SourceText, known: Knowledge, diagnostic: Diagnostic): QuickFix | undefined {
  const { code, suggestion, range } = diagnostic;
  const imported = known.program.imports.find((each) => covers(each.range, range.start.offset));
  if (imported !== undefined && (PIN_CODES.has(code) || code === HOLE)) return freeze(diagnostic, imported);
  if (code === HOLE) return fill(source, known, diagnostic);
  if (suggestion === undefined) return undefined;
  const { title, replacement } = suggestion;
  return { title: TITLES[code]?.(title) ?? title, diagnostic, edits: [replacement] };
}

/** What the module means now, written as its digest. */
function freeze(
  diagnostic: Diagnostic,
  { module, loaded, range, digestRange }: ImportIr,
): QuickFix | undefined {
  if (loaded === undefined) return undefined;
  const end = { start: range.end, end: range.end };
  const edit =
    digestRange === undefined
      ? { range: end, text: ` digest "${loaded.digest}"` }
      : { range: digestRange, text: `"${loaded.digest}"` };
  return { title: `freeze: pin "${module}" to what it means now`, diagnostic, edits: [edit] };
}

function fill(source: SourceText, known: Knowledge, diagnostic: Diagnostic): QuickFix | undefined {
  const { range } = diagnostic;
  const snippet = fillingOf(source, known, range);
  if (snippet === undefined) return undefined;
  const text = plainText(snippet);
  const shown = text.includes('\n')
    ? 'the required attributes'
    : text.trim() === ''
      ? 'nothing'
      : `\`${text}\``;
  return {
    title: `fill the hole with ${shown}`,
    diagnostic,
    edits: [{ range, text }],
    fillable: { range, snippet },
  };
}

function indentAt(source: SourceText, { start }: SourceRange): string {
  return /^[ \t]*/.exec(source.line(start.line))![0];
}

function fillingOf(source: SourceText, known: Knowledge, range: SourceRange): Snippet | undefined {
  const place = holeIn(known.program, range.start.offset);
  const indent = indentAt(source, range);
  if (place === undefined) return omittedAttributes(known, range, indent);
  if (place.type !== undefined) return valueSnippet(place.type, known, place.example);
  return place.body && bodySnippet(place.body, known, indent);
}

/** What is due where the hole is: a value or, without a type, a body. */
interface HolePlace {
  readonly type?: ExpectedType | undefined;
  readonly example?: string | undefined;
  readonly body?: BodyRow | undefined;
}

/** The attribute whose value is this hole, wherever that is written: also in a `let`. */
function holeIn({ blocks }: ProgramIr, offset: number): HolePlace | undefined {
  const isHole = (each: ValueIr): boolean => each.kind === 'hole' && each.range.start.offset === offset;
  const bodies: BodyIr[] = blocks.map(({ body }) => body);
  for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
    for (const { value, body: inner, row } of body.attributes) {
      if (inner !== undefined) bodies.push(inner);
      if (value === undefined) continue;
      if (isHole(value)) return row;
      if (value.kind === 'list' && value.items.some(isHole)) return { type: row.type && itemType(row.type) };
    }
  }
  return undefined;
}

/** A bare hole stands for what is still required there; where nothing is, it only goes. */
function omittedAttributes(known: Knowledge, range: SourceRange, indent: string): Snippet | undefined {
  const { program } = known;
  const body = bodyAt(program, range.start.offset);
  const row = body && rowOfBody(program, range.start.offset);
  if (body === undefined || row === undefined) return undefined;
  const written = new Set(body.attributes.map(({ name }) => name));
  const isMissing = ({ name }: AttributeRow): boolean => !written.has(name);
  if (row.kind === 'map') {
    const rows = knownRows(row, known).filter(isMissing);
    return rows.length === 0 ? undefined : [openRows(rows, indent).trimStart()];
  }
  const missing = row.attributes.filter((each) => each.required && isMissing(each));
  const snippet = attributesSnippet(missing, known, indent);
  return snippet.length === 0 ? [''] : [String(snippet[0]).trimStart(), ...snippet.slice(1)];
}

function rowOfBody(program: ProgramIr, offset: number): BodyRow | undefined {
  const block = blockAt(program, offset);
  if (block === undefined) return undefined;
  const rows = attributesAt(block.body, offset).flatMap(({ body, row }) =>
    body !== undefined && covers(body.range, offset) ? (row.body ?? []) : [],
  );
  return rows.at(-1) ?? BLOCKS.get(block.kind)?.body;
}

function formatted(fix: QuickFix, source: SourceText): QuickFix {
  const after = format(source.file, applyEdits(source.text, fix.edits)).text;
  return { ...fix, edits: difference(source, after) };
}
