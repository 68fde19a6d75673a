/** DER elements back to back: where one ends, and what is none. Source: X.690 section 8.1.3. */
import { describe, expect, it } from 'vitest';
import { splitDer } from '../../src/identity/der.ts';
import { certificateBytesMax } from '../../src/limits.ts';

/** An element with this head, and so many bytes behind it. */
const element = (head: readonly number[], bytes: number): Uint8Array =>
  Uint8Array.from([...head, ...new Array<number>(bytes).fill(7)]);
const split = (...parts: readonly Uint8Array[]): Uint8Array[] =>
  splitDer(new Uint8Array(Buffer.concat(parts)), 3, 'a chain');
const refused = expect.objectContaining({
  code: 'SVID_INVALID',
  context: expect.objectContaining({ rule: 'encoding' }),
});

describe('elements back to back', () => {
  const forms = [
    element([0x30, 0x05], 5),
    element([0x30, 0x7f], 127),
    element([0x30, 0x81, 0x80], 128),
    element([0x30, 0x82, 0x01, 0x02], 0x102),
    element([0x30, 0x83, 0x00, 0x02, 0x01], 0x201),
    element([0x30, 0x82, certificateBytesMax >> 8, certificateBytesMax & 255], certificateBytesMax),
  ];

  it.each(forms.map((form) => [form.length, form] as const))('of %d bytes are taken apart', (_, form) => {
    const other = element([0x30, 0x01], 1);
    expect(split(form)).toEqual([form]);
    expect(split(other, form, other)).toEqual([other, form, other]);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['no SEQUENCE', element([0x31, 0x01], 1)],
    ['a tag alone', Uint8Array.of(0x30)],
    ['a length that is cut off', Uint8Array.of(0x30, 0x82, 0x01)],
    ['the indefinite form', element([0x30, 0x80], 128)],
    ['a length of four digits', element([0x30, 0x84, 0, 0, 0, 5], 5)],
    ['less than its length', element([0x30, 0x05], 4)],
    ['one more behind a whole one', Uint8Array.of(0x30, 0x01, 7, 0x30)],
    ['a byte behind it', element([0x30, 0x05], 6)],
    ['more than a certificate has', element([0x30, 0x83, 0, 0x40, 0x01], certificateBytesMax + 1)],
  ])('that are %s are refused', (_, bytes) => {
    expect(() => split(bytes)).toThrow(refused);
  });

  it('are as many as expected, and no more', () => {
    const one = element([0x30, 0x01], 1);
    expect(split(one, one, one)).toHaveLength(3);
    expect(() => split(one, one, one, one)).toThrow(refused);
  });
});
