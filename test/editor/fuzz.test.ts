/**
 * Programs in the middle of being written: after every random edit each feature is asked at a random place. None throws, every range
 * lies inside the text and covers whole tokens' lines, and what is offered as an edit can be applied and read again.
 * KWAM_CAMPAIGN=1 runs twenty thousand, KWAM_CASES another number, KWAM_SEED with another seed.
 */
import { expect, test } from 'vitest';
import { completionsAt } from '../../src/editor/completion.ts';
import { definitionAt } from '../../src/editor/definition.ts';
import { formattingEdits } from '../../src/editor/formatting.ts';
import { hoverAt } from '../../src/editor/hover.ts';
import { namedAt } from '../../src/editor/names.ts';
import { outlineOf } from '../../src/editor/outline.ts';
import { quickFixes } from '../../src/editor/quick-fixes.ts';
import { referencesTo } from '../../src/editor/references.ts';
import { renamableAt, rename } from '../../src/editor/rename.ts';
import { semanticTokens } from '../../src/editor/semantic-tokens.ts';
import { applyEdits } from '../../src/editor/text-edit.ts';
import { type Compiled, compile } from '../../src/language/compile.ts';
import type { SourceRange } from '../../src/language/source.ts';
import { seededRandom } from '../../src/random.ts';
import { faultdomains } from '../language/front.ts';
import { TABLES } from '../language/standard-tables.ts';
import { apply, EXAMPLES, randomEdit } from './edits.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const cases = Number(process.env['KWAM_CASES'] ?? (campaign ? 20_000 : 150));
const seed = Number(process.env['KWAM_SEED'] ?? 20_261_125);
/** So many edits pile up before the text is whole again. */
const editsMax = 40;

const random = seededRandom(seed);

function compiled(text: string): Compiled {
  return compile('program.kwam', text, { modules: faultdomains(), context: { tables: TABLES } });
}

function expectInside(text: string, range: SourceRange, what: string): void {
  const { start, end } = range;
  if (start.offset < 0 || start.offset > end.offset || end.offset > text.length) {
    throw new Error(`${what} lies outside of the text: ${start.offset} to ${end.offset} of ${text.length}`);
  }
}

function askPlace(now: Compiled, text: string, offset: number): void {
  const known = { tables: TABLES, modules: ['std/faultdomains'] };
  for (const { range } of completionsAt(now, offset, known)) {
    expectInside(text, range, 'a completion');
    if (range.start.line !== range.end.line) throw new Error('a completion goes over a line');
    if (range.start.offset > offset || range.end.offset < offset)
      throw new Error('a completion misses the cursor');
  }
  const hover = hoverAt(now, offset, TABLES);
  if (hover !== undefined) expectInside(text, hover.range, 'a hover');
  const definition = definitionAt(now, offset);
  if (definition !== undefined) expectInside(text, definition.origin, 'the origin of a definition');
  if (definition?.file === 'program.kwam') expectInside(text, definition.range, 'a definition');
}

function askName(now: Compiled, text: string, offset: number): void {
  const target = namedAt(now.program, offset);
  const renamable = renamableAt(now, offset);
  if (
    'range' in renamable &&
    text.slice(renamable.range.start.offset, renamable.range.end.offset) !== renamable.name
  )
    throw new Error('a name that is not there');
  if (target === undefined) return;
  for (const { file, range } of referencesTo(target, [now], true)) {
    if (file !== 'program.kwam') continue;
    expectInside(text, range, 'a reference');
    if (text.slice(range.start.offset, range.end.offset) !== target.name)
      throw new Error('a reference to another name');
  }
  const edits = rename(now, offset, 'another_name', compiled);
  if (!('refusal' in edits)) compiled(applyEdits(text, edits));
}

function askDocument(now: Compiled, text: string, offset: number): void {
  let free = 0;
  for (const { start, end } of semanticTokens(now)) {
    if (start < free || end > text.length || end <= start) throw new Error('tokens over one another');
    if (/[\r\n]/.test(text.slice(start, end))) throw new Error('a token over a line');
    free = end;
  }
  outlineOf(now.program);
  for (const { range } of formattingEdits(now.source)) expectInside(text, range, 'formatting');
  for (const { edits } of quickFixes(now, TABLES, now.source.range(offset, offset + 40))) {
    for (const { range } of edits) expectInside(text, range, 'a quick fix');
    compiled(applyEdits(text, edits));
  }
}

test(`${cases} edits`, { timeout: 24 * 3_600_000 }, () => {
  let text = EXAMPLES[0]!;
  for (let at = 0; at < cases; at++) {
    if (at % editsMax === 0) text = EXAMPLES[random.below(EXAMPLES.length)]!;
    text = apply(text, randomEdit(random, text));
    const offset = random.below(text.length + 1);
    try {
      const now = compiled(text);
      askPlace(now, text, offset);
      askName(now, text, offset);
      askDocument(now, text, offset);
    } catch (error) {
      throw new Error(`case ${at}, at ${offset}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  if (campaign) console.log(`seed ${seed}: ${cases} edits`);
});

test('a canary: a range outside of the text is noticed', () => {
  const { source } = compiled(`${EXAMPLES[0]}\n\n`);
  const end = source.range(source.text.length, source.text.length);
  expect(() => expectInside(EXAMPLES[0]!, end, 'a range')).toThrow('outside of the text');
});
