/** Each way in which a module is not what it should be, with its own fault; and that nothing is believed because of where it lies. */
import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { lockText, readLock, updatedLock } from '../../src/language/lockfile.ts';
import { meaningOf, readModule } from '../../src/language/modules.ts';
import { type LoadOptions, ModuleGraph } from '../../src/language/modules-graph.ts';
import { MODULE_CODES } from '../../src/language/modules-problem.ts';
import { resolverFor } from '../../src/language/modules-resolver.ts';
import { digestOfText, type KeyPair, keyPair, MemoryLibrary, signed, VERSION } from './modules-world.ts';

const NAME = 'acme/domains';
const text = (name: string, parent = 'az'): string =>
  `${VERSION}\nmodule "${name}"\nexport domains d { az { } spine { within az } rack { within ${parent} } }\n`;

let library: MemoryLibrary;
let key: KeyPair;
let stranger: KeyPair;
let digest: string;

beforeEach(async () => {
  library = new MemoryLibrary();
  key = await keyPair('acme', ['acme/']);
  stranger = await keyPair('stranger', ['other/']);
  library.keys.push(key.trusted);
  digest = await library.putSigned(NAME, text(NAME), key.privateKey);
});

async function faultOf(name: string, pin: string | undefined, options: LoadOptions = {}): Promise<string> {
  const outcome = await new ModuleGraph(library, options).load(name, pin);
  return outcome.ok ? 'none' : outcome.problem.fault;
}

const importing = (name: string, imported: string, pin: string): string =>
  `${VERSION}\nmodule "${name}"\nimport "${imported}" as it digest "${pin}"\nexport domains d { az { } }\n`;

describe('a module', () => {
  it('that is in order is taken', async () => {
    expect(await faultOf(NAME, digest)).toBe('none');
  });

  it('without a digest is refused, and the message offers the digest', async () => {
    const outcome = await new ModuleGraph(library).load(NAME, undefined);
    expect(outcome).toMatchObject({
      ok: false,
      problem: { fault: 'importWithoutDigest', code: 'KW3101', digest },
    });
  });

  it('with one domain set changed is not the one that was pinned', async () => {
    library.put(NAME, text(NAME, 'spine'), library.files.get(NAME)!.envelope);
    expect(await faultOf(NAME, digest)).toBe('digestMismatch');
  });

  it('with a changed domain set and the pin changed to match lacks a signature of it', async () => {
    library.put(NAME, text(NAME, 'spine'), library.files.get(NAME)!.envelope);
    expect(await faultOf(NAME, digestOfText(text(NAME, 'spine')))).toBe('changedAfterSigning');
  });

  it('to which an import was re-pointed is not the one that was pinned', async () => {
    await library.putSigned('acme/others', text('acme/others', 'spine'), key.privateKey);
    expect(await faultOf('acme/others', digest)).toBe('digestMismatch');
  });

  it('to which an import was re-pointed is said to be another one, where lock or cache know whose digest it is', async () => {
    const others = await library.putSigned('acme/others', text('acme/others', 'spine'), key.privateKey);
    const messageOf = async (options: LoadOptions = {}): Promise<string> => {
      const outcome = await new ModuleGraph(library, options).load('acme/others', digest);
      return outcome.ok ? 'none' : `${outcome.problem.code} ${outcome.problem.message}`;
    };
    const own = `KW3102 expected "acme/others" with its own digest, got ${digest}, which is that of "${NAME}"`;
    const changed = `KW3102 expected "acme/others" with the digest ${digest}, got ${others}`;
    expect(await messageOf()).toContain(changed);
    expect(await messageOf({ lock: [{ module: NAME, digest, bytes: digest }] })).toContain(own);
    library.cache.set(digest, { ...library.files.get(NAME)!, origin: 'cache' });
    expect(await messageOf()).toContain(own);
    library.files.delete('acme/others');
    expect(await messageOf()).toContain(own);
  });

  it('that was put under a digest of the cache which is not its own was edited, whatever its name', async () => {
    library.cache.set(digest, {
      ...library.files.get(NAME)!,
      origin: 'cache',
      text: text('acme/intruder', 'spine'),
    });
    library.files.delete(NAME);
    expect(await faultOf(NAME, digest)).toBe('cacheEdited');
  });

  it('whose imported module changed is another one itself', async () => {
    const outer = importing('acme/outer', NAME, digest);
    library.put('acme/outer', outer);
    const before = await new ModuleGraph(library).loadRoot('acme/outer');
    expect(before).toMatchObject({ problem: { fault: 'signatureMissing' } });
    const changed = await library.putSigned(NAME, text(NAME, 'spine'), key.privateKey);
    expect(await faultOf('acme/outer', digest)).toBe('digestMismatch');
    library.put('acme/outer', importing('acme/outer', NAME, changed));
    expect(await faultOf('acme/outer', digest)).toBe('digestMismatch');
  });

  it.each([
    ['rack { within pud } pdu { }', 'expected a domain of `d` around `rack`, got `pud` (KW4016)'],
    ['rack { within pdu } pdu { within rack }', 'got a circle: `rack` within `pdu` within `rack` (KW4017)'],
  ])('whose domains are no tree is none, however well it is signed: %s', async (rows, reason) => {
    const odd = `${VERSION}\nmodule "acme/odd"\nexport domains d { ${rows} }\n`;
    const pin = await library.putSigned('acme/odd', odd, key.privateKey);
    const graphs = { pinned: new ModuleGraph(library), present: new ModuleGraph(library) };
    const resolver = await resolverFor('p.kwam', `import "acme/odd" as odd digest "${pin}"`, graphs);
    const answer = resolver.load({ module: 'acme/odd', digest: pin, from: 'p.kwam' });
    expect(answer).toEqual({ problems: [{ code: 'KW3114', message: expect.stringContaining(reason) }] });
  });

  it('that nobody has is not found', async () => {
    expect(await faultOf('acme/none', digest)).toBe('notFound');
  });

  it('that imports itself through another one is a circle', async () => {
    library.put('acme/a', importing('acme/a', 'acme/b', digest));
    library.put('acme/b', importing('acme/b', 'acme/a', digest));
    const outcome = await new ModuleGraph(library).load('acme/a', digest);
    expect(outcome).toMatchObject({
      ok: false,
      problem: { fault: 'cycle', message: expect.stringContaining('acme/a → acme/b → acme/a') },
    });
  });
});

