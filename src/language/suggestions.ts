/**
 * The changes that rules offer: one place of the text, replaced or filled.
 */
import type { Suggestion } from './diagnostic.ts';
import type { BodyIr, ListIr, ProgramIr } from './ir.ts';
import { nearestName } from './nearest-name.ts';
import type { SourceRange } from './source.ts';

export function writeInstead(range: SourceRange, text: string): Suggestion {
  return { title: `write \`${text}\``, replacement: { range, text } };
}

/** An attribute more, before the closing brace; `fmt` brings it into line. */
export function addTo(body: BodyIr, text: string): Suggestion {
  const { end } = body.range;
  const brace = { ...end, offset: end.offset - 1, column: end.column - 1 };
  return {
    title: `add \`${text}\``,
    replacement: { range: { start: brace, end: brace }, text: `${text}\n` },
  };
}

/** One item more, behind the last one where that is written; undefined for an empty list and for one that came through a `let`. */
export function appendTo(list: ListIr, text: string): Suggestion | undefined {
  const end = list.items.at(-1)?.range.end;
  if (end === undefined || end.offset === list.range.end.offset) return undefined;
  return { title: `add \`${text}\``, replacement: { range: { start: end, end }, text: `, ${text}` } };
}

/** The known name that was probably meant, in quotes where the language wants them. */
export function didYouMean(
  name: string,
  known: Iterable<string>,
  range: SourceRange,
  quoted = false,
): Suggestion | undefined {
  const nearest = nearestName(name, known);
  if (nearest === undefined) return undefined;
  return writeInstead(range, quoted ? `"${nearest}"` : nearest);
}

/** Nobody reads more, and a program may have thousands. */
const listedMax = 40;

/** "`quic`, `grpc`" */
export function listed(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, listedMax).map((name) => `\`${name}\``);
  if (all.length > listedMax) shown.push(`and ${all.length - listedMax} more`);
  return all.length === 0 ? 'none' : shown.join(', ');
}

/** Where a diagnostic about a value belongs. */
export function at({ file }: Pick<ProgramIr, 'file'>, { range }: { readonly range: SourceRange }) {
  return { file, range };
}
