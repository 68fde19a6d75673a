/**
 * Values brought to the type that the schema expects.
 * In: a normal value, its expected type and its path. Out: the typed value of the IR; `wrong` with one diagnostic that names
 * expected, actual and remedy; or a hole with the expected type. Where a type takes no words, a word may be the name of a `let`.
 */
import { describeLiteral, describeType } from './describe.ts';
import { type DiagnosticCode, type DiagnosticExtras, diagnostic } from './diagnostic.ts';
import { ERASURE_CODES, erasureCode } from './fit-erasure.ts';
import { fitLiteral } from './fit-literal.ts';
import type { Hole, ReferenceIr, ValueIr } from './ir.ts';
import { describeDeclaration, type Names } from './names.ts';
import type { Normal, Normalizer, Report } from './normalize.ts';
import type { ExpectedType } from './schema-types.ts';
import type { SourceRange, SourceText } from './source.ts';

type Reference = Extract<ExpectedType, { kind: 'reference' }>;
type NormalOf<K extends Normal['kind']> = Extract<Normal, { readonly kind: K }>;

const WORD_TYPES = new Set<ExpectedType['kind']>(['choice', 'word', 'reference', 'scope', 'host']);

/** Whether a value of this form can be meant where the type stands; decides between alternatives. */
function suits(value: Normal, type: ExpectedType): boolean {
  if (type.kind === 'either') return type.of.some((each) => suits(value, each));
  if (value.kind === 'list') return type.kind === 'list';
  if (value.kind === 'call') return type.kind === 'erasure';
  if (value.kind === 'block') return type.kind === 'reference';
  if (value.kind === 'wrong') return true;
  const { literal } = value;
  switch (type.kind) {
    case 'number':
    case 'boolean':
    case 'secret':
    case 'cidr':
      return literal.kind === type.kind;
    case 'quantity':
      return literal.kind === 'quantity' && literal.dimension === type.dimension;
    case 'text':
    case 'digest':
    case 'date':
      return literal.kind === 'text';
    case 'choice':
    case 'reference':
      return literal.kind === 'word';
    case 'word':
      return literal.kind === (type.quoted ? 'text' : 'word');
    case 'scope':
      return literal.kind === 'word' || literal.kind === 'text';
    case 'host':
      return literal.kind === 'word' || literal.kind === 'host';
    case 'uri':
      return literal.kind === 'uri' && type.schemes.includes(literal.scheme);
    default:
      return false;
  }
}

export class Fitter {
  readonly holes: Hole[] = [];
  readonly #source: SourceText;
  readonly #names: Names;
  readonly #normalizer: Normalizer;
  readonly #report: Report;
  readonly #listed = new Set<string>();

  constructor(source: SourceText, names: Names, normalizer: Normalizer, report: Report) {
    this.#source = source;
    this.#names = names;
    this.#normalizer = normalizer;
    this.#report = report;
  }

