/** What a module means, and that its digest follows the meaning and nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/cli/domain-digest.ts';
import { format } from '../../src/language/format.ts';
import { importsOf, isModuleName, MODULE_DOMAIN, readModule } from '../../src/language/modules.ts';
import { frozenText } from '../../src/language/modules-freeze.ts';
import { standardTables } from '../../src/language/modules-tables.ts';
import { parse } from '../../src/language/parse.ts';
import { digestOfText, VERSION } from './modules-world.ts';

const STD = join(import.meta.dirname, '../../std');
const runs = process.env['KWAM_CAMPAIGN'] === '1' ? 20_000 : 300;

const domains = (body: string): string => `${VERSION}\nmodule "acme/domains"\nexport domains d { ${body} }\n`;
const BASE = 'az { } spine { within az } rack { within spine }';

describe('the digest of a module', () => {
  it('is SHA-256 over the domain and canonical JSON, as written down', () => {
    const meaning = {
      exports: {
        d: {
          body: { az: { body: {} }, rack: { body: { within: { value: { kind: 'word', word: 'az' } } } } },
          kind: 'domains',
        },
      },
      imports: [],
      uses: [],
    };
    expect(digestOfText(domains('az { } rack { within az }'))).toBe(digestOf(MODULE_DOMAIN, meaning));
    // Made with Python: hashlib.sha256(b"kwam.dev/module/v1\0" + json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode())
    expect(digestOf(MODULE_DOMAIN, meaning)).toBe(
      'sha256:986f978bf4167b9a484b807fcc511a1d1330b44f46645b617570ec3c582ad248',
    );
  });

  it.each([
    ['another order of attributes', 'rack { within spine } az { } spine { within az }'],
    ['comments and layout', '# a\n az {} # b\n\n  spine\n{ within\taz } rack { within # c\n spine }'],
  ])('stays with %s', (_, body) => {
    expect(digestOfText(domains(body))).toBe(digestOfText(domains(BASE)));
  });

  it.each([
    ['another parent', 'az { } spine { within az } rack { within az }'],
    ['one domain more', `${BASE} pdu { within az }`],
    ['one domain fewer', 'az { } spine { within az }'],
    ['another name', 'az { } spine { within az } shelf { within spine }'],
  ])('changes with %s', (_, body) => {
    expect(digestOfText(domains(body))).not.toBe(digestOfText(domains(BASE)));
  });

  it('sees through lets, units and spellings of numbers', () => {
    const of = (lets: string, value: string): string =>
      digestOfText(
        `${VERSION}\nmodule "acme/t"\n${lets}\nexport interconnects list { e { latency ${value} } }`,
      );
    expect(of('let t = 60m', '${t}')).toBe(of('', '1h'));
    expect(of('', '1.50s')).toBe(of('', '1500ms'));
    expect(of('let unused = 3', '1h')).toBe(of('', '1h'));
    expect(of('let t = 61m', '${t}')).not.toBe(of('', '1h'));
    expect(of('', '1h')).not.toBe(of('', '"1h"'));
  });
});

interface Tree {
  readonly name: string;
  readonly value: string;
}
const word = fc
  .stringMatching(/^[a-z][a-z0-9_]{0,8}$/)
  .filter(
    (text) => !['as', 'digest', 'let', 'use', 'import', 'export', 'module', 'true', 'false'].includes(text),
  );
const value = fc.oneof(
  word,
  fc.integer({ min: 0, max: 10 ** 6 }).map((amount) => `${amount}ms`),
  fc.integer({ min: 0, max: 10 ** 6 }).map(String),
  fc.array(word, { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
  fc.stringMatching(/^[ -~]{0,12}$/).map((text) => JSON.stringify(text).replaceAll('$', '\\$')),
);
const trees = fc.uniqueArray(fc.record({ name: word, value }), {
  minLength: 1,
  maxLength: 8,
  selector: (tree) => tree.name,
});
const gap = fc.constantFrom(' ', '\n', '\t', ' # a comment { "\n', '\r\n', '\n\n  ');

function written(tree: readonly Tree[], space: () => string): string {
  const rows = tree.map(
    ({ name, value: text }) => `${name}${space()}{${space()}v${space()}${text}${space()}}`,
  );
  return `${VERSION}\nmodule "acme/p"\nexport domains p${space()}{${space()}${rows.join(space())}${space()}}\n`;
}

describe('for any module', () => {
  it('layout, comments and order of attributes do not change the digest', () => {
    fc.assert(
      fc.property(trees, fc.infiniteStream(gap), fc.integer(), (tree, gaps, turn) => {
        const at = Math.abs(turn) % tree.length;
        const turned = [...tree.slice(at), ...tree.slice(0, at)];
        const text = written(turned, () => gaps.next().value as string);
        expect(digestOfText(text)).toBe(digestOfText(written(tree, () => ' ')));
      }),
      { numRuns: runs },
    );
  });

  it('any change of a value or a name changes the digest', () => {
    fc.assert(
      fc.property(trees, value, word, fc.nat(), fc.boolean(), (tree, other, name, which, renames) => {
        const at = which % tree.length;
        const old = tree[at]!;
        fc.pre(renames ? tree.every((each) => each.name !== name) : other !== old.value);
        const changed = tree.map((each, i) =>
          i !== at ? each : renames ? { ...each, name } : { ...each, value: other },
        );
        expect(digestOfText(written(changed, () => ' '))).not.toBe(digestOfText(written(tree, () => ' ')));
      }),
      { numRuns: runs },
    );
  });
});

describe('a module text', () => {
  const reasonOf = (text: string, name?: string) => {
    const read = readModule('m.kwam', text, name);
    return read.ok ? 'fine' : `${read.problem.fault}: ${read.problem.message}`;
  };

  it.each([
    ['no module line', `${VERSION}\nexport domains d { az { } }`, undefined, /^notAModule.*one line such as/],
    ['two module lines', `${VERSION}\nmodule "a/b"\nmodule "a/c"`, undefined, /^notAModule/],
    [
      'another name than asked for',
      domains(BASE),
      'acme/other',
      /^notAModule.*"acme\/other".*"acme\/domains"/,
    ],
    ['a name that climbs', `${VERSION}\nmodule "../etc/passwd"`, undefined, /^notAModule/],
    ['a syntax error', domains('az { '), undefined, /^notAModule/],
    [
      'a secret in std',
      `${VERSION}\nmodule "std/x"\nlet ca = secret://vault/kwam/ca`,
      undefined,
      /^readsSecret.*line 3/,
    ],
    [
      'a secret deep in std',
      `${VERSION}\nmodule "std/x"\nexport policy p { trusted_keys { a [secret://vault/a] } }`,
      undefined,
      /^readsSecret/,
    ],
    [
      'a file by URI in std',
      `${VERSION}\nmodule "std/x"\nlet at = file:///etc/hosts`,
      undefined,
      /^readsFile/,
    ],
    [
      'a PEM path in std',
      `${VERSION}\nmodule "std/x"\nexport policy p { ca "keys/ca.pem" }`,
      undefined,
      /^readsFile.*keys\/ca\.pem/,
    ],
    [
      'an inventory in std',
      `${VERSION}\nmodule "std/x"\nexport pool p { inventory "fleet.json" }`,
      undefined,
      /^readsFile/,
    ],
    [
      'a token path in std',
      `${VERSION}\nmodule "std/x"\nexport deploy d { consent { grant_ref "t.json" } }`,
      undefined,
      /^readsFile/,
    ],
    [
      'std on something else',
      `${VERSION}\nmodule "std/x"\nimport "acme/y" as y digest "sha256:${'0'.repeat(64)}"`,
      undefined,
      /^importsBeyondStd/,
    ],
    ['an ordinary one', domains(BASE), 'acme/domains', /^fine$/],
    [
      'a path outside std',
      `${VERSION}\nmodule "acme/x"\nexport policy p { ca "keys/ca.pem" }`,
      undefined,
      /^fine$/,
    ],
  ])('with %s', (_, text, name, reason) => {
    expect(reasonOf(text, name)).toMatch(reason);
  });

  it.each([
    ['a hole', 'rack …', 'hole'],
    ['an omission', '…', 'hole'],
    ['an unknown name', 'rack { within ${nowhere} }', 'nowhere'],
    ['an attribute twice', 'rack { } rack { }', 'once'],
    ['a secret', 'rack { within secret://vault/a }', 'without secrets'],
  ])('with %s has no meaning', (_, body, message) => {
    expect(() => digestOfText(domains(body))).toThrow(message);
  });

  it('without export has none either', () => {
    expect(() => digestOfText(`${VERSION}\nmodule "acme/x"\ndomains d { az { } }`)).toThrow(
      'export domains d',
    );
  });

  it('takes the name __proto__ as a name', () => {
    expect(digestOfText(domains('"__proto__" { }'))).not.toBe(digestOfText(domains('')));
  });
});

it.each([
  ['std/faultdomains', true],
  ['acme/eu/domains-2', true],
  ['std', false],
  ['/std/x', false],
  ['std/../x', false],
  ['std/x.kwam', false],
  ['Std/x', false],
  [`a/${'x'.repeat(300)}`, false],
])('module name %s: %s', (name, expected) => {
  expect(isModuleName(name)).toBe(expected);
});

describe('freezing a text', () => {
  it('writes digests where they belong and changes nothing else', () => {
    const text = `${VERSION} # v\nimport "a/b" as x # one\nimport "c/d" as y digest "sha256:1c0ffee…" # two\nimport "e/f" as z digest … # three\nuse x.y\n`;
    const pins = importsOf(parse('p.kwam', text).program);
    const digest = (n: number): string => `sha256:${String(n).repeat(64)}`;
    const after = frozenText(
      text,
      pins.map((pin, i) => ({ pin, digest: digest(i + 1) })),
    );
    expect(after).toBe(
      `${VERSION} # v\nimport "a/b" as x digest "${digest(1)}" # one\nimport "c/d" as y digest "${digest(2)}" # two\nimport "e/f" as z digest "${digest(3)}" # three\nuse x.y\n`,
    );
    expect(importsOf(parse('p.kwam', after).program).map((pin) => pin.digest)).toEqual([1, 2, 3].map(digest));
  });
});

describe('std/', () => {
  it('has tables that agree with each other and with the language', async () => {
    const { openLibrary } = await import('../../src/cli/module-loading.ts');
    const { ModuleGraph } = await import('../../src/language/modules-graph.ts');
    const graph = new ModuleGraph(await openLibrary({ environment: {}, standard: STD }));
    const exportsOf = async (name: string) => {
      const found = await graph.loadRoot(name);
      if (!found.ok) throw new Error(found.problem.message);
      return found.value.exports;
    };
    const made = standardTables({
      hardware: await exportsOf('std/hardware'),
      interconnects: await exportsOf('std/interconnects'),
      sandbox: await exportsOf('std/sandbox'),
    });
    if (!made.ok) throw new Error(made.problem.message);
    const { hardware, interconnects, sandboxes } = made.value;
    expect([...hardware.keys()].sort()).toEqual(['cpu', 'h100', 'h200', 'tpu', 'trainium']);
    // The three signals of the tour have a source on every hardware: portability rests on it.
    for (const { signals } of hardware.values()) {
      for (const signal of ['dcgm.gpu_health', 'nvml.xid_errors', 'nccl.comm_status'])
        expect(signals.get(signal)).toMatch(/\w{4}/);
    }
    for (const { interconnects: fitting } of hardware.values())
      for (const name of fitting) expect(interconnects.has(name)).toBe(true);
    // Farther is never quicker, nor wider.
    for (const { links } of interconnects.values()) {
      const order = [links.node, links.rack, links.spine, links.az, links.beyond];
      for (let i = 1; i < order.length; i++) {
        expect(order[i]!.latencyMs).toBeGreaterThanOrEqual(order[i - 1]!.latencyMs);
        expect(order[i]!.bitsPerSecond).toBeLessThanOrEqual(order[i - 1]!.bitsPerSecond);
      }
    }
    expect(
      [...sandboxes].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name),
    ).toEqual(['none', 'seccomp', 'runc', 'gvisor', 'firecracker', 'kata']);
    expect(sandboxes.get('kata')).toBe(sandboxes.get('firecracker'));
  });

  it('is written as fmt writes it', () => {
    for (const name of readdirSync(STD).filter((file) => file.endsWith('.kwam'))) {
      const written = readFileSync(join(STD, name), 'utf8');
      expect(format(name, written).text, name).toBe(written);
    }
  });

  it('holds no private key', () => {
    for (const name of readdirSync(STD))
      expect(readFileSync(join(STD, name), 'latin1')).not.toContain('PRIVATE KEY');
  });
});
