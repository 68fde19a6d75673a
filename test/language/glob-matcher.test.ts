/** The compiled matcher against the automaton: the same answers, whatever the pattern. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Glob, globMatches, parseGlob } from '../../src/language/glob-inclusion.ts';
import { compileGlob, segmentsOf } from '../../src/language/glob-matcher.ts';

const segment = fc.oneof(
  fc.constant('**'),
  fc.stringMatching(/^[ab*]{1,5}$/).map((text) => text.replace(/\*+/g, '*')),
);
const pattern = fc.array(segment, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/'));
const subject = fc
  .array(fc.stringMatching(/^[ab]{0,4}$/), { maxLength: 7 })
  .map((segments) => segments.join('/'));

function matchesText(glob: Glob, text: string): boolean {
  const segments = segmentsOf(text, glob.separator);
  return segments !== undefined && compileGlob(glob)(segments);
}

it('matches what the automaton matches', () => {
  fc.assert(
    fc.property(pattern, subject, (written, text) => {
      const glob = parseGlob(written, '/') as Glob;
      expect(matchesText(glob, text)).toBe(globMatches(glob, text));
    }),
    { numRuns: process.env['KWAM_CAMPAIGN'] === '1' ? 200_000 : 3000 },
  );
});

it.each([
  ['a/*/c', 'a/b/c', true],
  ['a/*/c', 'a//c', false],
  ['a/*/c', 'a/c', false],
  ['**', '', true],
  ['**/seed', 'seed', true],
  ['**/seed', 'a/b/seed', true],
  ['**/a/**/a', 'a/b/a/b', false],
  ['n*1*', 'n0001', true],
  ['a*a', 'a', false],
])('%s on %s: %s', (written, text, matches) => {
  expect(matchesText(parseGlob(written, '/') as Glob, text)).toBe(matches);
});
