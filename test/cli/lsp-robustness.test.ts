/**
 * What an editor should not send, and what it asks at bad moments: the server says what was wrong, or gives the empty answer, and goes on.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CancellationTokenSource,
  CodeActionRequest,
  CompletionRequest,
  DefinitionRequest,
  DidSaveTextDocumentNotification,
  DocumentFormattingRequest,
  DocumentHighlightRequest,
  DocumentSymbolRequest,
  HoverRequest,
  InitializeRequest,
  LSPErrorCodes,
  type Position,
  PrepareRenameRequest,
  ReferencesRequest,
  RenameRequest,
  SemanticTokensRequest,
  ShutdownRequest,
} from 'vscode-languageserver-protocol/node';
import { type TextChange, Workspace } from '../../src/cli/lsp-workspace.ts';
import { format } from '../../src/language/format.ts';
import { editorDiagnosticsMax, editorMessageBytesMax } from '../../src/limits.ts';
import { seededRandom } from '../../src/random.ts';
import { apply, EXAMPLES, randomEdit } from '../editor/edits.ts';
import { ABLE, Editor, placeOf } from './lsp-client.ts';

const URI = 'file:///work/program.kwam';
const [TOUR, H100] = EXAMPLES as [string, string];

/** Every request with the answer that says "nothing". */
const REQUESTS: readonly [string, unknown][] = [
  [CompletionRequest.method, []],
  [HoverRequest.method, null],
  [DefinitionRequest.method, null],
  [ReferencesRequest.method, []],
  [DocumentHighlightRequest.method, []],
  [PrepareRenameRequest.method, null],
  [RenameRequest.method, null],
  [DocumentFormattingRequest.method, []],
  [DocumentSymbolRequest.method, []],
  [SemanticTokensRequest.method, { data: [] }],
  [CodeActionRequest.method, []],
];

const paramsFor = (uri: string, line = 0, character = 0) => {
  const position = { line, character };
  return {
    textDocument: { uri },
    position,
    range: { start: position, end: position },
    newName: 'other',
    context: { includeDeclaration: true, diagnostics: [] },
    options: { tabSize: 2, insertSpaces: true },
  };
};

let editor: Editor;

beforeAll(async () => {
  editor = await Editor.start();
});

afterAll(async () => {
  expect(await editor.stop()).toBe(0);
  expect(editor.stderr).toBe('');
});

afterEach(async () => {
  await editor.close(URI);
});

/** The server answers, whatever came before. */
async function expectAlive(with_ = editor): Promise<void> {
  await with_.open(URI, H100);
  const hover = await with_.connection.sendRequest(HoverRequest.type, {
    textDocument: { uri: URI },
    position: placeOf(H100, 'bake 10m', 6),
  });
  expect(JSON.stringify(hover)).toContain('600 seconds');
}

