/**
 * Containment of patterns: matching against plain recursion, inclusion against every short text, counter-examples by their definition.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Glob, globIncludes, globMatches, parseGlob } from '../../src/language/glob-inclusion.ts';
import { allSegments, segmentsMatch } from '../reference/glob.ts';

const numRuns = process.env['KWAM_CAMPAIGN'] === '1' ? 20_000 : 400;

function glob(text: string): Glob {
  const parsed = parseGlob(text, '.');
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

const segment = fc.oneof(
  { weight: 1, arbitrary: fc.constant('**') },
  { weight: 2, arbitrary: fc.constant('*') },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 3 })
      .map((letters) => letters.join('').replaceAll(/\*+/g, '*')),
  },
);
const pattern = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('.'));
/** c stands for all the characters that no pattern here names. */
const TEXTS = allSegments('abc', 2, 3);

describe('matching', () => {
  test('is that of the definition', () => {
    fc.assert(
      fc.property(pattern, fc.constantFrom(...TEXTS), (written, segments) => {
        expect(globMatches(glob(written), segments.join('.'))).toBe(
          segmentsMatch(written.split('.'), segments),
        );
      }),
      { numRuns: numRuns * 5 },
    );
  });
});

describe('inclusion', () => {
  test('holds for every short text, or there is a counter-example that is one', () => {
    let refused = 0;
    fc.assert(
      fc.property(pattern, pattern, (outer, inner) => {
        const result = globIncludes(glob(outer), glob(inner));
        const escaped = TEXTS.filter(
          (text) => segmentsMatch(inner.split('.'), text) && !segmentsMatch(outer.split('.'), text),
        );
        if (result.included) {
          expect(escaped).toEqual([]);
          return;
        }
        refused++;
        const example = result.counterExample!;
        const segments = example === '' ? [] : example.split('.');
        expect(segmentsMatch(inner.split('.'), segments)).toBe(true);
        expect(segmentsMatch(outer.split('.'), segments)).toBe(false);
        const characters = (text: readonly string[]) => text.join('.').length;
        for (const each of escaped) expect(characters(segments)).toBeLessThanOrEqual(characters(each));
      }),
      { numRuns },
    );
    // The generator gives both answers, so that neither half of the test is empty.
    expect(refused).toBeGreaterThan(numRuns / 10);
    expect(refused).toBeLessThan(numRuns);
  });

  test('is reflexive, and `**` includes everything', () => {
    fc.assert(
      fc.property(pattern, (written) => {
        expect(globIncludes(glob(written), glob(written))).toEqual({ included: true });
        expect(globIncludes(glob('**'), glob(written))).toEqual({ included: true });
      }),
      { numRuns },
    );
  });

  test.each([
    ['fleet.*', 'fleet.h100_pool', undefined],
    ['fleet.h100_*', 'fleet.h100_pool', undefined],
    ['fleet.**', 'fleet.*.n*', undefined],
    ['*.*', 'fleet.*', undefined],
    ['fleet.h100_pool', 'fleet.*', 'fleet.a'],
    ['fleet.*', 'fleet.**', 'fleet'],
    ['fleet.*.*', 'fleet.**.*', 'fleet.x'],
    ['a*', '*a', 'xa'],
    // Neither half of the outer pattern includes the inner one; only the whole does.
    ['**.a.**', '**.a.*.**', undefined],
  ])('%s over %s', (outer, inner, counterExample) => {
    const result = globIncludes(glob(outer), glob(inner));
    if (counterExample === undefined) expect(result).toEqual({ included: true });
    else expect(result).toMatchObject({ included: false, counterExample: expect.any(String) });
    if (!result.included) expect(result.counterExample).toHaveLength(counterExample!.length);
  });

  test('gives up on patterns that are made to be slow, and then never says "included"', () => {
    const stars = (count: number) => new Array<string>(count).fill('*');
    const outer = ['**', 'a', ...stars(40)].join('.');
    const inner = ['**', 'a', ...stars(39), 'b'].join('.');
    const result = globIncludes(glob(`${outer}.c`), glob(`${inner}.*`));
    expect(result.included).toBe(false);
  });
});

test.each([
  ['', 'not empty'],
  ['a..b', 'empty'],
  ['a.**b', 'stands alone'],
  ['a'.repeat(3000), 'at most 2048'],
])('%s is refused', (text, why) => {
  expect(parseGlob(text, '.')).toContain(why);
});
