/**
 * Diagnostics for people: one sentence, the lines with the range underlined, note and suggestion.
 *
 *   error KW2004: expected a duration such as 10m, got a size: 10mb
 *     examples/h100.kwam:104:8
 *   104 |   bake 10mb
 *       |        ^^^^
 *       = note: …
 *       = try: write `10m`
 *
 * In: diagnostics, their sources by file, whether to colour (the caller looks at NO_COLOR and the terminal). Out: text.
 * Control characters of the program never reach the terminal.
 */
import type { Diagnostic, Severity } from './diagnostic.ts';
import type { SourceText } from './source.ts';

export interface PrettyOptions {
  readonly colour: boolean;
}

const COLOURS: Readonly<Record<Severity, string>> = { error: '31', warning: '33', note: '36' };
const DIM = '2';
const BOLD = '1';
const lineCharactersMax = 200;

type Paint = (text: string, ...codes: string[]) => string;

const plain: Paint = (text) => text;
const coloured: Paint = (text, ...codes) => `\u001b[${codes.join(';')}m${text}\u001b[0m`;

/** One column for each UTF-16 unit that the program can put there; tabs and control characters as one space. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ');
}

/** Columns that a text takes on a terminal, as far as that can be said: a pair of surrogates is one sign. */
function width(text: string): number {
  return [...text].length;
}

/** The part of a long line around the column, and how much was cut off before it. */
function excerpt(line: string, column: number): { text: string; cut: number } {
  if (line.length <= lineCharactersMax) return { text: line, cut: 0 };
  const cut = Math.max(0, column - 1 - lineCharactersMax / 2);
  return { text: line.slice(cut, cut + lineCharactersMax), cut };
}

function frame({ range, severity }: Diagnostic, source: SourceText, paint: Paint): readonly string[] {
  const { start, end } = range;
  const { text, cut } = excerpt(source.line(start.line), start.column);
  const from = start.column - 1 - cut;
  const to = end.line === start.line ? Math.min(end.column - 1 - cut, text.length) : text.length;
  const gutter = String(start.line).length;
  const before = ' '.repeat(width(printable(text.slice(0, from))));
  const marks = '^'.repeat(Math.max(1, width(printable(text.slice(from, to)))));
  return [
    `${paint(`${start.line} |`, DIM)} ${printable(text)}`,
    `${paint(`${' '.repeat(gutter)} |`, DIM)} ${before}${paint(marks, COLOURS[severity], BOLD)}`,
  ];
}

/** A small table stays one. */
function noteLines(note: string, gutter: string): readonly string[] {
  const [first = '', ...rest] = note.split('\n').map(printable);
  return [`${gutter} = note: ${first}`, ...rest.map((line) => `${gutter}         ${line}`)];
}

function renderOne(each: Diagnostic, source: SourceText | undefined, paint: Paint): string {
  const { code, severity, message, note, suggestion, file, range } = each;
  const gutter = ' '.repeat(String(range.start.line).length);
  return [
    `${paint(`${severity} ${code}`, COLOURS[severity], BOLD)}: ${paint(printable(message), BOLD)}`,
    `${gutter}${paint('-->', DIM)} ${printable(file)}:${range.start.line}:${range.start.column}`,
    ...(source === undefined ? [] : frame(each, source, paint)),
    ...(note === undefined ? [] : noteLines(note, gutter)),
    ...(suggestion === undefined ? [] : [`${gutter} = try: ${printable(suggestion.title)}`]),
  ].join('\n');
}

export function renderPretty(
  diagnostics: readonly Diagnostic[],
  sources: readonly SourceText[],
  options: PrettyOptions,
): string {
  const paint = options.colour ? coloured : plain;
  const byFile = new Map(sources.map((source) => [source.file, source]));
  return diagnostics.map((each) => `${renderOne(each, byFile.get(each.file), paint)}\n`).join('\n');
}