  fit(value: Normal, type: ExpectedType, path: string): ValueIr {
    const range = value.used ?? value.range;
    if (value.kind === 'wrong') return { kind: 'wrong', range };
    if (value.kind === 'literal' && value.literal.kind === 'hole') {
      return this.hole(
        value.range,
        value.letName === undefined ? path : `let.${value.letName}`,
        describeType(type),
      );
    }
    const named = this.#letNamed(value, type);
    if (named !== undefined) return this.fit(named, type, path);
    if (type.kind === 'either') return this.#fitEither(value, type.of, type, path);
    if (!suits(value, type)) return this.#mismatch(value, type, range);
    if (value.kind === 'list')
      return this.#fitList(value, type as Extract<ExpectedType, { kind: 'list' }>, path);
    if (value.kind === 'call') return this.#fitErasure(value, path);
    if (type.kind === 'reference') return this.#fitReference(value, type, range);
    if (value.kind === 'block') return { kind: 'wrong', range };
    const fitted = fitLiteral(value.literal, type, this.#source.slice(value.range), range);
    if (fitted.kind !== 'problem') return this.#listDigestHole(fitted, path, type);
    const suggestion =
      fitted.instead === undefined || value.used !== undefined
        ? undefined
        : { title: `write \`${fitted.instead}\``, replacement: { range, text: fitted.instead } };
    return this.#wrong(fitted.code, fitted.message, range, { note: fitted.note, suggestion });
  }

  /** Lists a hole once, however often a `let` brings it into use. */
  hole(range: SourceRange, path: string, expected: string): ValueIr {
    const key = `${range.start.offset} ${path}`;
    if (!this.#listed.has(key)) {
      this.#listed.add(key);
      this.holes.push({ path, expected, file: this.#source.file, range });
    }
    return { kind: 'hole', expected, range };
  }

  #letNamed(value: Normal, type: ExpectedType): Normal | undefined {
    if (value.kind !== 'literal' || value.literal.kind !== 'word' || value.used !== undefined)
      return undefined;
    const types = type.kind === 'either' ? type.of : [type];
    if (types.some((each) => WORD_TYPES.has(each.kind))) return undefined;
    return this.#normalizer.letAt(value.literal.word, value.range);
  }

  #fitEither(value: Normal, types: readonly ExpectedType[], type: ExpectedType, path: string): ValueIr {
    const chosen = types.find((each) => suits(value, each));
    if (chosen !== undefined) return this.fit(value, chosen, path);
    return this.#mismatch(value, type, value.used ?? value.range);
  }

  #fitList(value: NormalOf<'list'>, type: Extract<ExpectedType, { kind: 'list' }>, path: string): ValueIr {
    const range = value.used ?? value.range;
    if (value.items.length < type.itemsMin) {
      return this.#wrong(
        'KW2011',
        `expected at least ${type.itemsMin} item: ${describeType(type.of)}; got none`,
        range,
      );
    }
    const items = value.items.map((item, at) => this.fit(item, type.of, `${path}[${at}]`));
    return { kind: 'list', items, range };
  }

  #fitErasure(value: NormalOf<'call'>, path: string): ValueIr {
    const range = value.used ?? value.range;
    const nouns = ERASURE_CODES.get(value.name.text);
    const count = value.items.length;
    if (nouns?.length !== count) {
      const got = `${value.name.text} with ${count} ${count === 1 ? 'number' : 'numbers'}`;
      return this.#wrong('KW1016', `expected rs(k, m) or lrc(k, l, m), got ${got}`, range);
    }
    const numbers = nouns.map(([name, noun], at) =>
      this.fit(value.items[at]!, { kind: 'number', noun, min: 1, max: 254, whole: true }, `${path}.${name}`),
    );
    const amounts = numbers.flatMap((each) => (each.kind === 'number' ? [each.amount] : []));
    if (amounts.length === count) return { ...erasureCode(amounts), range };
    const open = numbers.find((each) => each.kind === 'hole');
    return open?.kind === 'hole' ? { ...open, range } : { kind: 'wrong', range };
  }

  #fitReference(value: Normal, type: Reference, range: SourceRange): ValueIr {
    const name =
      value.kind === 'block'
        ? value.declaration.name.text
        : value.kind === 'literal' && value.literal.kind === 'word'
          ? value.literal.word
          : '';
    const declaration = this.#names.find(name);
    if (declaration?.kind === 'block' && declaration.item.blockKind.text === type.to) {
      if (value.kind === 'literal') this.#names.use(value.range, declaration);
      return { kind: 'reference', to: type.to, name, declared: true, range };
    }
    if (declaration?.kind === 'let') return this.#fitReferenceThroughLet(name, type, range);
    if (declaration === undefined) return this.#undeclared(name, type, range);
    return this.#wrong(
      'KW2005',
      `expected ${describeType(type)}, got \`${name}\`, which is ${describeDeclaration(declaration)}`,
      range,
      this.#nearestBlock(name, type, range),
    );
  }

  #fitReferenceThroughLet(name: string, type: Reference, range: SourceRange): ValueIr {
    const value = this.#normalizer.letAt(name, range)!;
    const isName = value.kind === 'literal' && value.literal.kind === 'word' && value.literal.word !== name;
    if (isName || value.kind === 'wrong' || value.kind === 'block') return this.fit(value, type, name);
    if (value.kind === 'literal' && value.literal.kind === 'hole') return this.fit(value, type, name);
    return this.#mismatch(value, type, range);
  }

  /** Pools may come from the inventory; everything else has to stand in the program. */
  #undeclared(name: string, type: Reference, range: SourceRange): ValueIr {
    if (type.to === 'pool' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      const reference: ReferenceIr = { kind: 'reference', to: 'pool', name, declared: false, range };
      return reference;
    }
    return this.#wrong(
      'KW2002',
      `expected ${describeType(type)}, got \`${name}\`, which nothing declares`,
      range,
      this.#nearestBlock(name, type, range),
    );
  }

  #nearestBlock(name: string, type: Reference, range: SourceRange): DiagnosticExtras {
    const nearest = this.#names.nearest(
      name,
      (each) => each.kind === 'block' && each.item.blockKind.text === type.to,
    );
    if (nearest === undefined) return {};
    return { suggestion: { title: `did you mean \`${nearest}\`?`, replacement: { range, text: nearest } } };
  }

  #listDigestHole(value: ValueIr, path: string, type: ExpectedType): ValueIr {
    return value.kind === 'hole' ? this.hole(value.range, path, describeType(type)) : value;
  }

  #mismatch(value: Normal, type: ExpectedType, range: SourceRange): ValueIr {
    if (value.kind === 'literal') {
      const { literal } = value;
      const written = literal.kind === 'secret' ? undefined : this.#source.slice(value.range);
      const code = mismatchCode(value, type);
      const remedy = remedyOf(value, type, written ?? '');
      return this.#wrong(
        code,
        `expected ${describeType(type)}, got ${describeLiteral(literal)}${written === undefined ? '' : `: ${short(written)}`}`,
        range,
        remedy === undefined || value.used !== undefined
          ? this.#whereFrom(value)
          : { suggestion: { title: `write \`${remedy}\``, replacement: { range, text: remedy } } },
      );
    }
    const got =
      value.kind === 'block'
        ? describeDeclaration(value.declaration)
        : value.kind === 'list'
          ? 'a list'
          : `a call of ${value.kind === 'call' ? value.name.text : ''}`;
    return this.#wrong('KW2006', `expected ${describeType(type)}, got ${got}`, range, this.#whereFrom(value));
  }

  #whereFrom(value: Normal): DiagnosticExtras {
    if (value.letName === undefined) return {};
    return { note: `\`${value.letName}\` is declared in line ${value.range.start.line}.` };
  }

  #wrong(code: DiagnosticCode, message: string, range: SourceRange, extras: DiagnosticExtras = {}): ValueIr {
    this.#report(diagnostic(code, message, { file: this.#source.file, range }, extras));
    return { kind: 'wrong', range };
  }
}

