/** The order of keys against the one of their bytes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareKeys } from '../../src/control/requests.ts';

/** Few letters, so that keys share beginnings: around the surrogates, and above them. */
const key = fc.string({
  unit: fc.constantFrom('a', 'b', 'é', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{10000}', '\u{10ffff}'),
});

test('keys are in the order of their UTF-8 bytes', () => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
