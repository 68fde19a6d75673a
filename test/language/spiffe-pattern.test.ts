/**
 * SPIFFE IDs of programs against the parser that checks certificates, and patterns over them.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSpiffeId, pathOf } from '../../src/identity/spiffe-id.ts';
import {
  parseSpiffePattern,
  spiffeIdProblem,
  spiffePatternMatches,
} from '../../src/language/spiffe-pattern.ts';

function isWorkloadId(text: string): boolean {
  try {
    return pathOf(parseSpiffeId(text)) !== '';
  } catch {
    return false;
  }
}

test('agrees with the parser of identities on near misses', () => {
  const piece = fc.constantFrom(
    'spiffe',
    ':',
    '//',
    '/',
    'kwam',
    'Acme',
    '.',
    '..',
    '-',
    '_',
    '%20',
    '*',
    '@',
    '?',
    '#',
    'é',
    ' ',
    '1',
  );
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const near = fc.oneof(
    text,
    text.map((rest) => `spiffe://kwam/${rest}`),
    text.map((rest) => `spiffe://${rest}/seed`),
  );
  let valid = 0;
  fc.assert(
    fc.property(near, (each) => {
      const expected = isWorkloadId(each);
      if (expected) valid++;
      expect(spiffeIdProblem(each) === undefined).toBe(expected);
    }),
    { numRuns: 5000 },
  );
  expect(valid).toBeGreaterThan(50);
});

test.each([
  ['spiffe://kwam/acme/cl-7/*/*/*/seed', 'spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed', true],
  ['spiffe://kwam/acme/cl-7/*/*/*/seed', 'spiffe://kwam/acme/cl-7/az1/pod0/seed', false],
  ['spiffe://kwam/acme/**', 'spiffe://kwam/acme', true],
  ['spiffe://kwam/acme/**', 'spiffe://kwam.evil/acme/x', false],
  ['spiffe://kwam/n0*', 'spiffe://kwam/n0042', true],
  ['spiffe://kwam/*', 'spiffe://kwam/', false],
])('%s and %s', (written, id, expected) => {
  const pattern = parseSpiffePattern(written);
  if (typeof pattern === 'string') throw new Error(pattern);
  expect(spiffePatternMatches(pattern, id)).toBe(expected);
});

test.each([
  'spiffe://*/seed',
  'spiffe://kwam',
  'https://kwam/x',
  'spiffe://kwam/a**b',
  'spiffe://kwam/x/',
  'spiffe://kw*am/x',
])('%s is no pattern', (written) => {
  expect(parseSpiffePattern(written)).toBeTypeOf('string');
});
