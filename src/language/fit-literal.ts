/**
 * One literal as a value of a type whose form it already has: bounds, spellings and patterns.
 * In: literal, type, its text and place. Out: the typed value, or a problem. Pure.
 */
import { describeType } from './describe.ts';
import type { ValueIr } from './ir.ts';
import type { Literal, Problem } from './literals.ts';
import { nearestName } from './nearest-name.ts';
import { DIMENSION_WORDS, type Dimension, type Rational, toNumber } from './quantity.ts';
import type { ExpectedType } from './schema-types.ts';
import type { SourceRange } from './source.ts';

type TypeOf<K extends ExpectedType['kind']> = Extract<ExpectedType, { readonly kind: K }>;
type Fitted = ValueIr | Problem;

const VOCABULARY_WORD = /^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/;
const HOST = /^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const SCOPE = /^[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*$/;
const portMax = 65_535;
/** RFC 1035 section 2.3.4, without the root's dot. */
const hostCharactersMax = 253;

function problem(code: Problem['code'], message: string, instead?: string): Problem {
  return { kind: 'problem', code, message, ...(instead === undefined ? {} : { instead }) };
}

function fitNumber(exact: Rational, type: TypeOf<'number'>, written: string, range: SourceRange): Fitted {
  const amount = toNumber(exact);
  if (type.whole && exact.denominator !== 1n) {
    return problem('KW2011', `expected ${type.noun} without a fraction, got ${written}`);
  }
  if (amount < type.min || amount > type.max) {
    return problem('KW2011', `expected ${type.noun} from ${type.min} to ${type.max}, got ${written}`);
  }
  return { kind: 'number', amount, exact, range };
}

const WHOLE_NOUNS: Readonly<Partial<Record<Dimension, string>>> = {
  size: 'a whole number of bytes',
  nines: 'a whole number of nines',
  count: 'a whole multiple',
};

function fitQuantity(exact: Rational, type: TypeOf<'quantity'>, written: string, range: SourceRange): Fitted {
  const { dimension } = type;
  const { noun } = DIMENSION_WORDS[dimension];
  const amount = toNumber(exact);
  if (WHOLE_NOUNS[dimension] !== undefined && exact.denominator !== 1n) {
    return problem('KW2011', `expected ${WHOLE_NOUNS[dimension]}, got ${written}`);
  }
  if (type.min === undefined && amount <= 0)
    return problem('KW2011', `expected ${noun} above zero, got ${written}`);
  if (type.min !== undefined && amount < type.min)
    return problem('KW2011', `expected ${noun} of at least ${bound(type.min, type)}, got ${written}`);
  const max = type.max ?? Number.MAX_SAFE_INTEGER;
  if (amount > max)
    return problem('KW2011', `expected ${noun} of at most ${bound(max, type)}, got ${written}`);
  return { kind: 'quantity', dimension, amount, exact, written, range };
}

/** A bound in the unit that people write. */
function bound(amount: number, { dimension }: TypeOf<'quantity'>): string {
  if (dimension === 'ratio') return `${amount * 100}percent`;
  const unit = { size: 'b', duration: 'ms', bandwidth: 'bps', nines: 'nines', count: 'x' }[dimension];
  return `${amount}${unit}`;
}

function fitChoice(word: string, type: TypeOf<'choice'>, range: SourceRange): Fitted {
  if (type.words.includes(word)) return { kind: 'word', word, range };
  return problem('KW2015', `expected ${describeType(type)}, got \`${word}\``, nearestName(word, type.words));
}

function fitWord(word: string, type: TypeOf<'word'>, range: SourceRange): Fitted {
  if (type.quoted || VOCABULARY_WORD.test(word)) return { kind: 'word', word, range };
  return problem('KW2006', `expected ${describeType(type)}, got \`${word}\``);
}

function fitHost(text: string, port: number | undefined, range: SourceRange): Fitted {
  const [, name = text, digits] = /^(.*?)(?::([0-9]+))?$/.exec(text) ?? [];
  const chosen = port ?? (digits === undefined ? undefined : Number(digits));
  if (name.length > hostCharactersMax || !HOST.test(name)) {
    return problem('KW2006', `expected a host or host:port, got \`${text.slice(0, 60)}\``);
  }
  if (chosen !== undefined && (chosen < 1 || chosen > portMax)) {
    return problem('KW2011', `expected a port from 1 to ${portMax}, got ${chosen}`);
  }
  return { kind: 'host', host: name, ...(chosen === undefined ? {} : { port: chosen }), range };
}

function fitDate(text: string, range: SourceRange): Fitted {
  const [, year, month, day] = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text) ?? [];
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text) && text.length === 10;
  if (exists) return { kind: 'text', text, range };
  return problem('KW2006', `expected a date such as "2026-05-01", got "${text.slice(0, 40)}"`);
}

function fitText(text: string, type: ExpectedType, range: SourceRange): Fitted {
  switch (type.kind) {
    case 'text':
      return text === ''
        ? problem('KW2011', `expected ${describeType(type)}, got an empty string`)
        : { kind: 'text', text, range };
    case 'word':
      return fitWord(text, type, range);
    case 'digest':
      return text.includes('…') || text.includes('...')
        ? { kind: 'hole', expected: describeType(type), range }
        : { kind: 'digest', digest: text, range };
    case 'date':
      return fitDate(text, range);
    default:
      return fitScope(text, range);
  }
}

function fitScope(text: string, range: SourceRange): Fitted {
  if (SCOPE.test(text)) return { kind: 'word', word: text, range };
  return problem(
    'KW2006',
    `expected a resource pattern such as fleet.h100_pool, got \`${text.slice(0, 60)}\``,
  );
}

/** The caller has found that the literal's form suits the type. */
export function fitLiteral(
  literal: Literal,
  type: ExpectedType,
  written: string,
  range: SourceRange,
): Fitted {
  switch (literal.kind) {
    case 'number':
      return fitNumber(literal.exact, type as TypeOf<'number'>, written, range);
    case 'quantity':
      return fitQuantity(literal.exact, type as TypeOf<'quantity'>, written, range);
    case 'boolean':
      return { kind: 'boolean', value: literal.value, range };
    case 'text':
      return fitText(literal.parts.map((part) => part.text).join(''), type, range);
    case 'word':
      if (type.kind === 'choice') return fitChoice(literal.word, type, range);
      if (type.kind === 'word') return fitWord(literal.word, type, range);
      return type.kind === 'host' ? fitHost(literal.word, undefined, range) : fitScope(literal.word, range);
    case 'host':
      return fitHost(literal.host, literal.port, range);
    case 'cidr':
      return { kind: 'cidr', address: literal.address, prefixLength: literal.prefixLength, range };
    case 'secret':
      return { kind: 'secret', secret: literal.secret, range };
    case 'uri':
      return { kind: 'uri', scheme: literal.scheme, uri: literal.uri, range };
    default:
      return problem('KW2006', `expected ${describeType(type)}`);
  }
}
