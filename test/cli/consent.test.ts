/** From request to a token that the seed would redeem, over real files, with keys that are made here. */
import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseEnvelope } from '../../src/manifest/dsse.ts';
import { type ConsentToken, parseConsentToken } from '../../src/rollout/consent-token.ts';
import { mainHere, runJson, temporary } from './run.ts';

const ROOT = temporary('consent');
const EXAMPLE = join(import.meta.dirname, '../../examples/h100.kwam');
const PROGRAM = join(ROOT, 'h100.kwam');
const key = (name: string): string => join(ROOT, 'private', `${name}.pem`);
const file = (name: string): string => join(ROOT, name);
const read = (name: string): Uint8Array => fs.readFileSync(file(name));

const request = (name: string, ...more: string[]) =>
  mainHere([
    ...['consent', 'request', PROGRAM, '--deploy', 'rollout_h100', '--requester', 'Nina Frei'],
    ...['-o', file(name), ...more],
  ]);
const sign = (name: string, by: string, ...more: string[]) =>
  mainHere(['consent', 'sign', file(name), '--key', key(by), ...more]);
const show = async (name: string, program = PROGRAM) => {
  const ended = await mainHere(['consent', 'show', file(name), '--program', program, '--json']);
  return { code: ended.code, judged: JSON.parse(ended.stdout).judged };
};

beforeAll(() => {
  for (const directory of ['keys', 'private']) fs.mkdirSync(file(directory));
  fs.copyFileSync(EXAMPLE, PROGRAM);
  for (const name of ['acme-prod', 'acme-ops', 'stranger']) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    fs.writeFileSync(key(name), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    fs.writeFileSync(file(`keys/${name}.pem`), publicKey.export({ type: 'spki', format: 'pem' }));
  }
});

afterAll(() => fs.rmSync(ROOT, { recursive: true }));

describe('check --token', () => {
  const check = (name: string, program = PROGRAM) => mainHere(['check', program, '--token', file(name)]);

  it('accepts a scope that the token covers, and shows what a wider one covers beyond it', async () => {
    expect((await request('scope.json')).code).toBe(0);
    expect((await check('scope.json')).code).toBe(0);
    const wider = file('wider.kwam');
    fs.writeFileSync(
      wider,
      fs.readFileSync(PROGRAM, 'utf8').replace('scope fleet.h100_pool', 'scope fleet.h100_*'),
    );
    const { code, stdout } = await check('scope.json', wider);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /error KW5003: expected a scope within the token's `fleet\.h100_pool`, got `fleet\.h100_\*`: it also covers `fleet\.h100_\S*`, which the token does not/,
    );
  });

  it('refuses a token for another program and a file that is none, without a stack', async () => {
    const other = file('other.kwam');
    fs.writeFileSync(other, fs.readFileSync(PROGRAM, 'utf8').replace('deploy rollout_h100', 'deploy other'));
    const { code, stderr } = await check('scope.json', other);
    expect([code, stderr]).toEqual([2, expect.stringContaining('(`other`), got one for rollout_h100')]);
    expect((await check('keys/acme-ops.pem')).stderr).toMatch(
      /^kwam-dp: consent: expected a token [^\n]*\n$/,
    );
  });
});