describe('the digest of a module with imports', () => {
  const other = `sha256:${'e'.repeat(64)}`;
  const of = (lines: string, imports: Readonly<Record<string, string>>): string => {
    const read = readModule('m.kwam', `${VERSION}\nmodule "acme/m"\n${lines}`);
    const meaning = read.ok ? meaningOf(read.value, new Map(Object.entries(imports)), digestOf) : read;
    if (!meaning.ok) throw new Error(meaning.problem.message);
    return meaning.value.digest;
  };
  const lines = (alias: string, used = 'd'): string =>
    `import "acme/domains" as ${alias} digest "${digest}"\nuse ${alias}.${used}\nexport domains e { az { within ${alias}.d.az } }`;

  it('does not know aliases', () => {
    expect(of(lines('a'), { a: digest })).toBe(of(lines('b'), { b: digest }));
  });

  it('follows what is behind them, and what is used of it', () => {
    const before = of(lines('a'), { a: digest });
    expect(of(lines('a'), { a: other })).not.toBe(before);
    expect(of(lines('a', 'other'), { a: digest })).not.toBe(before);
    expect(of(lines('a'), { a: digest, b: other })).not.toBe(before);
  });

  it('needs an import for each use', () => {
    expect(() => of('use nothing.d', {})).toThrow('use ALIAS.NAME');
  });
});

describe('modules that share what they import', () => {
  it('are loaded once each, however many paths lead there', async () => {
    let below = [
      await library.putSigned('acme/n0a', text('acme/n0a'), key.privateKey),
      await library.putSigned('acme/n0b', text('acme/n0b'), key.privateKey),
    ];
    for (let level = 1; level <= 24; level++) {
      const next: string[] = [];
      for (const side of ['a', 'b']) {
        const name = `acme/n${level}${side}`;
        const imports = ['a', 'b'].map(
          (each, at) => `import "acme/n${level - 1}${each}" as ${each} digest "${below[at]}"`,
        );
        library.put(
          name,
          `${VERSION}\nmodule "${name}"\n${imports.join('\n')}\nexport domains own { az { } }\n`,
        );
        next.push(await sign(name));
      }
      below = next;
    }
    const graphs = { pinned: new ModuleGraph(library), present: new ModuleGraph(library) };
    const resolver = await resolverFor('p.kwam', `import "acme/n24a" as top digest "${below[0]}"`, graphs);
    const { loaded, problems } = resolver.load({ module: 'acme/n24a', digest: below[0], from: 'p.kwam' });
    expect([loaded?.digest, problems]).toEqual([below[0], []]);
  });

  /** Its digest, with a signature of it put beside. */
  async function sign(name: string): Promise<string> {
    const meaning = await digestUnsigned(name);
    const copy = library.files.get(name)!;
    library.files.set(name, {
      ...copy,
      envelope: await signed(key.privateKey, { module: name, digest: meaning }),
    });
    return meaning;
  }

  async function digestUnsigned(name: string): Promise<string> {
    const open = Object.assign(Object.create(library), { judge: async () => undefined }) as MemoryLibrary;
    const outcome = await new ModuleGraph(open).loadRoot(name);
    if (!outcome.ok) throw new Error(outcome.problem.message);
    return outcome.value.digest;
  }
});

