/**
 * What an atom of the text says by its form alone, before any type is expected of it.
 * In: a written atom. Out: a literal, or a problem with code and remedy. Pure; knows no names and no schema.
 */
import { literalCharactersMax, numberCharactersMax } from '../limits.ts';
import type { DiagnosticCode } from './diagnostic.ts';
import { nearestName } from './nearest-name.ts';
import { type Dimension, decimal, multiply, type Rational, UNITS } from './quantity.ts';
import { SecretReference } from './secret.ts';
import type { WrittenAtom } from './written.ts';

export interface TextPart {
  /** Plain text, or the inside of a `${…}`. */
  readonly kind: 'plain' | 'path';
  readonly text: string;
  /** Offset of `text` from the atom's start, for `path`. */
  readonly at: number;
}

export interface Problem {
  readonly kind: 'problem';
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly note?: string;
  /** What to write instead of the whole atom. */
  readonly instead?: string;
  /** The part of the atom that is wrong, where it is not all of it: an offset from its start, and a length. */
  readonly part?: { readonly at: number; readonly length: number };
}

export type Literal =
  | { readonly kind: 'text'; readonly parts: readonly TextPart[] }
  | { readonly kind: 'number'; readonly exact: Rational }
  | { readonly kind: 'quantity'; readonly dimension: Dimension; readonly exact: Rational }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'word'; readonly word: string }
  | { readonly kind: 'host'; readonly host: string; readonly port?: number }
  | { readonly kind: 'cidr'; readonly address: string; readonly prefixLength: number }
  | { readonly kind: 'date'; readonly date: string }
  | { readonly kind: 'uri'; readonly scheme: string; readonly uri: string }
  | { readonly kind: 'secret'; readonly secret: SecretReference }
  | { readonly kind: 'interpolation'; readonly path: string }
  | { readonly kind: 'hole' }
  /** A string that its line does not close: the parser has said so. */
  | { readonly kind: 'unreadable' }
  | Problem;

export type ReadLiteral = Exclude<Literal, { readonly kind: 'problem' | 'unreadable' }>;

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\', $: '$' };
const PATH = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

function problem(
  code: DiagnosticCode,
  message: string,
  extras: Pick<Problem, 'note' | 'instead' | 'part'> = {},
): Problem {
  return { kind: 'problem', code, message, ...extras };
}

function unescaped(text: string): string | undefined {
  const escaped = text[1] ?? '';
  if (escaped !== 'u') return ESCAPES[escaped];
  const digits = /^\\u\{([0-9a-fA-F]{1,6})\}$/.exec(text)?.[1];
  const point = Number.parseInt(digits ?? '', 16);
  const isScalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
  return isScalar ? String.fromCodePoint(point) : undefined;
}

