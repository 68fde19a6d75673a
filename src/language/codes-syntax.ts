/**
 * Pages of the codes KW10xx (syntax and size) and KW19xx (holes).
 */
import { type CodePages, program } from './code-page.ts';

const metric = (line: string) => program(`metric integrity { ${line} window 30d }`);
const whole = metric('observe silent_corruption_count target 0');

export const SYNTAX_CODES: CodePages = {
  KW1001: {
    title: 'A character that means nothing here',
    why: 'Programs are words, values in a few forms, braces and brackets. Any other character is a slip, and guessing what it was meant to be would be guessing what runs on your machines.',
    failing: metric('observe: silent_corruption_count target 0'),
    passing: whole,
  },
  KW1002: {
    title: 'Something else is expected here',
    why: 'A block is `KIND NAME { … }`; inside it stand attributes, each a name and its value or its own `{ … }`. The parser skips to the next attribute or block, so other mistakes are reported too.',
    failing: metric('observe silent_corruption_count target 0 0'),
    passing: whole,
  },
  KW1003: {
    title: 'A bracket that is never closed',
    why: 'The compiler closes it where the next block begins, so that the rest of the program is still checked.',
    failing: program(
      'metric integrity { observe silent_corruption_count target 0 window 30d\nlet fanout = 8x',
    ),
    passing: program(
      'metric integrity { observe silent_corruption_count target 0 window 30d }\nlet fanout = 8x',
    ),
  },
  KW1004: {
    title: 'A bracket that closes nothing',
    why: 'Either it is one too many, or the one that it should close is missing further up.',
    failing: program('metric integrity { observe silent_corruption_count target 0 window 30d } }'),
    passing: whole,
  },
  KW1005: {
    title: 'A comma between attributes',
    why: 'Commas separate the items of a list and nothing else; attributes are separated by white space.',
    failing: metric('observe silent_corruption_count, target 0'),
    passing: whole,
  },
  KW1006: {
    title: 'An equals sign outside of let',
    why: 'Only `let NAME = VALUE` has one. An attribute is its name and its value.',
    failing: metric('observe silent_corruption_count target = 0'),
    passing: whole,
  },
  KW1007: {
    title: 'A string that its line does not close',
    why: 'Strings stay on one line, so that one forgotten quote cannot swallow the program. A line break is written \\n.',
    failing: program('let city = "Zurich'),
    passing: program('let city = "Zurich"'),
  },
  KW1008: {
    title: 'A value that cannot be read',
    why: 'Numbers, quantities, addresses, networks and references have the forms of the language page, and no arithmetic.',
    failing: program('let network = 10.40.0.0/33'),
    passing: program('let network = 10.40.0.0/16'),
  },
  KW1009: {
    title: 'Nesting too deep',
    why: 'The language needs five levels. A bound keeps a hostile file from exhausting the stack of the compiler.',
    failing: program(`let deep = ${'['.repeat(33)}${']'.repeat(33)}`),
    passing: program('let deep = [1, 2]'),
  },
  KW1010: {
    title: 'A program that is too large',
    why: 'The compiler holds the whole program in memory. Its bound is far above what people write and far below what hurts.',
    failing: '{'.repeat(262_145),
    shown: '{{{{{{{{{{{{{{{{ and so on, 262,145 characters in all\n',
    passing: program('let small = 1'),
  },
  KW1011: {
    title: 'A value that is too long',
    why: 'Numbers have at most 40 characters, texts at most 65,536, also after their references are filled in.',
    failing: program(`let big = ${'9'.repeat(41)}`),
    passing: program('let big = 999999999'),
  },
  KW1012: {
    title: 'Declarations out of order',
    why: 'A reader learns first which language and which modules a program stands on: apiVersion, import, use, then values and blocks.',
    failing: 'let fanout = 8x\napiVersion "kwam.dev/v0.2"\n',
    passing: program('let fanout = 8x'),
  },
  KW1013: {
    title: 'An escape that does not exist',
    why: 'A backslash in a string begins one of \\" \\\\ \\$ \\n \\t \\r \\u{…}. Anything else would be guesswork.',
    failing: program('let path = "keys\\ca.pem"'),
    passing: program('let path = "keys/ca.pem"'),
  },
  KW1014: {
    title: 'A name with other characters than letters, digits and _',
    why: 'Names are used in references with dots and in file names and metrics, where a dash or a dot would mean something else.',
    failing: program('metric silent-loss { observe silent_corruption_count target 0 window 30d }'),
    passing: program('metric silent_loss { observe silent_corruption_count target 0 window 30d }'),
  },
  KW1015: {
    title: 'Another version of the language',
    why: 'The version says what the words mean. This compiler knows one, and refuses to read another one as if it were that.',
    failing: 'apiVersion "kwam.dev/v0.1"\n',
    passing: program(''),
  },
  KW1016: {
    title: 'An erasure code that there is not',
    why: 'The data plane has Reed-Solomon, rs(k, m), with k data and m parity shards; and lrc(k, l, m), whose data shards are divided into l groups with a parity shard each, beside m over all of them.',
    failing: program('replicate data { factor 3 anti_affinity [] erasure rs(6, 3, 2) }'),
    passing: program('replicate data { factor 3 anti_affinity [] erasure rs(6, 3) }'),
  },
  KW1017: {
    title: 'A string without its quotes',
    why: 'Paths of files, digests and names of images hold characters that mean something else outside of quotes.',
    failing: program('let path = keys/ca.pem'),
    passing: program('let path = "keys/ca.pem"'),
  },
  KW1018: {
    title: 'A number and its unit with a space between them',
    why: 'A quantity is one word. With a space the unit would be the name of the next attribute.',
    failing: program('metric integrity { observe silent_corruption_count target 0 window 30 d }'),
    passing: program('metric integrity { observe silent_corruption_count target 0 window 30d }'),
  },
  KW1019: {
    title: 'A list without a comma',
    why: 'The items of a list are separated by commas; two words in a row are more often a slip than a list.',
    failing: program('let racks = [a b]'),
    passing: program('let racks = [a, b]'),
  },
  KW1901: {
    title: 'A hole that is still to be filled',
    why: '`…`, `...` and `<text>` stand for what is not decided yet. A program with holes can be checked, and nothing can be planned or run from it.',
    failing: metric('observe silent_corruption_count target …'),
    passing: whole,
  },
};
