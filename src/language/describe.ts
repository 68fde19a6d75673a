/**
 * Types and literals in words, for messages, holes and hover.
 */
import type { Literal } from './literals.ts';
import { DIMENSION_WORDS } from './quantity.ts';
import type { AttributeRow, ExpectedType } from './schema-types.ts';

function joined(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
}

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`);

/** One value of a type, as it is written; undefined where none can be made up: names, words, digests. */
export function exampleOf(type: ExpectedType): string | undefined {
  switch (type.kind) {
    case 'text':
    case 'uri':
    case 'word':
      return type.example;
    case 'quantity':
      return DIMENSION_WORDS[type.dimension].example;
    case 'number':
      return String(type.min);
    case 'boolean':
      return 'true';
    case 'secret':
      return 'secret://vault/kwam/mtls-ca';
    case 'scope':
      return 'fleet.h100_pool';
    case 'cidr':
      return '10.40.0.0/16';
    case 'host':
      return 'seed.internal:7400';
    case 'erasure':
      return 'rs(6, 3)';
    case 'date':
      return '"2026-05-01"';
    default:
      return undefined;
  }
}

/** "a duration such as 10m" */
export function describeType(type: ExpectedType): string {
  switch (type.kind) {
    case 'text':
    case 'uri':
      return `${type.noun} such as ${exampleOf(type)}`;
    case 'number':
      return type.noun;
    case 'boolean':
      return '`true` or `false`';
    case 'quantity':
      return `${DIMENSION_WORDS[type.dimension].noun} such as ${exampleOf(type)}`;
    case 'choice':
      return joined(type.words.map((word) => `\`${word}\``));
    case 'word':
      return `${article(type.vocabulary)} such as ${exampleOf(type)}`;
    case 'reference':
      return `the name of ${article(type.to)}`;
    case 'secret':
      return `a secret such as ${exampleOf(type)}`;
    case 'scope':
      return `a resource pattern such as ${exampleOf(type)}`;
    case 'cidr':
      return `a network such as ${exampleOf(type)}`;
    case 'host':
      return `a host or host:port such as ${exampleOf(type)}`;
    case 'digest':
      return 'a digest: "sha256:" and 64 hexadecimal digits';
    case 'erasure':
      return `an erasure code such as ${exampleOf(type)}`;
    case 'date':
      return `a date such as ${exampleOf(type)}`;
    case 'list':
      return `a list, each item ${describeType(type.of)}`;
    case 'either':
      return joined(type.of.map(describeType));
  }
}

/** What is due for an attribute: its type, or the form of its body. */
export function describeAttribute({ name, type, body }: AttributeRow): string {
  if (type !== undefined) return describeType(type);
  if (body?.kind === 'record') {
    const required = body.attributes.filter((each) => each.required).map((each) => each.name);
    return `\`${name} { ${[...required.map((each) => `${each} …`), ...(required.length === 0 ? ['…'] : [])].join(' ')} }\``;
  }
  if (body === undefined) return `\`${name}\``;
  const { keyNoun, entry } = body;
  return `\`${name} { … }\`, each entry named by ${keyNoun}${entry.type === undefined ? '' : `, with ${describeType(entry.type)}`}`;
}

/** "a size" */
export function describeLiteral(literal: Literal): string {
  switch (literal.kind) {
    case 'quantity':
      return DIMENSION_WORDS[literal.dimension].noun;
    case 'number':
      return 'a number without a unit';
    case 'text':
      return 'a string';
    case 'boolean':
      return 'a truth value';
    case 'word':
      return 'a word';
    case 'host':
      return 'an address';
    case 'cidr':
      return 'a network';
    case 'date':
      return 'a date without quotes';
    case 'uri':
      return 'a URI';
    case 'secret':
      return 'a secret';
    case 'interpolation':
      return 'a reference';
    case 'hole':
      return 'a hole';
    case 'problem':
    case 'unreadable':
      return 'something unreadable';
  }
}