describe('consent', () => {
  it('goes from desk to desk until nothing is missing', async () => {
    expect(await request('t1.json')).toMatchObject({ code: 0 });
    const asked = read('t1.json');
    expect(parseConsentToken(asked)).toMatchObject({
      audience: 'spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed',
      capabilities: ['deploy'],
      resource: 'fleet.h100_pool',
      deploy: 'rollout_h100',
      pool: 'h100_pool',
      requester: 'Nina Frei',
      program: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(await show('t1.json')).toMatchObject({ code: 1, judged: { missing: { rule: 'key-unknown' } } });

    expect(await sign('t1.json', 'acme-prod')).toMatchObject({ code: 0 });
    expect(parseEnvelope(read('t1.json')).payload).toEqual(new Uint8Array(asked));
    const half = await show('t1.json');
    expect(half).toMatchObject({ code: 1, judged: { missing: { rule: 'approver-missing' } } });
    expect(half.judged.approvals.counted).toEqual([{ key: 'acme-prod', person: 'Ada Steiner' }]);

    const { signatures } = await runJson<{ signatures: number }>([
      ...['consent', 'sign', file('t1.json'), '--key', key('acme-ops')],
    ]);
    expect(signatures).toBe(2);
    expect(parseEnvelope(read('t1.json')).payload).toEqual(new Uint8Array(asked));
    expect(await show('t1.json')).toMatchObject({ code: 0, judged: { missing: null } });
    const { stdout } = await mainHere(['consent', 'show', file('t1.json'), '--program', PROGRAM]);
    expect(stdout).toMatch(
      /signed +Reto Keller with acme-ops\nmissing +nothing: the seed may redeem it, once/,
    );
  });

  it('prints the request when it is told no file, in the bytes that are signed', async () => {
    const { stdout } = await mainHere([
      ...['consent', 'request', PROGRAM, '--deploy', 'rollout_h100', '--requester', 'Nina Frei'],
      ...['--valid', '30m', '--resource', 'fleet.*', '--capability', 'quarantine', 'deploy'],
    ]);
    const token: ConsentToken = parseConsentToken(new TextEncoder().encode(stdout));
    expect(token).toMatchObject({ resource: 'fleet.*', capabilities: ['deploy', 'quarantine'] });
    expect(Date.parse(token.expiresAt) - Date.parse(token.issuedAt)).toBe(30 * 60_000);
  });

  it('does not count a stranger, a second signature of one key, or the requester', async () => {
    await request('t2.json');
    await sign('t2.json', 'acme-prod');
    const twice = await sign('t2.json', 'acme-prod');
    expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining('has not signed yet') });
    await sign('t2.json', 'stranger');
    expect(await show('t2.json')).toMatchObject({
      code: 1,
      judged: { missing: { rule: 'approver-missing' }, approvals: { strangers: 1 } },
    });
    await request('t3.json', '--requester', 'Reto Keller');
    for (const by of ['acme-prod', 'acme-ops']) await sign('t3.json', by);
    expect(await show('t3.json')).toMatchObject({ judged: { missing: { rule: 'requester-approves' } } });
  });

  it('is bound to the program as it was: a change of meaning needs a new token', async () => {
    await request('t4.json');
    for (const by of ['acme-prod', 'acme-ops']) await sign('t4.json', by);
    const text = fs.readFileSync(PROGRAM, 'utf8');
    const changed = file('changed.kwam');
    fs.writeFileSync(changed, text.replace('bake 10m', 'bake 1m'));
    expect(await show('t4.json', changed)).toMatchObject({ judged: { missing: { rule: 'program' } } });
    fs.writeFileSync(changed, text.replace('bake 10m', 'bake 600s # as before'));
    expect(await show('t4.json', changed)).toMatchObject({ code: 0 });
    const narrow = text.replace('scope fleet.h100_pool ', 'scope fleet.** ');
    fs.writeFileSync(changed, narrow);
    await request('t5.json');
    fs.writeFileSync(changed, narrow);
    const wide = await show('t5.json', changed);
    expect(wide.judged.missing.rule).toBe('program');
  });

  it.each([
    [
      ['request', PROGRAM, '--deploy', 'nothing', '--requester', 'Nina Frei'],
      2,
      /expected a deploy of .+rollout_h100/,
    ],
    [['request', PROGRAM, '--deploy', 'rollout_h100', '--requester', ' '], 5, /the name of a person/],
    [
      ['request', PROGRAM, '--deploy', 'rollout_h100', '--requester', 'N', '--valid', '25h'],
      5,
      /at most 24 hours/,
    ],
    [
      ['request', PROGRAM, '--deploy', 'rollout_h100', '--requester', 'N', '--capability', 'root'],
      2,
      /--capability/,
    ],
    [['request', PROGRAM, '--deploy', 'rollout_h100'], 2, /--requester/],
    [['request', join(ROOT, 'keys/acme-ops.pem'), '--deploy', 'a', '--requester', 'N'], 5, /kwam-dp check/],
    [['sign', join(ROOT, 'nowhere.json'), '--key', 'x'], 2, /ENOENT/],
    [['sign', PROGRAM, '--key', 'x'], 5, /canonical JSON/],
    [['show', join(ROOT, 'keys/acme-ops.pem')], 5, /canonical JSON/],
  ])('%j ends with %i and a clear message', async (args, code, message) => {
    const ended = await mainHere(['consent', ...args]);
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).not.toMatch(/\n\s+at /);
    expect(ended.code).toBe(code);
  });

  it('refuses a key that is no private key, and a token that is over', async () => {
    await request('t6.json', '--valid', '1s');
    const noKey = await mainHere(['consent', 'sign', file('t6.json'), '--key', file('keys/acme-ops.pem')]);
    expect(noKey).toMatchObject({ code: 2, stderr: expect.stringContaining('a private key in PEM') });
    const token = parseConsentToken(read('t6.json'));
    const early = { ...token, issuedAt: '2026-01-01T00:00:00.000Z', notBefore: '2026-01-01T00:00:00.000Z' };
    const old = { ...early, expiresAt: '2026-01-01T01:00:00.000Z' };
    fs.writeFileSync(file('old.json'), JSON.stringify(old));
    expect(await sign('old.json', 'acme-prod')).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('expired at 2026-01-01T01:00:00.000Z'),
    });
  });

  it('finds trusted keys where secrets are kept', async () => {
    const program = file('secret.kwam');
    const text = fs.readFileSync(EXAMPLE, 'utf8');
    fs.writeFileSync(
      program,
      text.replace('"keys/acme-ops.pem"', `secret://file${file('keys/acme-ops.pem')}`),
    );
    await request('t-secret.json');
    await sign('t-secret.json', 'acme-prod');
    await sign('t-secret.json', 'acme-ops');
    const { judged } = await show('t-secret.json', program);
    expect(judged.approvals.counted).toHaveLength(2);
    fs.writeFileSync(program, text.replace('"keys/acme-ops.pem"', 'secret://env/KWAM_TEST_NOTHING'));
    const ended = await mainHere(['consent', 'show', file('t-secret.json'), '--program', program]);
    expect([ended.code, ended.stderr]).toEqual([
      3,
      expect.stringContaining('secret://env/KWAM_TEST_NOTHING: expected the environment variable'),
    ]);
  });
});
