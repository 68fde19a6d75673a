/** The mutator itself, and that what is explained in survivors.ts still is a mutant of its source. */
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { applyMutant, mutantsOf } from './mutants.ts';
import { SURVIVORS } from './survivors.ts';
import { SOURCES_COVERED, stagesOf } from './tests-of.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const textsOf = (text: string): string[] => mutantsOf(text).map((mutant) => applyMutant(text, mutant));

describe('mutants', () => {
  it.each([
    ['if (bad) throw no();', ['if (true) throw no();', 'if (false) throw no();', 'if (bad) ;']],
    ['check(x);', [';']],
    ['await audit?.sync();', [';']],
    ['const f = (x) => x > 3;', ['const f = (x) => true;', 'const f = (x) => false;']],
    ['const f = (x) => x.y;', []],
    ['const f = () => A.test(x);', ['const f = () => true;', 'const f = () => false;']],
    ['const a = b && c;', ['const a = b;', 'const a = c;']],
    ["const a = b || 'none';", []],
    ['const a = b ? 1 : 2;', ['const a = true ? 1 : 2;', 'const a = false ? 1 : 2;']],
    ['function f() { return refuse({ rule: 1 }); }', ['function f() { return undefined; }']],
    [
      "refuse({ rule: a ? 'b' : 'c', actual: d ? 'e' : 'f' });",
      [
        ';',
        "refuse({ rule: true ? 'b' : 'c', actual: d ? 'e' : 'f' });",
        "refuse({ rule: false ? 'b' : 'c', actual: d ? 'e' : 'f' });",
      ],
    ],
    ['class A extends B { constructor() { super(1); } }', []],
    // Spans count bytes.
    ["// größe 😀\nconst a = 'ß'; if (x) y();", 3],
  ])('of %s', (text, expected) => {
    const found = textsOf(text);
    if (typeof expected === 'number') expect(found).toHaveLength(expected);
    else expect(found.sort()).toEqual([...expected].sort());
  });

  it('cut a source with other letters at the right places', () => {
    expect(textsOf("// größe 😀\nconst a = 'ß'; if (x) y();")).toContain(
      "// größe 😀\nconst a = 'ß'; if (false) y();",
    );
  });

  it('have names of their own, which say where they are', () => {
    const names = mutantsOf('function f() { if (a) g(); if (a) g(); }').map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(['f: a → true', 'f: a → true (2)']));
  });
});

it.each(SURVIVORS)('$source: $mutant is still one', ({ source, mutant }) => {
  const names = mutantsOf(fs.readFileSync(ROOT + source, 'utf8')).map(({ name }) => name);
  expect(names).toContain(mutant);
});

it('every source that is covered has tests, and these exist', () => {
  const sources = SOURCES_COVERED.flatMap((path) =>
    path.endsWith('.ts') ? path : fs.readdirSync(ROOT + path).map((name) => `${path}/${name}`),
  );
  for (const source of sources.filter((each) => each.endsWith('.ts'))) {
    const files = stagesOf(source)
      .flat()
      .filter((each) => each.endsWith('.ts'));
    expect(files.length, source).toBeGreaterThan(0);
    for (const file of files) expect(fs.existsSync(ROOT + file), file).toBe(true);
  }
});
