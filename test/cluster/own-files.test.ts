/** A node neither reads nor writes its own files for anybody, by whatever name they are called. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkNotIntoOwn, checkNotOwn } from '../../src/cluster/own-files.ts';

const root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'kwam-own-')));
const at = (path: string): string => join(root, path);
const own = ['identity', 'n1', 'not there yet'].map(at);
const refused = expect.objectContaining({
  code: 'PERMISSION_DENIED',
  context: expect.objectContaining({ rule: 'own-files' }),
});

beforeAll(() => {
  for (const path of ['identity', 'n1/packs', 'input', 'identity-of-others']) {
    fs.mkdirSync(at(path), { recursive: true });
  }
  fs.writeFileSync(at('identity/ca.key'), 'a key');
  fs.symlinkSync(at('identity'), at('input/link'));
  fs.symlinkSync(root, at('input/root'));
});
afterAll(() => fs.rmSync(root, { recursive: true }));

describe('a tree', () => {
  it.each(['input', 'identity-of-others', 'nothing'])('%s is read', (path) => checkNotOwn(own, at(path)));

  it.each([
    'identity',
    'identity/ca.key',
    'identity/../n1/packs',
    'input/link/ca.key',
    'input/root/identity',
    '',
    '..',
    'not there yet',
  ])('%j is not', (path) => {
    expect(() => checkNotOwn(own, at(path))).toThrow(refused);
  });
});

describe('a destination', () => {
  it.each(['restored', 'input/new', '', 'identity.old'])('%j is written', (path) =>
    checkNotIntoOwn(own, at(path)),
  );

  it.each(['identity/retired.pem', 'input/link/retired.pem', 'n1', 'not there yet/x/y'])(
    '%j is not',
    (path) => {
      expect(() => checkNotIntoOwn(own, at(path))).toThrow(refused);
    },
  );
});

it('the root of the file system has everything in it', () => {
  expect(() => checkNotOwn(own, '/')).toThrow(refused);
  expect(() => checkNotIntoOwn(['/'], at('x'))).toThrow(refused);
});
