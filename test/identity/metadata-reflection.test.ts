/** The three functions that a dependency of a dependency needs: there after loading, and those of a real polyfill are kept. */
import { expect, it, vi } from 'vitest';

type Reflection = Record<'getMetadata' | 'getOwnMetadata' | 'defineMetadata', unknown>;
const reflect = Reflect as unknown as Partial<Reflection>;

async function loaded(before: Partial<Reflection>): Promise<Partial<Reflection>> {
  for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata'] as const) delete reflect[name];
  Object.assign(reflect, before);
  vi.resetModules();
  await import('../../src/identity/metadata-reflection.ts');
  return reflect;
}

it('what is defined on a class is found there, under its key', async () => {
  const { defineMetadata, getMetadata, getOwnMetadata } = (await loaded({})) as Record<
    string,
    CallableFunction
  >;
  const [one, other] = [class {}, class {}];
  defineMetadata!('a', 1, one);
  defineMetadata!('b', 2, one);
  for (const get of [getMetadata!, getOwnMetadata!])
    expect([get('a', one), get('b', one), get('a', other), get('c', one)]).toEqual([
      1,
      2,
      undefined,
      undefined,
    ]);
});

it('a polyfill that is loaded already stays', async () => {
  const polyfill = { getMetadata: () => 'theirs' };
  expect(await loaded(polyfill)).toMatchObject(polyfill);
  expect(reflect.defineMetadata).toBeUndefined();
});
