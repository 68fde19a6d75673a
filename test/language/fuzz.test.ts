/**
 * Mutated programs and token soup through the whole front: no exception, no hang, every diagnostic, hole and suggestion inside the text
 * and at the line and column that a slow twin counts,
 * with a page that `explain` shows; what formats keeps its meaning and its comments, and formats once.
 * KWAM_CAMPAIGN=1 runs a million, KWAM_CASES another number, KWAM_SEED with another seed. A case that takes longer than a second, three times
 * in a row, fails there: a busy machine alone can take that long once.
 * Canaries: a compiler and a formatter with a fault each, which the same loop must find.
 */
import { expect, test } from 'vitest';
import { CODES } from '../../src/language/codes.ts';
import { compile } from '../../src/language/compile.ts';
import { type Diagnostic, sortDiagnostics } from '../../src/language/diagnostic.ts';
import { type Formatted, format } from '../../src/language/format.ts';
import { parse } from '../../src/language/parse.ts';
import { checkJson } from '../../src/language/render-json.ts';
import { renderPretty } from '../../src/language/render-pretty.ts';
import { renderSarif } from '../../src/language/render-sarif.ts';
import { type SourceRange, SourceText } from '../../src/language/source.ts';
import { seededRandom } from '../../src/random.ts';
import { faultdomains } from './front.ts';
import { FuzzInputs } from './fuzz-inputs.ts';
import { TABLES } from './standard-tables.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const cases = Number(process.env['KWAM_CASES'] ?? (campaign ? 1_000_000 : 2000));
const seed = Number(process.env['KWAM_SEED'] ?? 20_261_122);
const FILE = 'program.kwam';
const secondMs = 1000;

interface Tools {
  readonly check: (text: string) => {
    diagnostics: readonly Diagnostic[];
    holes: readonly { range: SourceRange }[];
  };
  readonly format: (file: string, text: string) => Formatted;
}

const modules = faultdomains();
const TOOLS: Tools = {
  check(text) {
    const { diagnostics, program } = compile(FILE, text, { modules, context: { tables: TABLES } });
    return { diagnostics, holes: program.holes };
  },
  format,
};

function checkPlaces(text: string, { diagnostics, holes }: ReturnType<Tools['check']>): void {
  const lineStarts = lineStartsOf(text);
  for (const { code, message, suggestion, range } of diagnostics) {
    if (![range.start, range.end].every((place) => isPlace(lineStarts, place)))
      throw new Error(`another line or column: ${code} ${message}`);
    if (!isInside(text, range)) throw new Error(`outside of the text: ${code} ${message}`);
    if (suggestion !== undefined && !isInside(text, suggestion.replacement.range))
      throw new Error(`suggests a change outside of the text: ${code} ${suggestion.title}`);
    if (!CODES.has(code)) throw new Error(`no page for ${code}`);
    if (message === '' || /[\n\r]/.test(message)) throw new Error(`not a sentence: ${code} ${message}`);
  }
  if (holes.some(({ range }) => !isInside(text, range))) throw new Error('a hole outside of the text');
  if (sortDiagnostics(diagnostics).length !== diagnostics.length) throw new Error('not sorted, or repeated');
}

function isInside(text: string, { start, end }: SourceRange): boolean {
  return start.offset >= 0 && start.offset <= end.offset && end.offset <= text.length;
}

/** The slow twin of SourceText: lines end with \\n, \\r\\n or \\r, columns count UTF-16 units, both from 1. */
function lineStartsOf(text: string): readonly number[] {
  return [0, ...[...text.matchAll(/\r\n|\n|\r/g)].map(({ 0: mark, index }) => index + mark.length)];
}

function isPlace(
  lineStarts: readonly number[],
  { offset, line: number, column }: SourceRange['start'],
): boolean {
  const start = lineStarts.findLast((each) => each <= offset)!;
  return lineStarts[number - 1] === start && column === offset - start + 1;
}

function checkRendering(text: string, diagnostics: readonly Diagnostic[]): void {
  const frames = renderPretty(diagnostics, [new SourceText(FILE, text)], { colour: false });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not reach a terminal
  if (/[\u0000-\u0009\u000b-\u001f]/.test(frames)) throw new Error('a control character in a frame');
  for (const document of [checkJson(diagnostics, [], []), renderSarif(diagnostics, '1.0.0')]) {
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  }
}

