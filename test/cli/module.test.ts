/** The module commands and real files: std/ of the package, copies that are tampered with, the cache, kwam.lock. */
import { generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { lockBeside, modulesOf } from '../../src/cli/module-loading.ts';
import { parse } from '../../src/language/parse.ts';
import { resolve } from '../../src/language/resolve.ts';
import { mainHere, runHere, temporary } from './run.ts';

const ROOT = temporary('module');
const STD = join(import.meta.dirname, '../../std');
const TOUR = `apiVersion "kwam.dev/v0.2" # the version
import "std/faultdomains" as fd # pinned, signed
use fd.h100
replicate data { factor 3 anti_affinity [rack, az] } # copies
`;
const kept = { cache: process.env['XDG_CACHE_HOME'], config: process.env['XDG_CONFIG_HOME'] };
let count = 0;
let directory: string;
let std: string;
let program: string;

const at = (...names: string[]): string => join(directory, ...names);
const text = (path: string): string => fs.readFileSync(path, 'utf8');
const edit = (path: string, from: string, to: string): void => {
  expect(text(path)).toContain(from);
  fs.writeFileSync(path, text(path).replace(from, to));
};

beforeEach(() => {
  directory = join(ROOT, String(count++));
  std = at('std');
  program = at('tour.kwam');
  fs.cpSync(STD, std, { recursive: true });
  fs.writeFileSync(program, TOUR);
  process.env['XDG_CACHE_HOME'] = at('cache');
  process.env['XDG_CONFIG_HOME'] = at('config');
});

afterAll(() => {
  for (const [name, value] of [
    ['XDG_CACHE_HOME', kept.cache],
    ['XDG_CONFIG_HOME', kept.config],
  ] as const) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  fs.rmSync(ROOT, { recursive: true });
});

const freeze = (...more: string[]) => mainHere(['module', 'freeze', program, '--std', std, ...more]);
const documentOf = async (args: readonly string[]) => JSON.parse((await runHere([...args, '--json'])).stdout);

/** Codes of what the compiler says about the program's imports. */
async function codes(): Promise<string[]> {
  const { modules } = await modulesOf(program, text(program), { environment: process.env, standard: std });
  return resolve(parse(program, text(program)), modules).diagnostics.map((each) => each.code);
}

function newKey(name: string): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  fs.writeFileSync(at(name), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return at(name);
}

const cached = (): string => {
  const [entry] = fs.readdirSync(at('cache/kwam/modules'));
  return at('cache/kwam/modules', entry!, 'module.kwam');
};

describe('std/ of the package', () => {
  it('is signed by the key of its trust store', async () => {
    const { ok, modules } = await documentOf(['module', 'verify']);
    expect(ok).toBe(true);
    expect(modules.map((each: { module: string }) => each.module)).toEqual([
      'std/faultdomains',
      'std/hardware',
      'std/interconnects',
      'std/sandbox',
    ]);
  });

  it('gives the rules their tables', async () => {
    const { tables } = await modulesOf(program, TOUR, { environment: process.env });
    expect(tables.hardware.get('tpu')?.interconnects).toEqual(['ici+dcn', 'ethernet']);
    expect(tables.sandboxes.get('gvisor')).toBe(3);
  });
});

describe('freeze', () => {
  it('pins, keeps comments, writes kwam.lock and the cache; again, it changes nothing', async () => {
    expect(await codes()).toEqual(['KW3101']);
    expect((await freeze()).code).toBe(0);
    const { digest } = await documentOf(['module', 'digest', join(STD, 'faultdomains.kwam')]);
    expect(text(program)).toBe(TOUR.replace('as fd', `as fd digest "${digest}"`));
    expect(lockBeside(program)).toMatchObject([{ module: 'std/faultdomains', digest }]);
    expect(text(cached())).toBe(text(join(STD, 'faultdomains.kwam')));
    expect(await codes()).toEqual([]);
    const before = [text(program), text(at('kwam.lock'))];
    expect((await freeze()).stdout).toContain('as it was');
    expect([text(program), text(at('kwam.lock'))]).toEqual(before);
  });

  it('fills a hole and says so in JSON', async () => {
    edit(program, 'as fd', 'as fd digest "sha256:1c0ffee…"');
    const made = await documentOf(['module', 'freeze', program, '--std', std]);
    expect(made).toMatchObject({
      schema: 'kwam.module-freeze/v1',
      imports: [{ module: 'std/faultdomains', before: null }],
    });
    expect(text(program)).toContain(`digest "${made.imports[0].digest}" # pinned, signed`);
  });

  it('refuses a program that does not parse and leaves it alone', async () => {
    fs.appendFileSync(program, '}}}');
    const before = text(program);
    const { code, stderr } = await freeze();
    expect([code, text(program)]).toEqual([2, before]);
    expect(stderr).toMatch(/tour\.kwam:5:1: KW1\d{3}/);
  });

  it('pins anew only when asked, once the change is signed', async () => {
    await freeze();
    const before = text(program);
    fs.rmSync(at('cache'), { recursive: true });
    edit(join(std, 'faultdomains.kwam'), 'spine { within az }', 'spine { }');
    expect((await freeze('--update')).stderr).toContain('KW3108');
    const sign = ['module', 'sign', join(std, 'faultdomains.kwam'), '--key', newKey('new.pem'), '--std', std];
    const { publicKey } = await documentOf(sign);
    const trust = { schema: 'kwam.module-trust/v1', keys: [{ name: 'new', modules: ['std/'], publicKey }] };
    fs.writeFileSync(at('trust.json'), JSON.stringify(trust));
    const refused = await freeze('--trust', at('trust.json'));
    expect([refused.code, text(program)]).toEqual([5, before]);
    expect(refused.stderr).toContain('KW3102');
    expect((await freeze('--trust', at('trust.json'), '--update')).stdout).toContain('pinned anew');
    expect(text(program)).not.toBe(before);
    expect(lockBeside(program)).toHaveLength(1);
  });
});

describe('a frozen program is refused', () => {
  beforeEach(async () => {
    expect((await freeze()).code).toBe(0);
    expect(await codes()).toEqual([]);
  });
  const withoutCache = (): void => fs.rmSync(at('cache'), { recursive: true });
  const file = (): string => join(std, 'faultdomains.kwam');
  const lockAnotherDigest = (): void => {
    const [entry] = lockBeside(program)!;
    edit(at('kwam.lock'), entry!.digest, `sha256:${'1'.repeat(64)}`);
  };

  it.each([
    ['KW3102', 'a domain set changed', () => edit(file(), 'rack { within pdu }', 'rack { within az }')],
    ['KW3102', 'its import was re-pointed', () => edit(program, 'std/faultdomains', 'std/sandbox')],
    ['KW3104', 'the signature is gone', () => fs.rmSync(`${file()}.sig`)],
    [
      'KW3105',
      'the signature was stripped',
      () =>
        fs.writeFileSync(
          `${file()}.sig`,
          JSON.stringify({ ...JSON.parse(text(`${file()}.sig`)), signatures: [] }),
        ),
    ],
    [
      'KW3106',
      "another module's signature lies there",
      () => fs.copyFileSync(join(std, 'sandbox.kwam.sig'), `${file()}.sig`),
    ],
    ['KW3112', 'a comment changed, which the lock tells', () => fs.appendFileSync(file(), '# hello\n')],
    ['KW3112', 'the lock names another digest', lockAnotherDigest],
    [
      'KW3112',
      'the lock forgot it',
      () => fs.writeFileSync(at('kwam.lock'), '{"schema":"kwam.lock/v1","modules":[]}'),
    ],
    ['KW3113', 'the module is gone', () => fs.rmSync(file())],
    ['KW3110', 'it reads a secret', () => fs.appendFileSync(file(), 'let ca = secret://vault/kwam/ca\n')],
    ['KW3111', 'it reads a file', () => fs.appendFileSync(file(), 'export policy p { ca "keys/ca.pem" }\n')],
  ])('%s when %s', async (code, _, damage) => {
    withoutCache();
    damage();
    expect(await codes()).toContain(code);
  });

  it('KW3107 when the key is not trusted any more', async () => {
    const trust = JSON.parse(text(join(std, 'trust.json')));
    trust.keys[0].publicKey = generateKeyPairSync('ed25519').publicKey.export({
      type: 'spki',
      format: 'pem',
    });
    const other = at('other-std');
    fs.cpSync(std, other, { recursive: true });
    fs.writeFileSync(join(other, 'trust.json'), JSON.stringify(trust));
    const { code, stderr } = await mainHere(['module', 'freeze', program, '--std', other]);
    expect([code, stderr]).toEqual([5, expect.stringContaining('KW3107')]);
  });

  it('KW3103 when the cache was edited, on every read', async () => {
    edit(file(), 'rack { within pdu }', 'rack { within az }');
    expect(await codes()).toEqual([]);
    edit(cached(), 'rack { within pdu }', 'rack { within az }');
    expect(await codes()).toContain('KW3103');
    expect(await codes()).toContain('KW3103');
  });

  it('and goes on with the cache when an upgrade brought another version', async () => {
    edit(file(), 'rack { within pdu }', 'rack { within az }');
    expect(await codes()).toEqual([]);
  });
});

describe("an organisation's module", () => {
  const MODULE =
    'apiVersion "kwam.dev/v0.2"\nmodule "acme/domains"\nexport domains d { az { } rack { within az } }\n';

  beforeEach(() => {
    fs.mkdirSync(at('modules/acme'), { recursive: true });
    fs.writeFileSync(at('modules/acme/domains.kwam'), MODULE);
    edit(program, 'std/faultdomains', 'acme/domains');
    edit(program, 'fd.h100', 'fd.d');
  });
  const sign = (key: string) => documentOf(['module', 'sign', at('modules/acme/domains.kwam'), '--key', key]);
  const trust = (publicKey: string, modules: string[]): void => {
    fs.mkdirSync(at('config/kwam'), { recursive: true });
    const keys = [{ name: 'acme', modules, publicKey }];
    fs.writeFileSync(at('config/kwam/trust.json'), JSON.stringify({ schema: 'kwam.module-trust/v1', keys }));
  };

  it.each(['ed25519', 'P-256'])(
    'signed with %s is frozen from a directory, then found in the cache',
    async (kind) => {
      const pair =
        kind === 'P-256'
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : generateKeyPairSync('ed25519');
      fs.writeFileSync(at('key.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
      const { publicKey } = await sign(at('key.pem'));
      expect((await freeze('--from', at('modules'))).stderr).toContain('KW3107');
      trust(publicKey, ['acme/']);
      expect((await freeze('--from', at('modules'))).code).toBe(0);
      fs.rmSync(at('modules'), { recursive: true });
      expect(await codes()).toEqual([]);
      fs.rmSync(at('cache'), { recursive: true });
      expect(await codes()).toContain('KW3113');
    },
  );

  it('is neither signed nor pinned while its domains are no tree', async () => {
    edit(at('modules/acme/domains.kwam'), 'within az', 'within rack');
    const key = newKey('key.pem');
    const signing = ['module', 'sign', at('modules/acme/domains.kwam'), '--key', key];
    expect(await mainHere(signing)).toMatchObject({ code: 5, stderr: expect.stringContaining('(KW4017)') });
    expect(fs.existsSync(at('modules/acme/domains.kwam.sig'))).toBe(false);
    expect((await freeze('--from', at('modules'))).code).toBe(5);
    expect(text(program)).toContain('as fd #');
  });

  it('signed by a key for other modules is refused by verify, with exit code 5', async () => {
    const { publicKey } = await sign(newKey('key.pem'));
    trust(publicKey, ['acme/other']);
    const { code, stdout, stderr } = await mainHere([
      'module',
      'verify',
      at('modules/acme/domains.kwam'),
      '--json',
    ]);
    expect([code, stderr]).toEqual([5, '']);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, modules: [{ problem: { code: 'KW3107' } }] });
  });

  it.each([
    ['no such key', () => at('none.pem'), 'no such file'],
    [
      'a public key',
      () => {
        fs.writeFileSync(
          at('public.pem'),
          generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }),
        );
        return at('public.pem');
      },
      'private key in PEM',
    ],
    [
      'a key of another kind',
      () => {
        fs.writeFileSync(
          at('rsa.pem'),
          generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
        );
        return at('rsa.pem');
      },
      'Ed25519 or ECDSA P-256',
    ],
  ])('is not signed with %s', async (_, key, message) => {
    const { code, stderr } = await mainHere([
      'module',
      'sign',
      at('modules/acme/domains.kwam'),
      '--key',
      key(),
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(fs.existsSync(at('modules/acme/domains.kwam.sig'))).toBe(false);
  });

  it('never prints or writes the private key', async () => {
    const key = newKey('key.pem');
    const { stdout, stderr } = await mainHere([
      'module',
      'sign',
      at('modules/acme/domains.kwam'),
      '--key',
      key,
    ]);
    const secret = text(key).split('\n')[1]!;
    expect(stdout + stderr + text(at('modules/acme/domains.kwam.sig'))).not.toContain(secret);
  });

  it('with bytes that are no UTF-8 is refused', async () => {
    fs.writeFileSync(at('modules/acme/domains.kwam'), Buffer.from([0x23, 0xff, 0x0a]));
    expect((await mainHere(['module', 'digest', at('modules/acme/domains.kwam')])).stderr).toContain('UTF-8');
  });
});

describe('a trust store', () => {
  const PEM = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const row = { name: 'acme', modules: ['acme/'], publicKey: PEM };
  const verifiedWith = (store: object) => {
    fs.writeFileSync(at('trust.json'), JSON.stringify({ schema: 'kwam.module-trust/v1', ...store }));
    return mainHere(['module', 'verify', '--trust', at('trust.json')]);
  };

  it.each([
    ['of another version', { schema: 'kwam.module-trust/v2', keys: [row] }],
    ['without keys', {}],
    ['with a misspelt end of a key', { keys: [{ ...row, notafter: '2027-01-01T00:00:00Z' }] }],
    ['with a revocation that is a text', { keys: [{ ...row, revoked: 'true' }] }],
    ['with an end that is a number', { keys: [{ ...row, notAfter: 1 }] }],
    ['with a threshold of none', { keys: [row], threshold: 0 }],
    ['with a misspelt threshold', { keys: [row], treshold: 2 }],
    ['with a key for no module', { keys: [{ ...row, modules: [] }] }],
    ['with a pattern for modules', { keys: [{ ...row, modules: ['*'] }] }],
    ['with a key that is none', { keys: [{ ...row, publicKey: 'ssh-ed25519 AAAA' }] }],
  ])('%s is refused', async (_, store) => {
    const { code, stderr } = await verifiedWith(store);
    expect([code, stderr]).toEqual([3, expect.stringMatching(/expected .+trust\.json|trust\.json, key/)]);
  });

  it('with an end that is no time is refused, and does not stand for ever', async () => {
    const { code, stderr } = await verifiedWith({ keys: [{ ...row, notAfter: 'next year' }] });
    expect([code, stderr]).toEqual([3, expect.stringContaining('expected notAfter of a key as a time')]);
  });

  it('may revoke a key of the package', async () => {
    const { keys } = JSON.parse(text(join(STD, 'trust.json')));
    const mine = { ...keys[0], name: 'not for me', revoked: true };
    const { code, stderr } = await verifiedWith({ keys: [mine] });
    expect([code, stderr]).toEqual([5, expect.stringContaining('which was revoked')]);
  });

  it('with a threshold wants that many signatures, which sign --add puts together', async () => {
    const module = at('acme.kwam');
    fs.writeFileSync(
      module,
      'apiVersion "kwam.dev/v0.2"\nmodule "acme/d"\nexport domains d { az { } rack { within az } }\n',
    );
    const sign = (key: string, ...more: string[]) =>
      documentOf(['module', 'sign', module, '--key', key, ...more]);
    const made = [await sign(newKey('a.pem')), await sign(newKey('b.pem'), '--add')];
    const keys = made.map(({ publicKey }, index) => ({ name: `k${index}`, modules: ['acme/'], publicKey }));
    const store = { schema: 'kwam.module-trust/v1', keys, threshold: 2 };
    fs.writeFileSync(at('trust.json'), JSON.stringify(store));
    const verify = ['module', 'verify', module, '--trust', at('trust.json')];
    expect((await mainHere(verify)).code).toBe(0);
    await sign(at('b.pem'));
    const { code, stderr } = await mainHere(verify);
    expect([code, stderr]).toEqual([5, expect.stringContaining('2 distinct keys, got 1 (k1)')]);
    edit(module, 'rack', 'row');
    const stale = await mainHere(['module', 'sign', module, '--key', at('a.pem'), '--add']);
    expect([stale.code, stale.stderr]).toEqual([5, expect.stringContaining('those of another content')]);
  });
});