describe('messages that are none', () => {
  const framed = (body: string): string => `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  let raw: Editor;
  let said = '';
  beforeAll(async () => {
    raw = await Editor.start();
    raw.child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
  });
  afterAll(async () => {
    expect(await raw.stop()).toBe(0);
  });
  const JSON_ERROR = -32700;
  const NO_MESSAGE = -32600;

  test.each([
    ['no header at all', 'hello\r\n\r\n', JSON_ERROR],
    ['a length that is no number', 'Content-Length: many\r\n\r\n', JSON_ERROR],
    ['a negative length', 'Content-Length: -5\r\n\r\n', JSON_ERROR],
    ['another header alone', 'Content-Type: text/plain\r\n\r\n{}', JSON_ERROR],
    ['a body that is no JSON', framed('{"jsonrpc": "2.0", '), JSON_ERROR],
    ['a body that is no UTF-8', 'Content-Length: 2\r\n\r\n\u00ff\u00fe', JSON_ERROR],
    ['a length that is too short', 'Content-Length: 3\r\n\r\n{"jsonrpc":"2.0"}', JSON_ERROR],
    ['a number', framed('42'), NO_MESSAGE],
    ['null', framed('null'), NO_MESSAGE],
    ['a batch', framed('[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]'), NO_MESSAGE],
    ['another protocol', framed('{"id":1,"method":"shutdown"}'), NO_MESSAGE],
    ['a length beyond any memory', 'Content-Length: 999999999999\r\n\r\n', NO_MESSAGE],
    [
      'a message that is too long',
      `Content-Length: ${editorMessageBytesMax + 1}\r\n\r\n${'x'.repeat(100_000)}`,
      NO_MESSAGE,
    ],
  ])('%s: an error, and the next message is read', async (_what, bytes, code) => {
    said = '';
    raw.child.stdin.write(Buffer.from(bytes, 'latin1'));
    await expectAlive(raw);
    expect(said).toContain(`"id":null,"error":{"code":${code}`);
    await raw.close(URI);
  });

  test('a message in pieces, a byte at a time, is one message', async () => {
    const answered = new Promise((resolve) => {
      raw.child.stdout.on('data', (chunk: Buffer) => {
        if (chunk.toString('utf8').includes('"id":"in pieces"')) resolve(undefined);
      });
    });
    const bytes = Buffer.from(framed('{"jsonrpc":"2.0","id":"in pieces","method":"textDocument/größe"}'));
    for (const byte of bytes) raw.child.stdin.write(Buffer.of(byte));
    await answered;
    await expectAlive(raw);
    await raw.close(URI);
  });

  test('responses to nothing and notifications that nobody knows are passed over', async () => {
    editor.child.stdin.write(framed('{"jsonrpc":"2.0","id":77,"result":1}'));
    editor.child.stdin.write(framed('{"jsonrpc":"2.0","method":"$/whatever","params":{}}'));
    editor.child.stdin.write(framed('{"jsonrpc":"2.0","method":"textDocument/didOpen","params":null}'));
    editor.child.stdin.write(
      framed('{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":1}}}'),
    );
    editor.child.stdin.write(
      framed('{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{}}}'),
    );
    editor.child.stdin.write(framed('{"jsonrpc":"2.0","method":"textDocument/didClose"}'));
    await expectAlive();
  });
});

describe('parameters', () => {
  const send = (method: string, params: unknown) =>
    editor.connection.sendRequest(method, params as object).then(
      (result) => ({ result }),
      (error: { code: number }) => ({ code: error.code }),
    );
  const INVALID = -32602;

  test.each(REQUESTS)('%s of a document that is not open gives the empty answer', async (method, empty) => {
    expect(await send(method, paramsFor('file:///nowhere.kwam'))).toEqual({ result: empty });
  });

  test.each(REQUESTS)('%s of a closed document gives the empty answer', async (method, empty) => {
    await editor.open(URI, H100);
    await editor.close(URI);
    expect(await send(method, paramsFor(URI, 4, 5))).toEqual({ result: empty });
  });

  test.each(REQUESTS)('%s with parameters of another form is refused', async (method) => {
    await editor.open(URI, H100);
    const wrong = [
      {},
      { textDocument: null },
      { textDocument: { uri: 5 } },
      { ...paramsFor(URI), position: 'here', range: 'there' },
      { ...paramsFor(URI, 0.5, Number.NaN), options: {} },
    ];
    for (const params of wrong.slice(0, 3)) expect(await send(method, params)).toEqual({ code: INVALID });
    const takesPlace = ![
      DocumentFormattingRequest.method,
      DocumentSymbolRequest.method,
      SemanticTokensRequest.method,
    ].some((each) => each === method);
    if (takesPlace)
      for (const params of wrong.slice(3)) expect(await send(method, params)).toEqual({ code: INVALID });
  });

  test.each([
    [1_000_000, 0],
    [0, 1_000_000],
    [-1, -1],
    [2 ** 31, 2 ** 31],
  ])('the place %i, %i outside of the text is its nearest end', async (line, character) => {
    await editor.open(URI, H100);
    for (const [method] of REQUESTS) {
      const answer = await send(method, paramsFor(URI, line, character));
      const isFine = 'result' in answer || answer.code === LSPErrorCodes.RequestFailed;
      expect(isFine, method).toBe(true);
    }
  });

  test('an unknown method is told so', async () => {
    expect(await send('textDocument/teleport', {})).toEqual({ code: -32601 });
  });
});

describe('the life of a server', () => {
  test('nothing is answered before initialize', async () => {
    const early = new Editor();
    await expect(early.connection.sendRequest(HoverRequest.type, paramsFor(URI))).rejects.toMatchObject({
      code: -32002,
    });
    await early.initialize();
    expect(await early.stop()).toBe(0);
  });

  test('nothing is answered after shutdown', async () => {
    const late = await Editor.start();
    await late.connection.sendRequest(ShutdownRequest.type);
    await expect(late.connection.sendRequest(HoverRequest.type, paramsFor(URI))).rejects.toMatchObject({
      code: -32600,
    });
    await late.connection.sendNotification('exit');
    expect(await late.exitCode()).toBe(0);
  });

  test('exit without shutdown is a failure', async () => {
    const rude = await Editor.start();
    await rude.connection.sendNotification('exit');
    expect(await rude.exitCode()).toBe(1);
  });

  test('an editor that closes its end is gone', async () => {
    const gone = await Editor.start();
    gone.child.stdin.end();
    expect(await gone.exitCode()).toBe(1);
  });

  test('an editor whose process is gone is noticed', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const orphan = new Editor();
    await orphan.connection.sendRequest(InitializeRequest.type, {
      processId: pid!,
      rootUri: null,
      capabilities: {},
    });
    expect(await orphan.exitCode()).toBe(1);
  });

  test('without --stdio it says what is missing', async () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../../bin/kwam-dp.mjs'), 'lsp'],
      { encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([2, expect.stringContaining('--stdio')]);
  });
});

describe('time', () => {
  test('a request that is cancelled while modules are loading says so', async () => {
    const fresh = await Editor.start();
    const source = new CancellationTokenSource();
    await fresh.open(URI, H100);
    const asked = fresh.connection.sendRequest(HoverRequest.type, paramsFor(URI), source.token);
    source.cancel();
    await expect(asked).rejects.toMatchObject({ code: LSPErrorCodes.RequestCancelled });
    await expectAlive(fresh);
    expect(await fresh.stop()).toBe(0);
  });

  test('many keystrokes give few diagnostics, and those of the last text', async () => {
    const typist = await Editor.start();
    await typist.open(URI, H100);
    const at = placeOf(H100, 'bake 10m', 5);
    const keystrokes = 30;
    let version = 0;
    for (let stroke = 0; stroke < keystrokes; stroke++) {
      version = await typist.change(URI, [{ range: { start: at, end: at }, text: '1' }]);
    }
    const diagnostics = await typist.diagnostics(URI, version);
    expect(diagnostics.map(({ code }) => code)).toContain('KW2011');
    expect(typist.publishedVersions.at(-1)).toBe(version);
    expect(typist.publishedVersions.length).toBeLessThan(keystrokes);
    expect(await typist.stop()).toBe(0);
  });
});

describe('texts', () => {
  test('a text beyond the limits gets one diagnostic and empty answers', async () => {
    await editor.open(URI, `# ${'x'.repeat(3_000_000)}\n${H100}`);
    const diagnostics = await editor.diagnostics(URI);
    expect(diagnostics.map(({ code }) => code)).toEqual(['KW1010']);
    for (const [method, empty] of REQUESTS) {
      if (method === CompletionRequest.method) continue;
      const params = paramsFor(URI, 5, 5);
      const answer = await editor.connection.sendRequest(method, params).catch(({ code }) => code);
      expect([empty, LSPErrorCodes.RequestFailed], method).toContainEqual(answer);
    }
  });

  test('of thousands of diagnostics the first ones are sent', async () => {
    const uri = 'untitled:many.kwam';
    await editor.open(uri, `apiVersion "kwam.dev/v0.2"\n${'metric m { }\n'.repeat(500)}`);
    const diagnostics = await editor.diagnostics(uri);
    expect(diagnostics).toHaveLength(editorDiagnosticsMax);
    expect(diagnostics[0]?.range.start.line).toBe(1);
    await editor.close(uri);
  });

  test('a message beyond the limits is passed over', async () => {
    await editor.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri: URI, languageId: 'kwam', version: 1, text: ' '.repeat(editorMessageBytesMax) },
    });
    expect(await editor.connection.sendRequest(DocumentSymbolRequest.type, paramsFor(URI))).toEqual([]);
    await expectAlive();
  });

  test('Windows line ends and characters beyond 16 bits: places are of UTF-16 units', async () => {
    const text = H100.replaceAll('\n', '\r\n').replace(
      '# telemetry only',
      '# \u{1F680}\u{1F680} telemetry only',
    );
    await editor.open(URI, text);
    const { line, character } = placeOf(text, '# \u{1F680}');
    const hover = await editor.connection.sendRequest(HoverRequest.type, paramsFor(URI, line, character - 5));
    expect(JSON.stringify(hover)).toContain('nvml');
    const edits = await editor.connection.sendRequest(DocumentFormattingRequest.type, {
      ...paramsFor(URI),
    });
    const lines = text.split('\r\n');
    for (const { range } of edits!) {
      expect(range.end.line).toBeLessThan(lines.length);
      expect(range.end.character).toBeLessThanOrEqual(lines[range.end.line]!.length);
    }
  });

  test('what modules say is read again when a file is saved', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kwam-lsp-'));
    try {
      const uri = pathToFileURL(join(directory, 'program.kwam')).href;
      const lock = join(directory, 'kwam.lock');
      writeFileSync(lock, 'no lock');
      await editor.open(uri, H100);
      const [problem, ...others] = await editor.diagnostics(uri);
      expect(others).toEqual([]);
      expect(problem).toMatchObject({ severity: 1, message: expect.stringContaining('kwam.lock') });
      rmSync(lock);
      editor.forget(uri);
      await editor.connection.sendNotification(DidSaveTextDocumentNotification.type, {
        textDocument: { uri },
      });
      expect((await editor.diagnostics(uri)).map(({ code }) => code)).toEqual(['KW4015', 'KW6009']);
      await editor.close(uri);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('an inventory is checked against, and read again when a file is saved', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kwam-lsp-'));
    const inventory = join(directory, 'fleet.json');
    const uri = pathToFileURL(join(directory, 'program.kwam')).href;
    const fleet = JSON.parse(readFileSync('examples/inventory.json', 'utf8'));
    writeFileSync(inventory, JSON.stringify(fleet));
    const informed = await Editor.start(ABLE, ['--inventory', inventory]);
    try {
      await informed.open(uri, H100);
      const codes = async () => (await informed.diagnostics(uri)).map(({ code }) => code);
      expect(await codes()).toEqual(['KW6009']);
      fleet.pools.h100_pool.nodes.length = 2;
      for (const [text, expected] of [
        [JSON.stringify(fleet), 'KW4003'],
        ['no inventory', undefined],
      ] as const) {
        writeFileSync(inventory, text);
        informed.forget(uri);
        await informed.connection.sendNotification(DidSaveTextDocumentNotification.type, {
          textDocument: { uri },
        });
        expect((await codes())[0]).toBe(expected);
      }
    } finally {
      informed.child.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('random edits and random requests: everything is answered', async () => {
    const random = seededRandom(20_261_126);
    let text = TOUR;
    await editor.open(URI, text);
    for (let round = 0; round < 60; round++) {
      const edit = randomEdit(random, text);
      const range = { start: positionAt(text, edit.start), end: positionAt(text, edit.end) };
      await editor.change(URI, [{ range, text: edit.text }]);
      text = apply(text, edit);
      const [method] = REQUESTS[random.below(REQUESTS.length)]!;
      const { line, character } = positionAt(text, random.below(text.length + 1));
      const answer = await editor.connection.sendRequest(method, paramsFor(URI, line, character)).then(
        () => 'answered',
        ({ code }) => code,
      );
      expect(['answered', LSPErrorCodes.RequestFailed], `${method}: ${JSON.stringify(text)}`).toContain(
        answer,
      );
    }
    const edits = await editor.connection.sendRequest(DocumentFormattingRequest.type, paramsFor(URI));
    expect(edits!.length > 0).toBe(
      format('', text).diagnostics.every(({ severity }) => severity !== 'error') &&
        format('', text).text !== text,
    );
  });
});

/** By its own way: lines end with LF, CR LF or CR. */
function positionAt(text: string, offset: number): { line: number; character: number } {
  const before = text.slice(0, offset);
  // Between CR and LF a line has not ended.
  const ends = [...before.matchAll(/\r\n|\n|\r(?!$)/g)];
  const isInPair = before.endsWith('\r') && text[offset] === '\n';
  const breaks = before.endsWith('\r') && !isInPair ? [...ends, { index: offset - 1, 0: '\r' }] : ends;
  const last = breaks.at(-1);
  const start = last === undefined ? 0 : last.index + last[0].length;
  return { line: breaks.length, character: offset - start - (isInPair ? 1 : 0) };
}

describe('incremental changes', () => {
  const line = fc
    .array(fc.constantFrom('a', '\u{1F600}', ' ', '"', '{', '\n', '\r\n', '\r'), { maxLength: 30 })
    .map((parts) => parts.join(''));
  const place = fc.record({
    line: fc.integer({ min: 0, max: 12 }),
    character: fc.integer({ min: 0, max: 20 }),
  });
  const change = fc.oneof(
    { weight: 9, arbitrary: fc.record({ range: fc.record({ start: place, end: place }), text: line }) },
    { weight: 1, arbitrary: fc.record({ text: line }) },
  );

  /** A change on the text as lines, each with its end; a place beyond a line is before that end. */
  function changed(text: string, change: TextChange): string {
    if (!('range' in change)) return change.text;
    const { range, text: inserted } = change;
    const lines: string[] = text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
    if (lines.length === 0 || /[\r\n]$/.test(lines.at(-1)!)) lines.push('');
    const offsetOf = ({ line: at, character }: Position): number => {
      if (at >= lines.length) return text.length;
      const before = lines.slice(0, at).join('').length;
      return before + Math.min(character, lines[at]!.replace(/[\r\n]+$/, '').length);
    };
    const [start, end] = [offsetOf(range.start), offsetOf(range.end)].sort((left, right) => left - right) as [
      number,
      number,
    ];
    return text.slice(0, start) + inserted + text.slice(end);
  }

  test('give the text that they would give one after another on the whole', async () => {
    const places = { environment: process.env };
    await fc.assert(
      fc.asyncProperty(line, fc.array(change, { maxLength: 12 }), async (start, changes) => {
        const workspace = new Workspace(places);
        workspace.open(URI, 1, start);
        for (const [at, each] of changes.entries()) workspace.change(URI, at + 2, [each as TextChange]);
        const expected = changes.reduce((text, each) => changed(text, each as TextChange), start);
        const { compiled, version } = await workspace.analysis(URI)!;
        expect(compiled.source.text).toBe(expected);
        expect(version).toBe(changes.length + 1);
      }),
      { numRuns: 40 },
    );
  });

  test('of one message apply in their order', async () => {
    await editor.open(URI, '');
    const start = { line: 0, character: 0 };
    await editor.change(URI, [
      { text: 'metric a { }\n' },
      { range: { start, end: start }, text: 'let x = 1\n' },
      { range: { start: { line: 1, character: 7 }, end: { line: 1, character: 8 } }, text: 'b' },
    ]);
    const symbols = await editor.connection.sendRequest(DocumentSymbolRequest.type, paramsFor(URI));
    expect(symbols!.map(({ name }) => name)).toEqual(['x', 'b']);
  });
});

describe('the list of requests', () => {
  test('names every one that the server says it can do', async () => {
    const own = new Editor();
    const { capabilities } = await own.initialize();
    const offered = Object.keys(capabilities).filter((name) => name.endsWith('Provider'));
    // Rename has two requests.
    expect(offered).toHaveLength(REQUESTS.length - 1);
    expect(await own.stop()).toBe(0);
  });
});