function short(written: string): string {
  return written.length > 60 ? `${written.slice(0, 60)}…` : written;
}

function isMeasured(type: ExpectedType): boolean {
  if (type.kind === 'either') return type.of.some(isMeasured);
  return type.kind === 'quantity' || type.kind === 'number';
}

function mismatchCode(value: NormalOf<'literal'>, type: ExpectedType): DiagnosticCode {
  if (value.literal.kind === 'secret') return 'KW3002';
  const measured = value.literal.kind === 'quantity' || value.literal.kind === 'number';
  return measured && isMeasured(type) ? 'KW2004' : 'KW2006';
}

const TRUTHS: ReadonlyMap<string, string> = new Map([
  ['yes', 'true'],
  ['on', 'true'],
  ['no', 'false'],
  ['off', 'false'],
]);

/** The same value in the form that is due, where it is plain what was meant. */
function remedyOf(value: NormalOf<'literal'>, type: ExpectedType, written: string): string | undefined {
  const { literal } = value;
  if (type.kind === 'either') {
    return type.of.map((each) => remedyOf(value, each, written)).find((each) => each !== undefined);
  }
  if (type.kind === 'boolean' && literal.kind === 'word') return TRUTHS.get(literal.word);
  if (type.kind === 'list' && suits(value, type.of)) return `[${written}]`;
  if (literal.kind === 'number' && type.kind === 'quantity') {
    if (type.dimension === 'count') return `${written}x`;
    if (type.dimension === 'ratio') return `${written}percent`;
    if (type.dimension === 'nines') return `${written}nines`;
  }
  if (literal.kind === 'quantity' && literal.dimension === 'count' && type.kind === 'number')
    return written.slice(0, -1);
  const takesText =
    type.kind === 'text' ||
    type.kind === 'date' ||
    type.kind === 'digest' ||
    (type.kind === 'word' && type.quoted);
  if ((literal.kind === 'word' || literal.kind === 'date') && takesText) return `"${written}"`;
  const takesWord =
    type.kind === 'choice' || type.kind === 'reference' || (type.kind === 'word' && !type.quoted);
  const inner = written.slice(1, -1);
  if (literal.kind === 'text' && takesWord && /^[A-Za-z_][A-Za-z0-9_.]*$/.test(inner)) return inner;
  if (literal.kind === 'text' && type.kind === 'uri' && inner.includes('://')) return inner;
  return undefined;
}