/** Plain runs, escapes and `${…}`; a lone `$` is itself. */
const TEXT_PIECE = /\\u\{[^}"]*\}|\\[\s\S]|\$\{[^}]*\}?|\$|[^\\$]+/g;

function textOf(written: string): Literal {
  if (/^"secret:\/\//i.test(written)) return quotedSecret(written);
  const parts: TextPart[] = [];
  for (const { 0: piece, index } of written.slice(1, -1).matchAll(TEXT_PIECE)) {
    const at = index + 1;
    if (piece.startsWith('${')) {
      const path = piece.slice(2, -1).trim();
      if (!piece.endsWith('}') || !PATH.test(path)) return badPath(piece, at);
      parts.push({ kind: 'path', text: path, at: at + piece.indexOf(path) });
    } else if (piece.startsWith('\\')) {
      const plain = unescaped(piece);
      if (plain === undefined) return badEscape(piece, at);
      parts.push({ kind: 'plain', text: plain, at });
    } else {
      parts.push({ kind: 'plain', text: piece, at });
    }
  }
  return { kind: 'text', parts };
}

/** In quotes it would be a text like any other, which is read, hashed and printed. */
function quotedSecret(written: string): Problem {
  const bare = written.slice(1, -1);
  return problem('KW3001', 'expected a secret without quotes, got a string that names one', {
    note: 'A string is read, hashed and printed; a secret is opaque until it is used.',
    ...(uriOf(bare).kind === 'secret' ? { instead: bare } : {}),
  });
}

function badEscape(piece: string, at: number): Problem {
  return problem('KW1013', `expected an escape that exists, got \`${piece}\``, {
    part: { at, length: piece.length },
    note: 'There are \\" \\\\ \\$ \\n \\t \\r and \\u{…} with the code point in hexadecimal.',
  });
}

function badPath(piece: string, at = 0): Problem {
  return problem('KW1008', `expected a name in \`\${…}\`, got \`${piece.slice(0, 40)}\``, {
    part: { at, length: piece.length },
    note: `Only names stand there, such as \${fanout}; arithmetic does not exist. A plain \${ is written \\\${.`,
  });
}

const QUANTITY = /^([+-]?[0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$/;
const IPV4 = /^([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(?:\/([0-9]{1,2})|:([0-9]{1,5}))?$/;
const IPV6_CIDR = /^([0-9A-Fa-f:]*:[0-9A-Fa-f:]*)\/([0-9]{1,3})$/;
const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;

function quantityOf(digits: string, unit: string): Literal {
  const exact = decimal(digits.replace('+', ''));
  if (unit === '') return { kind: 'number', exact };
  const known = UNITS.get(unit);
  if (known !== undefined)
    return { kind: 'quantity', dimension: known.dimension, exact: multiply(exact, known.factor) };
  const nearest = UNITS.has(unit.toLowerCase()) ? unit.toLowerCase() : nearestName(unit, UNITS.keys());
  return problem('KW2003', `expected a unit such as mb, m, x, nines, percent or gbps, got \`${unit}\``, {
    ...(nearest === undefined ? {} : { instead: `${digits}${nearest}` }),
  });
}

function addressOf(address: string, prefix: string | undefined, port: string | undefined): Literal {
  if (address.split('.').some((octet) => Number(octet) > 255)) {
    return problem('KW1008', `expected an address with four numbers up to 255, got \`${address}\``);
  }
  if (prefix !== undefined) return cidrOf(address, Number(prefix), 32);
  return { kind: 'host', host: address, ...(port === undefined ? {} : { port: Number(port) }) };
}

function cidrOf(address: string, prefixLength: number, bits: number): Literal {
  if (prefixLength > bits) {
    return problem('KW1008', `expected a prefix length of at most ${bits}, got ${prefixLength}`);
  }
  return { kind: 'cidr', address, prefixLength };
}

/** The space in `10 m` has been reported where the tokens were joined. */
function numberOf(written: string): Literal {
  const text = written.replace(/\s+/, '');
  if (text.length > numberCharactersMax) {
    return problem(
      'KW1011',
      `expected a number of at most ${numberCharactersMax} characters, got ${text.length}`,
    );
  }
  const [, digits, unit] = QUANTITY.exec(text) ?? [];
  if (digits !== undefined) return quantityOf(digits, unit ?? '');
  const [, address, prefix, port] = IPV4.exec(text) ?? [];
  if (address !== undefined) return addressOf(address, prefix, port);
  const [, address6, prefix6] = IPV6_CIDR.exec(text) ?? [];
  if (address6 !== undefined) return cidrOf(address6, Number(prefix6), 128);
  if (DATE.test(text)) return { kind: 'date', date: text };
  return problem('KW1008', `expected a number, a quantity, an address or a network, got \`${text}\``);
}

function uriOf(uri: string): Literal {
  const scheme = uri.slice(0, uri.indexOf(':')).toLowerCase();
  if (scheme !== 'secret') return { kind: 'uri', scheme, uri };
  if (/^secret:\/\/[A-Za-z0-9_-]+\/[A-Za-z0-9_./-]+(#[A-Za-z0-9_.-]+)?(\?version=[0-9]+)?$/.test(uri)) {
    return { kind: 'secret', secret: new SecretReference(uri) };
  }
  return problem(
    'KW1008',
    'expected a secret as secret://PROVIDER/PATH, with #FIELD or ?version=N if need be',
  );
}

function interpolationOf(text: string): Literal {
  const path = text.slice(2, -1).trim();
  return PATH.test(path) ? { kind: 'interpolation', path } : badPath(text);
}

/** The form's meaning; limits first, so that nothing is computed of a huge literal. */
export function literalOf({ form, text }: WrittenAtom): Literal {
  if (text.length > literalCharactersMax) {
    return problem(
      'KW1011',
      `expected a value of at most ${literalCharactersMax} characters, got ${text.length}`,
    );
  }
  switch (form) {
    case 'text':
      return textOf(text);
    case 'open-text':
      return { kind: 'unreadable' };
    case 'bare-text':
      return problem('KW1017', `expected a value, got \`${text.slice(0, 60)}\` without quotes`, {
        note: 'Paths, digests and images are strings.',
        instead: `"${text}"`,
      });
    case 'number':
      return numberOf(text);
    case 'uri':
      return uriOf(text);
    case 'interpolation':
      return interpolationOf(text);
    case 'hole':
      return { kind: 'hole' };
    case 'word':
      if (text === 'true' || text === 'false') return { kind: 'boolean', value: text === 'true' };
      return { kind: 'word', word: text };
  }
}

/** A text without interpolation, for places that allow none. */
export function plainText(atom: WrittenAtom): string | undefined {
  const literal = literalOf(atom);
  if (literal.kind !== 'text' || literal.parts.some((part) => part.kind === 'path')) return undefined;
  return literal.parts.map((part) => part.text).join('');
}
