/**
 * One string out of what a place holds. In: a text or a map of fields, and the field that the reference names. Out: the secret.
 * Errors list the names of fields, which are no secrets; never a value.
 */
import { KwamError } from '../errors.ts';
import { parseStrictJson } from '../manifest/strict-json.ts';
import type { SecretPlace } from './place.ts';
import { refuse } from './refusal.ts';
import { Secret } from './secret.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Of a secret with a single field, that one; else `value`, the name that `vault kv put PATH value=…` examples use. */
const USUAL_FIELD = 'value';

export function secretOfText(place: SecretPlace, text: string): Secret {
  if (place.field === undefined) return nonEmpty(place, text);
  return secretOfFields(place, fieldsOf(place, text));
}

export function secretOfFields(place: SecretPlace, fields: Fields): Secret {
  const names = Object.keys(fields);
  const name = place.field ?? (names.length === 1 ? names[0]! : USUAL_FIELD);
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (typeof value === 'string') return nonEmpty(place, value);
  return refuse({
    rule: 'secret-field',
    uri: place.uri,
    expected: `a text in the field ${name}`,
    actual: value === undefined ? `the fields ${names.join(', ') || 'none'}` : `${typeof value} there`,
    remedy: 'name one of its fields after a #',
  });
}

function fieldsOf(place: SecretPlace, text: string): Fields {
  const value = strictJson(place, text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  return refuseText(place);
}

/** The parser's own words could quote the text. */
function strictJson(place: SecretPlace, text: string): unknown {
  try {
    const document = { what: place.uri, code: 'SECRET_UNREADABLE', rule: 'secret-field' } as const;
    return parseStrictJson(Buffer.from(text), document);
  } catch (error) {
    if (error instanceof KwamError) return refuseText(place);
    throw error;
  }
}

function refuseText(place: SecretPlace): never {
  return refuse({
    rule: 'secret-field',
    uri: place.uri,
    expected: `a JSON object with the field ${place.field}`,
    actual: 'a text that is none',
    remedy: 'leave the #FIELD out, or keep a JSON object there',
  });
}

function nonEmpty(place: SecretPlace, text: string): Secret {
  if (text !== '') return new Secret(text);
  return refuse({
    rule: 'secret-missing',
    uri: place.uri,
    expected: 'a secret',
    actual: 'an empty text',
    remedy: 'put it there',
  });
}
