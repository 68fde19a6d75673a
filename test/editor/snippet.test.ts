/** What is offered to start from is right already: each block's snippet, typed into the example, gives no syntax, name or type error. */
import { describe, expect, test } from 'vitest';
import { completionsAt } from '../../src/editor/completion.ts';
import { type Due, placeAt } from '../../src/editor/place.ts';
import { plainText, valueSnippet } from '../../src/editor/snippet.ts';
import { compile } from '../../src/language/compile.ts';
import { format } from '../../src/language/format.ts';
import { BLOCKS } from '../../src/language/schema.ts';
import { faultdomains } from '../language/front.ts';
import { TABLES } from '../language/standard-tables.ts';
import { EXAMPLES } from './edits.ts';

const H100 = EXAMPLES[1]!;
const compiled = (text: string) =>
  compile('program.kwam', text, { modules: faultdomains(), context: { tables: TABLES } });

describe('the snippet of', () => {
  const kinds = [...BLOCKS.values()].filter(({ moduleOnly }) => !moduleOnly).map(({ kind }) => kind);

  test.each(kinds)('%s fits into a program', (kind) => {
    const text = `${H100}\n`;
    const offered = completionsAt(compiled(text), text.length, { tables: TABLES, modules: [] });
    const { insert } = offered.find(({ label, kind: what }) => label === kind && what === 'block')!;
    const after = text + plainText(insert);
    const before = new Set(compiled(H100).diagnostics.map(({ code }) => code));
    const wrong = compiled(after).diagnostics.filter(
      ({ code, severity }) =>
        severity === 'error' && /^KW[12]/.test(code) && code !== 'KW1901' && !before.has(code),
    );
    expect(wrong).toEqual([]);
    expect(format('', after).diagnostics).toEqual([]);
  });
});

describe('a value of a type', () => {
  const known = { program: compiled(H100).program, tables: TABLES };

  test('has its words to choose from, the example first', () => {
    const sandbox = { kind: 'word', vocabulary: 'sandbox', quoted: false, example: 'gvisor' } as const;
    const [piece] = valueSnippet(sandbox, known)!;
    expect(piece).toMatchObject({ choice: ['gvisor', ...['seccomp', 'runc', 'kata', 'firecracker']] });
    expect(plainText(valueSnippet({ kind: 'reference', to: 'policy' }, known)!)).toBe('trust_root');
  });

  test('cannot be made up for a digest', () => {
    expect(valueSnippet({ kind: 'digest' }, known)).toBeUndefined();
  });
});

describe('what is due', () => {
  const dueAt = (text: string): Due['kind'] => placeAt(text, text.length).due.kind;

  test.each([
    ['', 'item'],
    ['apiVersion ', 'version'],
    ['import ', 'module'],
    ['import "std/x" ', 'word'],
    ['import "std/x" as ', 'nothing'],
    ['import "std/x" as fd\n', 'word'],
    ['import "std/x" as fd\nmetric m { ', 'attribute'],
    ['use ', 'export'],
    ['let x ', 'word'],
    ['let x = ', 'any value'],
    ['let x = [a, b]\n', 'item'],
    ['let x = rs(6, 3)\n', 'item'],
    ['profile ', 'nothing'],
    ['profile p { ', 'attribute'],
    ['profile p { fanout ', 'value'],
    ['profile p { fanout 8x ', 'attribute'],
    ['profile p { health [dcgm, ', 'value'],
    ['profile p { health [dcgm] ', 'attribute'],
    ['guard g { mtbf { node 5y { ', 'attribute'],
    ['guard g { mtbf { node 5y { source "x" } ', 'attribute'],
    ['policy p { ca "a" # the root, ', 'nothing'],
    ['replicate r { erasure rs(6, 3) ', 'attribute'],
    // Without the closing brace of the block before.
    ['profile p { hardware "h100"\n\nserver s { transport ', 'value'],
    ['profile p { hardware "h100"\n\nlet x = ', 'any value'],
    ['metric m { } ', 'item'],
    ['nonsense n { ', 'nothing'],
  ])('after %j is %s', (text, kind) => {
    expect(dueAt(text)).toBe(kind);
  });

  test('replaces what has been typed of it', () => {
    expect(placeAt('profile p { hardw', 17)).toMatchObject({ typed: 'hardw', start: 12 });
    expect(placeAt('profile p { hardware "h1', 24)).toMatchObject({ typed: '"h1', start: 21 });
    expect(placeAt('profile p { fanout ${fa', 23)).toMatchObject({ typed: '${fa', start: 19 });
  });
});