describe('a signature', () => {
  const withEnvelope = (envelope: Uint8Array | undefined): Promise<string> => {
    library.put(NAME, text(NAME), envelope);
    return faultOf(NAME, digest);
  };
  const edited = (
    change: (envelope: { signatures: { sig: string; keyid: string }[]; payload: string }) => void,
  ): Uint8Array => {
    const envelope = JSON.parse(Buffer.from(library.files.get(NAME)!.envelope!).toString());
    change(envelope);
    return Buffer.from(JSON.stringify(envelope));
  };

  it('that is missing', async () => {
    expect(await withEnvelope(undefined)).toBe('signatureMissing');
  });

  it('that was stripped from its envelope', async () => {
    expect(await withEnvelope(edited((envelope) => envelope.signatures.splice(0)))).toBe('signatureStripped');
  });

  it('of another module', async () => {
    await library.putSigned('acme/others', text('acme/others'), key.privateKey);
    expect(await withEnvelope(library.files.get('acme/others')!.envelope)).toBe('signatureOfAnother');
  });

  it('by a key that nobody trusts, whatever keyid it claims', async () => {
    expect(await withEnvelope(await signed(stranger.privateKey, { module: NAME, digest }))).toBe(
      'untrustedKey',
    );
  });

  it('by a key that is trusted for other modules', async () => {
    library.keys.push(stranger.trusted);
    expect(await withEnvelope(await signed(stranger.privateKey, { module: NAME, digest }))).toBe(
      'untrustedKey',
    );
  });

  it('whose payload was changed', async () => {
    const payload = Buffer.from(
      JSON.stringify({ digest, module: 'acme/x', schema: 'kwam.module/v1' }),
    ).toString('base64');
    expect(
      await withEnvelope(
        edited((envelope) => {
          envelope.payload = payload;
        }),
      ),
    ).toBe('untrustedKey');
  });

  it.each([
    ['no envelope', Buffer.from('hello')],
    ['an envelope of something else', Buffer.from('{"signatures":[{}]}')],
    ['nothing', Buffer.alloc(0)],
  ])('that is %s', async (_, envelope) => {
    expect(await withEnvelope(envelope)).toBe('signatureUnreadable');
  });

  it('over a statement with something added', async () => {
    expect(await withEnvelope(await signed(key.privateKey, { module: NAME, digest, also: 1 }))).toBe(
      'signatureUnreadable',
    );
  });

  it('beside one of a stranger still counts', async () => {
    const other = JSON.parse(
      Buffer.from(await signed(stranger.privateKey, { module: NAME, digest })).toString(),
    );
    expect(await withEnvelope(edited((envelope) => envelope.signatures.unshift(other.signatures[0])))).toBe(
      'none',
    );
  });
});

describe('the cache', () => {
  beforeEach(() => {
    library.cache.set(digest, { ...library.files.get(NAME)!, file: 'cache/module.kwam', origin: 'cache' });
  });
  const edit = (changed: string): void => {
    library.cache.set(digest, { ...library.cache.get(digest)!, text: changed });
  };

  it('keeps a program going whose module has a newer version', async () => {
    await library.putSigned(NAME, text(NAME, 'spine'), key.privateKey);
    expect(await faultOf(NAME, digest)).toBe('none');
  });

  it.each([
    ['with another meaning', text(NAME, 'spine')],
    ['with a syntax error', text(NAME).slice(0, -5)],
    ['with another name', text('acme/other')],
    ['cut short', ''],
  ])('%s is refused as edited', async (_, changed) => {
    library.files.clear();
    expect(await faultOf(NAME, digest)).toBe('none');
    edit(changed);
    expect(await faultOf(NAME, digest)).toBe('cacheEdited');
  });

  it('is judged by its signature like anything else', async () => {
    library.files.clear();
    library.cache.set(digest, { ...library.cache.get(digest)!, envelope: undefined });
    expect(await faultOf(NAME, digest)).toBe('signatureMissing');
  });
});

