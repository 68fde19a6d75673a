/**
 * The changes that rules offer: one place of the text, replaced or filled.
 */
import type { Suggestion } from './diagnostic.ts';
import type { BodyIr, ProgramIr } from './ir.ts';
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

/** "`quic`, `grpc`" */
export function listed(names: Iterable<string>): string {
  const all = [...names];
  return all.length === 0 ? 'none' : all.map((name) => `\`${name}\``).join(', ');
}

/** Where a diagnostic about a value belongs. */
export function at({ file }: Pick<ProgramIr, 'file'>, { range }: { readonly range: SourceRange }) {
  return { file, range };
}
