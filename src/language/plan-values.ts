/**
 * Values of a program without errors, as the Plan has them: plain JSON in base units.
 * In: a body and an attribute's name. Out: the value. That a required attribute is there and right has been checked before; here its absence is
 * a bug. A secret becomes its reference, which is all that a plan may know of it.
 */
import { assert } from '../errors.ts';
import type { KeyReference } from '../plan.ts';
import { attributeOf, bodyOf, itemsOf, type ValueOf, valueIn } from './access.ts';
import type { BodyIr, CidrIr, HostIr, ValueIr } from './ir.ts';
import { secretLocation } from './secret.ts';

function required<T>(value: T | undefined, name: string): T {
  assert(value !== undefined, `the checked attribute ${name} has a value`);
  return value;
}

function needed<K extends ValueIr['kind']>(body: BodyIr, name: string, kind: K): ValueOf<K> {
  return required(valueIn(body, name, kind), name);
}

export function wordOf(body: BodyIr, name: string): string {
  return needed(body, name, 'word').word;
}

export function textOf(body: BodyIr, name: string): string {
  return needed(body, name, 'text').text;
}

/** In bytes, milliseconds, bits a second, nines or times; plain for a number. */
export function amountOf(body: BodyIr, name: string): number {
  return required(amountIn(body, name), name);
}

export function amountIn(body: BodyIr, name: string): number | undefined {
  return (valueIn(body, name, 'quantity') ?? valueIn(body, name, 'number'))?.amount;
}

export function referenceOf(body: BodyIr, name: string): string {
  return needed(body, name, 'reference').name;
}

export function wordsOf(body: BodyIr, name: string): readonly string[] {
  return itemsOf(body, name, 'word').map(({ word }) => word);
}

export function innerBody(body: BodyIr, name: string): BodyIr {
  return required(bodyOf(body, name), name);
}

/** A text, a URI or a host, whichever the program gives. */
export function plainTextIn(body: BodyIr, name: string): string | undefined {
  const value = attributeOf(body, name)?.value;
  if (value?.kind === 'text') return value.text;
  if (value?.kind === 'uri') return value.uri;
  return value?.kind === 'host' ? hostText(value) : undefined;
}

export function plainTextOf(body: BodyIr, name: string): string {
  return required(plainTextIn(body, name), name);
}

export function hostText({ host, port }: HostIr): string {
  return port === undefined ? host : `${host}:${port}`;
}

export function cidrText({ address, prefixLength }: CidrIr): string {
  return `${address}/${prefixLength}`;
}

export function keyOf(value: ValueIr | undefined, name: string): KeyReference {
  if (value?.kind === 'secret') return { secret: secretLocation(value.secret) };
  assert(value?.kind === 'text', `the checked key ${name} is a path or a secret`);
  return { pem: value.text };
}

/** `{ [key]: value }`, or nothing to spread when there is no value. */
export function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}