describe('the lock', () => {
  const entry = () => ({ module: NAME, digest, bytes: library.files.get(NAME)!.bytes });

  it('that agrees says nothing', async () => {
    expect(await faultOf(NAME, digest, { lock: [entry()] })).toBe('none');
  });

  it.each([
    ['has other bytes', { bytes: `sha256:${'0'.repeat(64)}` }],
    ['has another digest', { digest: `sha256:${'0'.repeat(64)}` }],
    ['has another module', { module: 'acme/else' }],
  ])('that %s disagrees', async (_, other) => {
    expect(await faultOf(NAME, digest, { lock: [{ ...entry(), ...other }] })).toBe('lockDisagrees');
  });

  it('is one text for one content, and reads back', () => {
    const entries = [entry(), { ...entry(), module: 'acme/a' }];
    const written = lockText(entries);
    expect(lockText([...entries].reverse())).toBe(written);
    expect(written).not.toContain('\r');
    expect(readLock('kwam.lock', written)).toEqual({ ok: true, value: [entries[1], entries[0]] });
  });

  it.each([
    '',
    'null',
    '[]',
    '{}',
    '{"schema":"kwam.lock/v2","modules":[]}',
    '{"schema":"kwam.lock/v1","modules":[{}]}',
    '{"schema":"kwam.lock/v1","modules":[null]}',
  ])('%j is no lock', (written) => {
    expect(readLock('kwam.lock', written)).toMatchObject({ ok: false, problem: { fault: 'lockDisagrees' } });
  });

  it('with an entry twice is no lock', () => {
    expect(readLock('kwam.lock', lockText([entry(), entry()])).ok).toBe(false);
  });

  it('drops what a freeze replaced and keeps what others need', () => {
    const [old, kept, fresh] = ['1', '2', '3'].map((n) => ({
      ...entry(),
      digest: `sha256:${n.repeat(64)}`,
    })) as [ReturnType<typeof entry>, ReturnType<typeof entry>, ReturnType<typeof entry>];
    expect(updatedLock([old, kept], [old], [fresh])).toEqual([kept, fresh]);
  });
});

it('every fault has a code of its own', () => {
  expect(new Set(Object.values(MODULE_CODES)).size).toBe(Object.keys(MODULE_CODES).length);
});

describe('the resolver', () => {
  const answer = async (line: string) => {
    const graphs = { pinned: new ModuleGraph(library), present: new ModuleGraph(library) };
    const program = `${VERSION}\n${line}\n`;
    const resolver = await resolverFor('p.kwam', program, graphs);
    const pin = /digest "(sha256:[0-9a-f]{64})"/.exec(line)?.[1];
    return resolver.load({ module: NAME, digest: pin, from: 'p.kwam' });
  };

  it('gives the names of a good import', async () => {
    const { loaded, problems } = await answer(`import "${NAME}" as m digest "${digest}"`);
    expect(problems).toEqual([]);
    expect(loaded?.digest).toBe(digest);
    expect(loaded?.program.blocks.map((block) => [block.kind, block.name])).toEqual([['domains', 'd']]);
  });

  it.each([
    ['no pin', `import "${NAME}" as m`, ['KW3101']],
    ['a hole', `import "${NAME}" as m digest "sha256:1c0ffee…"`, []],
    ['another hole', `import "${NAME}" as m digest …`, []],
    ['a pin of the wrong length', `import "${NAME}" as m digest "sha256:1c0ffee"`, ['KW3102']],
    ['a wrong pin', `import "${NAME}" as m digest "sha256:${'0'.repeat(64)}"`, ['KW3102']],
  ])('with %s still knows the names', async (_, line, codes) => {
    const { loaded, problems } = await answer(line);
    expect(problems.map((each) => each.code)).toEqual(codes);
    expect(loaded?.program.blocks).toHaveLength(1);
  });

  it('gives no names of a module that nobody vouches for', async () => {
    library.put(NAME, text(NAME));
    const { loaded, problems } = await answer(`import "${NAME}" as m digest "${digest}"`);
    expect([loaded, problems.map((each) => each.code)]).toEqual([undefined, ['KW3104']]);
  });

  it('refuses a module with an attribute that does not exist', async () => {
    const bad = `${VERSION}\nmodule "${NAME}"\nexport domains d { az { inside spine } }\n`;
    const pin = await library.putSigned(NAME, bad, key.privateKey);
    const { problems } = await answer(`import "${NAME}" as m digest "${pin}"`);
    expect(problems[0]).toMatchObject({ code: 'KW3114', message: expect.stringContaining('inside') });
  });
});
