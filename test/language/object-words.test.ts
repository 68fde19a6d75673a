/** Words that every JavaScript object knows are ordinary words of a program. */
import { expect, it } from 'vitest';
import { format } from '../../src/language/format.ts';
import { parse } from '../../src/language/parse.ts';

const WORDS = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf'];

it.each(WORDS)('%s is a name, an attribute and a value', (word) => {
  const text = `apiVersion "kwam.dev/v0.2"\nlet ${word} = 8x\nprofile ${word} { ${word} ${word} }\n`;
  const { diagnostics, program } = parse('words.kwam', text);
  expect(diagnostics).toEqual([]);
  expect(
    JSON.stringify(program, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  ).toContain(word);
  expect(format('words.kwam', text).diagnostics).toEqual([]);
});
