import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addSimpleSignatures,
  attachBundle,
  newKey,
  OciContent,
  payloadOf,
  signSimply,
  statementBundle,
  statementOf,
} from '../images/oci-content.ts';
import { PASSWORD, TestRegistry, USER } from '../images/registry.ts';
import { mainHere, temporary } from './run.ts';

const directory = temporary('image');
const [release, security, stranger, other] = [newKey(), newKey('Ed25519'), newKey(), newKey()];
const pem = (name: string): string => join(directory, name);
const content = new OciContent();
const image = content.addImage();
const unsigned = content.addImage('unsigned');
const reference = `registry.example/kwam/seed@sha256:${image}`;
const layout = join(directory, 'layout');
let registry: TestRegistry;

beforeAll(async () => {
  for (const [name, key] of Object.entries({ release, security, stranger, other }))
    writeFileSync(pem(`${name}.pem`), key.pem);
  signSimply(content, image, release);
  attachBundle(content, image, statementBundle(security, statementOf(image)));
  attachBundle(content, image, statementBundle(stranger, statementOf(image)));
  content.write(layout);
  registry = await TestRegistry.start();
  registry.push('open/seed', content);
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true });
});

const verify = (...args: string[]) => mainHere(['image', 'verify', ...args]);

describe('image verify', () => {
  it('says who signed, from a layout', async () => {
    const keys = [pem('release.pem'), pem('security.pem')];
    const ended = await verify(reference, '--key', ...keys, '--threshold', '2', '--layout', layout);
    expect([ended.code, ended.stdout]).toEqual([
      0,
      `${reference}\nsigned by release.pem (simple-signing)\nsigned by security.pem (bundle)\n`,
    ]);
    expect(ended.stderr).toContain(
      'does not count: image: expected a signature by release.pem or security.pem',
    );
  });

  it('says who signed, from a registry, as JSON', async () => {
    const there = `${registry.address}/open/seed@sha256:${image}`;
    const ended = await verify(there, '--key', pem('release.pem'), '--json');
    const { schema, image: name, accepted, refused } = JSON.parse(ended.stdout);
    expect([ended.code, schema, name]).toEqual([0, 'kwam.image-verify/v1', there]);
    expect(accepted).toMatchObject([{ key: 'release.pem', format: 'simple-signing' }]);
    expect(refused.map(({ rule }: { rule: string }) => rule)).toEqual(['image-key', 'image-key']);
  });

  it('ends with 5 for what the accepted keys did not sign', async () => {
    const here = ['--layout', layout];
    const ends = [
      await verify(reference.replace(image, unsigned), '--key', pem('release.pem'), ...here),
      await verify(reference, '--key', pem('release.pem'), pem('other.pem'), '--threshold', '2', ...here),
      await verify('registry.example/kwam/seed:v1', '--key', pem('release.pem')),
    ];
    expect(ends.map(({ code, stdout }) => [code, stdout])).toEqual(ends.map(() => [5, '']));
    expect(
      ends.map(({ stderr }) => /expected (a signature|signatures|an image by digest)/.exec(stderr)?.[1]),
    ).toEqual(['a signature', 'signatures', 'an image by digest']);
  });

  it('ends with 4 for damaged bytes, 1 for no image, 2 for no key, 3 for no registry', async () => {
    const damaged = new OciContent();
    const one = damaged.addImage('damaged');
    addSimpleSignatures(damaged, one, [{ payload: payloadOf(one), signature: 'AAAA' }]);
    damaged.blobs.set(one, Buffer.from('{}'));
    damaged.write(join(directory, 'damaged'));
    const key = ['--key', pem('release.pem')];
    const ends = [
      await verify(`a.example/x@sha256:${one}`, ...key, '--layout', join(directory, 'damaged')),
      await verify(`a.example/x@sha256:${'0'.repeat(64)}`, ...key, '--layout', layout),
      await verify(reference, '--key', pem('nothing.pem'), '--layout', layout),
      await verify(`127.0.0.1:1/x@sha256:${image}`, ...key),
      await verify(reference, ...key, '--layout', directory),
    ];
    expect(ends.map(({ code }) => code)).toEqual([4, 1, 2, 3, 5]);
    for (const { stderr } of ends) expect(stderr).toMatch(/expected .+, got .+/);
  });

  it('pulls with a password that is a secret, and takes no plain one', async () => {
    registry.push('basic/seed', content);
    process.env['KWAM_TEST_PASSWORD'] = PASSWORD;
    const there = [`${registry.address}/basic/seed@sha256:${image}`, '--key', pem('release.pem')];
    const right = ['--username', USER, '--password', 'secret://env/KWAM_TEST_PASSWORD'];
    const ends = [
      await verify(...there, ...right),
      await verify(...there),
      await verify(...there, '--username', USER, '--password', PASSWORD),
      await verify(...there, '--username', USER, '--password', 'secret://env/KWAM_TEST_NOTHING'),
    ];
    expect(ends.map(({ code }) => code)).toEqual([0, 5, 2, 3]);
    expect(ends.map(({ stdout, stderr }) => stdout + stderr).join()).not.toContain(PASSWORD);
  });
});
