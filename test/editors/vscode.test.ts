/**
 * The extension of VS Code as it is installed: the vsix is built, unpacked and loaded, and starts the real server.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serverCommand } from '../../editors/vscode/src/server-command.mts';
import { UNITS } from '../../src/language/quantity.ts';
import { BLOCKS } from '../../src/language/schema.ts';
import type { BodyRow } from '../../src/language/schema-types.ts';
import { FakeEditor, type Shown } from './fake-vscode.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const VSIX = join(ROOT, 'build/kwam.vsix');
const H100 = fs.readFileSync(join(ROOT, 'examples/h100.kwam'), 'utf8');

let work: string;
let files: Record<string, Uint8Array>;
const pathBefore = process.env['PATH'];

function buildVsix(env: Readonly<Record<string, string>> = {}): Buffer {
  execFileSync(process.execPath, [join(ROOT, 'scripts/package-vscode.mjs')], {
    stdio: 'pipe',
    env: { ...process.env, ...env },
  });
  return fs.readFileSync(VSIX);
}

const textOf = (name: string): string => new TextDecoder().decode(files[name]);

beforeAll(() => {
  work = fs.mkdtempSync(join(tmpdir(), 'kwam-vscode-'));
  files = unzipSync(buildVsix());
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(work, name)), { recursive: true });
    fs.writeFileSync(join(work, name), content);
  }
  // The extension runs `node`; here it is the one that runs the tests.
  process.env['PATH'] = `${dirname(process.execPath)}${delimiter}${pathBefore}`;
});

afterAll(() => {
  process.env['PATH'] = pathBefore;
  fs.rmSync(work, { recursive: true, force: true });
});

describe('the vsix', () => {
  test('has the manifest, the code, and what the manifest names', () => {
    const manifest = JSON.parse(textOf('extension/package.json'));
    const { languages, grammars } = manifest.contributes;
    const named = [manifest.main, languages[0].configuration, grammars[0].path].map((path: string) =>
      join('extension', path),
    );
    const others = [
      'extension.vsixmanifest',
      '[Content_Types].xml',
      'extension/package.json',
      'extension/README.md',
      'extension/LICENSE.txt',
      'extension/THIRD-PARTY.txt',
    ];
    expect(Object.keys(files).sort()).toEqual([...named, ...others].sort());
    for (const name of named.slice(1)) expect(() => JSON.parse(textOf(name))).not.toThrow();
  });

  test('says the same of itself in both manifests', () => {
    const { name, version, publisher, engines } = JSON.parse(textOf('extension/package.json'));
    const xml = textOf('extension.vsixmanifest');
    expect(xml).toContain(`Id="${name}" Version="${version}" Publisher="${publisher}"`);
    expect(xml).toContain(`Id="Microsoft.VisualStudio.Code.Engine" Value="${engines.vscode}"`);
    const assets = [...xml.matchAll(/ Path="([^"]*)"/g)].map(([, path]) => path!);
    expect(assets.length).toBe(3);
    for (const path of assets) expect(files[path], path).toBeDefined();
    const types = [...textOf('[Content_Types].xml').matchAll(/Extension="(\.[a-z]+)"/g)].map(
      ([, type]) => type,
    );
    for (const path of Object.keys(files))
      expect(path === '[Content_Types].xml' || types.includes(path.slice(path.lastIndexOf('.'))), path).toBe(
        true,
      );
  });

  test('has the version of kwam-dp, its notice, and the licences of what is bundled', () => {
    const { version } = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(JSON.parse(textOf('extension/package.json')).version).toBe(version);
    expect(textOf('extension/LICENSE.txt')).toBe(fs.readFileSync(join(ROOT, 'NOTICE'), 'utf8'));
    for (const name of ['vscode-languageclient', 'vscode-jsonrpc', 'semver', 'minimatch']) {
      expect(textOf('extension/THIRD-PARTY.txt')).toMatch(new RegExp(`^${name} [0-9.]+, `, 'm'));
    }
  });

  test('is the same bytes each time, wherever it is built', () => {
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect(digest(buildVsix({ TZ: 'Asia/Tokyo' }))).toBe(digest(buildVsix({ TZ: 'America/Lima' })));
  });
});

describe('the grammar', () => {
  interface Rule {
    readonly match?: string;
    readonly begin?: string;
    readonly end?: string;
    readonly patterns?: readonly Rule[];
    readonly include?: string;
  }
  const rules = (): Record<string, Rule> =>
    JSON.parse(textOf('extension/syntaxes/kwam.tmLanguage.json')).repository;
  const listIn = (pattern: string): string[] => {
    const lists = [...pattern.matchAll(/\(([A-Za-z0-9_]+(?:\|[A-Za-z0-9_]+)+)\)/g)].map(([, list]) =>
      list!.split('|'),
    );
    return lists.sort((left, right) => right.length - left.length)[0]!.sort();
  };

  function attributeNames(body: BodyRow): readonly string[] {
    if (body.kind === 'map') return body.entry.body === undefined ? [] : attributeNames(body.entry.body);
    return body.attributes.flatMap(({ name, body: inner }) => [
      name,
      ...(inner === undefined ? [] : attributeNames(inner)),
    ]);
  }

  test('knows the blocks, attributes and units of the language, no more and no fewer', () => {
    const { block, attribute, quantity } = rules();
    expect(listIn(block!.match!)).toEqual([...BLOCKS.keys()].sort());
    const names = new Set([...BLOCKS.values()].flatMap(({ body }) => attributeNames(body)));
    expect(listIn(attribute!.match!)).toEqual([...names].sort());
    expect(listIn(quantity!.patterns![1]!.match!)).toEqual([...UNITS.keys()].sort());
  });

  test('has patterns that compile, and includes that exist', () => {
    const known = rules();
    const walk = (rule: Rule): void => {
      for (const pattern of [rule.match, rule.begin, rule.end]) {
        if (pattern !== undefined) expect(() => new RegExp(pattern, 'u'), pattern).not.toThrow();
      }
      if (rule.include !== undefined) expect(known[rule.include.slice(1)], rule.include).toBeDefined();
      for (const each of rule.patterns ?? []) walk(each);
    };
    for (const rule of Object.values(known)) walk(rule);
  });

  test('tells a unit from the number before it', () => {
    const pattern = new RegExp(rules()['quantity']!.patterns![1]!.match!, 'g');
    const found = [...'10m 512mib 6nines 0.1percent 8x 25gbps'.matchAll(pattern)].map(
      ([, number, unit]) => `${number} ${unit}`,
    );
    expect(found).toEqual(['10 m', '512 mib', '6 nines', '0.1 percent', '8 x', '25 gbps']);
  });
});

describe('the command that is started', () => {
  const settings = { path: '', moduleDirectories: [], inventory: '' };

  test('is the workspace’s own, else the one on the PATH', () => {
    const own = serverCommand(settings, ['/a', '/b'], (path) => path.startsWith('/b/'));
    expect(own).toEqual({ command: join('/b', 'node_modules', '.bin', 'kwam-dp'), args: ['lsp', '--stdio'] });
    expect(serverCommand(settings, ['/a'], () => false).command).toBe('kwam-dp');
  });

  test('is the one of the setting: absolute, of the folder, or a bare name', () => {
    const commandOf = (path: string) => serverCommand({ ...settings, path }, ['/work'], () => true);
    expect(commandOf('/opt/kwam-dp').command).toBe('/opt/kwam-dp');
    expect(commandOf('tools/kwam-dp').command).toBe(join('/work', 'tools/kwam-dp'));
    expect(commandOf('kwam-next').command).toBe('kwam-next');
    expect(commandOf('/opt/bin/kwam-dp.mjs')).toEqual({
      command: 'node',
      args: ['/opt/bin/kwam-dp.mjs', 'lsp', '--stdio'],
    });
  });

  test('names the directories of modules and the inventory', () => {
    const set = { ...settings, moduleDirectories: ['modules', '/shared'], inventory: 'fleet.json' };
    const { args } = serverCommand(set, ['/work'], () => false);
    const inventory = ['--inventory', join('/work', 'fleet.json')];
    expect(args).toEqual(['lsp', '--stdio', ...inventory, '--from', join('/work', 'modules'), '/shared']);
  });
});

describe('the extension', () => {
  interface Extension {
    activate(context: { subscriptions: unknown[] }): Promise<void>;
    deactivate(): Promise<void>;
  }

  /** Loaded anew from the unpacked vsix, with this editor as its `vscode`. */
  function load(editor: FakeEditor): Extension {
    const place = fs.mkdtempSync(join(work, 'host-'));
    fs.cpSync(join(work, 'extension'), place, { recursive: true });
    fs.mkdirSync(join(place, 'node_modules/vscode'), { recursive: true });
    fs.writeFileSync(
      join(place, 'node_modules/vscode/index.js'),
      'module.exports = globalThis.fakeVscode;\n',
    );
    Object.assign(globalThis, { fakeVscode: editor.module() });
    return createRequire(join(place, 'package.json'))('./dist/extension.js') as Extension;
  }

  const documentOf = (text: string) => ({
    uri: pathToFileURL(join(ROOT, 'examples/in-editor.kwam')).href,
    text,
  });

  test('starts the server, and shows what it says of the open program', async () => {
    const editor = new FakeEditor(ROOT, documentOf(H100.replace('transport quic', 'transport quik')));
    editor.settings['path'] = join(ROOT, 'bin/kwam-dp.mjs');
    const extension = load(editor);
    const shown = once(editor, 'diagnostics') as Promise<[Shown]>;
    await extension.activate({ subscriptions: [] });
    const [{ uri, diagnostics }] = await shown;
    expect(uri).toBe(documentOf('').uri);
    expect(diagnostics.map(({ code }) => code)).toContain('KW2015');
    expect(editor.commands.has('kwam.restart')).toBe(true);
    const again = once(editor, 'diagnostics');
    await editor.commands.get('kwam.restart')!();
    await again;
    await extension.deactivate();
  });

  test('says what to do when there is no server', async () => {
    const editor = new FakeEditor(ROOT, documentOf(H100));
    editor.settings['path'] = join(work, 'nowhere/kwam-dp');
    const extension = load(editor);
    // The client tells as well, in its own words.
    const said = new Promise<void>((resolve) => {
      editor.on('told', (message) => message.includes('kwam.path') && resolve());
    });
    await extension.activate({ subscriptions: [] });
    await said;
    await extension.deactivate();
  });

  test('starts nothing in a workspace that is not trusted', async () => {
    const editor = new FakeEditor(ROOT, documentOf(H100));
    editor.isTrusted = false;
    // Whatever is started from here fails, and would be told.
    editor.settings['path'] = join(work, 'nowhere/kwam-dp');
    let said = 0;
    editor.on('told', () => said++);
    const extension = load(editor);
    await extension.activate({ subscriptions: [] });
    await new Promise((resolve) => setImmediate(resolve));
    expect(said).toBe(0);
    await extension.deactivate();
  });
});