/** A written program without its places, and its comments. */
function meaningOf(text: string): { program: string; comments: readonly string[] } {
  const { program, comments } = parse(FILE, text);
  const withoutRanges = (key: string, value: unknown) => (key === 'range' ? undefined : value);
  return {
    program: JSON.stringify(program, withoutRanges).replaceAll(/\$\{\s*([^{}]*?)\s*\}/g, '${$1}'),
    comments: comments.map((each) => each.text).sort(),
  };
}

function checkFormat(text: string, tools: Tools): boolean {
  const formatted = tools.format(FILE, text);
  if (formatted.diagnostics.length > 0) return false;
  if (tools.format(FILE, formatted.text).text !== formatted.text) throw new Error('formats twice');
  const [before, after] = [meaningOf(text), meaningOf(formatted.text)];
  if (after.program !== before.program) throw new Error(`another meaning: ${formatted.text}`);
  if (after.comments.join('\n') !== before.comments.join('\n'))
    throw new Error(`lost a comment: ${formatted.text}`);
  return true;
}

interface Tally {
  cases: number;
  diagnostics: number;
  formatted: number;
  slowestMs: number;
  readonly codes: Set<string>;
}

/** Throws with the text of the first case that fails. */
function run(count: number, tools: Tools): Tally {
  const inputs = new FuzzInputs(seededRandom(seed));
  const tally: Tally = { cases: 0, diagnostics: 0, formatted: 0, slowestMs: 0, codes: new Set() };
  for (; tally.cases < count; tally.cases++) {
    const text = inputs.next();
    try {
      runCase(text, tools, tally);
    } catch (error) {
      throw new Error(`seed ${seed}, case ${tally.cases}: ${JSON.stringify(text)}`, { cause: error });
    }
    if (campaign && tally.cases % 100_000 === 0) console.log(line(tally));
  }
  return tally;
}

function runCase(text: string, tools: Tools, tally: Tally): void {
  const started = performance.now();
  const result = tools.check(text);
  const formats = tally.cases % 4 === 0 && checkFormat(text, tools);
  const tookMs = performance.now() - started;
  checkPlaces(text, result);
  if (tally.cases % 16 === 0) checkRendering(text, result.diagnostics);
  tally.slowestMs = Math.max(tally.slowestMs, tookMs);
  tally.diagnostics += result.diagnostics.length;
  tally.formatted += formats ? 1 : 0;
  for (const { code } of result.diagnostics) tally.codes.add(code);
  if (campaign && tookMs > secondMs && isSlow(text, tools)) throw new Error(`took ${tookMs} ms`);
}

function isSlow(text: string, tools: Tools): boolean {
  return [1, 2].every(() => {
    const started = performance.now();
    tools.check(text);
    return performance.now() - started > secondMs;
  });
}

function line({ cases: done, diagnostics, formatted, slowestMs, codes }: Tally): string {
  return `seed ${seed}: ${done} cases, ${diagnostics} diagnostics of ${codes.size} codes, ${formatted} formatted, slowest ${slowestMs.toFixed(0)} ms`;
}

test(`${cases} mutated programs and soups, seed ${seed}`, { timeout: 24 * 3_600_000 }, () => {
  const tally = run(cases, TOOLS);
  console.log(line(tally));
  expect(tally.cases).toBe(cases);
  // The inputs reach what they should: many codes, and texts that are still right enough to be formatted.
  expect(tally.codes.size).toBeGreaterThan(40);
  expect(tally.formatted).toBeGreaterThan(cases / 100);
});

test('a canary: a compiler that points behind the text is found', () => {
  const check: Tools['check'] = (text) => {
    const result = TOOLS.check(text);
    const end = new SourceText(FILE, `${text} `).point(text.length + 1);
    const moved = result.diagnostics.map((each, at) =>
      at === 7 ? { ...each, range: { start: end, end } } : each,
    );
    return { ...result, diagnostics: sortDiagnostics(moved) };
  };
  expect(() => run(500, { ...TOOLS, check })).toThrow(/case \d+/);
});

test('a canary: a formatter that loses a comment, or a value, is found', () => {
  const broken = (from: RegExp): Tools => ({
    ...TOOLS,
    format(file, text) {
      const made = format(file, text);
      return { ...made, text: made.text.replace(from, '') };
    },
  });
  expect(() => run(10_000, broken(/# quic primary.*/))).toThrow(/case \d+/);
  expect(() => run(10_000, broken(/ 10m$/m))).toThrow(/case \d+/);
});
