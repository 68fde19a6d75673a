/**
 * A module file on its own: the standard ones are right, and what an import would refuse is said where it is written.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { faultdomains, versioned } from './front.ts';
import { TABLES } from './standard-tables.ts';

const folder = new URL('../../std/', import.meta.url);
const standard = readdirSync(folder).filter((name) => name.endsWith('.kwam'));

const checked = (text: string) =>
  compile('module.kwam', text, { modules: faultdomains(), context: { tables: TABLES } });
const saidOf = (text: string) => {
  const { source, diagnostics } = checked(versioned(text));
  return diagnostics.map(({ code, range }) => `${code} ${source.slice(range)}`);
};

test.each(standard)('%s has nothing wrong with it', (name) => {
  expect(checked(readFileSync(new URL(name, folder), 'utf8')).diagnostics).toEqual([]);
});

test('four standard modules are looked at', () => {
  expect(standard.length).toBe(4);
});

describe('a module', () => {
  const rack = 'export domains site { rack { } }';
  test.each<[string, string, readonly string[]]>([
    ['has a name with a slash', `module "acme"\n${rack}`, ['KW3114 "acme"']],
    ['exports each block', 'module "acme/x"\ndomains site { rack { } }', ['KW3114 site']],
    [
      'exports no secret',
      'module "acme/x"\nlet ca = secret://vault/x/y\nexport policy p { … ca ${ca} }',
      ['KW1901 …', 'KW3110 ${ca}'],
    ],
    [
      'std/ names no secret',
      `module "std/x"\nlet ca = secret://vault/x/y\n${rack}`,
      ['KW3110 secret://vault/x/y'],
    ],
    [
      'std/ reads no file',
      'module "std/x"\nexport pool p { inventory "fleet.json" }',
      ['KW3111 "fleet.json"'],
    ],
    ['has typed tables', 'module "acme/x"\nexport sandboxes s { cell { strength 1x } }', ['KW2004 1x']],
    ['has no other blocks', 'module "acme/x"\nexport sandbox s { }', ['KW2007 sandbox']],
  ])('%s', (_, text, said) => {
    expect(saidOf(text)).toEqual(said);
  });

  test('the blocks of modules belong to no program', () => {
    expect(saidOf('sandboxes s { cell { strength 1 } }')).toEqual(['KW2017 sandboxes']);
  });
});
