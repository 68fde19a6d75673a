/**
 * What the parser found wrong, in our words: Langium's errors and the repairs of the brackets become diagnostics KW10xx.
 * The rule in which the parser stood tells what it expected; its own sentence lists token names and is not used.
 */
import { programNestingMax, syntaxErrorsMax } from '../limits.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { OpenText, SyntaxTree } from './parser.ts';
import type { SourceText } from './source.ts';
import type { Repair } from './token-repair.ts';

type LexerError = SyntaxTree['lexerErrors'][number];
type ParserError = SyntaxTree['parserErrors'][number];

const VALUE = 'a value';
const EXPECTED_IN_RULE: Readonly<Record<string, string>> = {
  Program: 'a block, such as `profile NAME { … }`',
  Item: 'a block, such as `profile NAME { … }`',
  ApiVersion: 'a version, as in `apiVersion "kwam.dev/v0.2"`',
  Module: 'the name of the module, as in `module "std/faultdomains"`',
  Import: 'an import, as in `import "std/faultdomains" as fd digest "sha256:…"`',
  Use: 'an export of a module, as in `use fd.h100`',
  Let: 'a value, as in `let fanout = 8x`',
  Block: 'a block, such as `profile NAME { … }`',
  Body: 'an attribute or `}`',
  Entry: 'an attribute or `}`',
  Attribute: 'the value of the attribute',
  AttributeName: 'the name of an attribute',
  List: '`,` or `]`',
  WordOrCall: VALUE,
  Arguments: '`,` or `)`',
  Value: VALUE,
  Atom: VALUE,
  Name: 'a name',
  Omission: 'an attribute or `}`',
};
const CHARACTER_NOTES: Readonly<Record<string, string>> = {
  ':': 'An attribute is its name and its value with a space between them.',
  ';': 'A line needs no mark at its end.',
  "'": 'Strings stand in double quotes.',
  '/': 'A path stands in double quotes; a comment begins with #.',
  '+': 'There is no arithmetic: write the result.',
  '@': 'An image is named by its digest, in double quotes.',
};

function shown(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `\`${short}\``;
}

function ofLexer(source: SourceText, error: LexerError): Diagnostic {
  const range = source.range(error.offset, error.offset + error.length);
  const text = source.slice(range);
  return diagnostic(
    'KW1001',
    `expected a word, a value or a bracket, got ${shown(text)}`,
    { file: source.file, range },
    { note: CHARACTER_NOTES[text[0] ?? ''] },
  );
}

function ofParser(source: SourceText, error: ParserError): Diagnostic {
  const rule = (error.context.ruleStack.at(-1) ?? 'Program').replaceAll('\u200B', '');
  const expected = EXPECTED_IN_RULE[rule] ?? VALUE;
  const { startOffset, image, tokenType } = error.token;
  const atEnd = tokenType.name === 'EOF';
  const start = atEnd ? source.text.trimEnd().length : startOffset;
  const got = image === '' ? 'the end of what is open here' : shown(image);
  return diagnostic('KW1002', `expected ${expected}, got ${atEnd ? 'the end of the program' : got}`, {
    file: source.file,
    range: source.range(start, start + (atEnd ? 0 : image.length)),
  });
}

const REPAIR_MESSAGES: Readonly<
  Record<Repair['what'], (text: string, repair: Repair) => [`KW${number}`, string]>
> = {
  'not-closed': (text, { missing }) => [
    'KW1003',
    `${shown(text === '' ? '{' : text)} is not closed: expected ${shown(missing ?? '')}`,
  ],
  'second-name': (text) => ['KW1002', `expected \`{\` after the name of the block, got ${shown(text)}`],
  'no-value': (text) => ['KW1002', `expected the value of ${shown(text)}, got the next attribute`],
  'not-opened': (text) => ['KW1002', `expected \`{\` after ${shown(text)}`],
  incomplete: (text) => [
    'KW1002',
    `expected the rest of ${shown(text)}, got the next declaration or the end`,
  ],
  'space-in-quantity': (text, { missing }) => [
    'KW1018',
    `expected \`${missing}\` in one word, got ${shown(text)} with a space`,
  ],
  'no-comma': (text) => ['KW1019', `expected a comma before ${shown(text)}`],
  'closes-nothing': (text) => [
    'KW1004',
    `${shown(text)} closes nothing: remove it, or open what it should close`,
  ],
  comma: () => ['KW1005', 'a comma stands only between the items of a list: remove it'],
  equals: () => ['KW1006', '`=` belongs to `let`: an attribute is its name and its value, as in `factor 3`'],
  'too-deep': () => [
    'KW1009',
    `expected at most ${programNestingMax} braces and brackets within each other, got more`,
  ],
};

const WITHOUT_REMEDY: ReadonlySet<Repair['what']> = new Set(['too-deep', 'incomplete', 'no-value']);

function ofRepair(source: SourceText, repair: Repair): Diagnostic {
  const range = source.range(repair.startOffset, repair.endOffset);
  const [code, message] = REPAIR_MESSAGES[repair.what](source.slice(range), repair);
  const where = { file: source.file, range };
  if (repair.what === 'space-in-quantity') {
    const text = repair.missing ?? '';
    return diagnostic(code, message, where, {
      suggestion: { title: `write ${shown(text)}`, replacement: { range, text } },
    });
  }
  if (repair.missing !== undefined && repair.insertedOffset !== undefined) {
    const at = source.range(repair.insertedOffset, repair.insertedOffset);
    const title = `add ${shown(repair.missing)} here`;
    return diagnostic(code, message, where, {
      suggestion: {
        title,
        replacement: { range: at, text: repair.missing === ',' ? ',' : ` ${repair.missing}` },
      },
    });
  }
  if (WITHOUT_REMEDY.has(repair.what)) return diagnostic(code, message, where);
  return diagnostic(code, message, where, {
    suggestion: { title: 'remove it', replacement: { range, text: '' } },
  });
}

function ofOpenText(source: SourceText, { text, startOffset }: OpenText): Diagnostic {
  const range = source.range(startOffset, startOffset + text.length);
  const instead = `${text.trimEnd()}"`;
  const message = 'expected `"` before the end of the line: a string stays on its line';
  return diagnostic(
    'KW1007',
    message,
    { file: source.file, range },
    { suggestion: { title: `write \`${instead}\``, replacement: { range, text: instead } } },
  );
}

export function syntaxErrors(source: SourceText, tree: SyntaxTree): readonly Diagnostic[] {
  const all = [
    ...tree.repairs.map((repair) => ofRepair(source, repair)),
    ...tree.openTexts.map((each) => ofOpenText(source, each)),
    ...tree.lexerErrors.map((error) => ofLexer(source, error)),
    ...tree.parserErrors.map((error) => ofParser(source, error)),
  ];
  all.sort((left, right) => left.range.start.offset - right.range.start.offset);
  return all.slice(0, syntaxErrorsMax);
}
