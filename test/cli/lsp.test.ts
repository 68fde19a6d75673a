/**
 * The language server as an editor sees it: every feature asked for over standard streams, on the two example programs. Each quick fix
 * is applied to the text and sent back, and the diagnostic has to be gone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CodeAction,
  CodeActionRequest,
  type CompletionItem,
  CompletionRequest,
  DefinitionRequest,
  type Diagnostic,
  DocumentFormattingRequest,
  DocumentHighlightRequest,
  DocumentSymbolRequest,
  HoverRequest,
  type Location,
  type MarkupContent,
  PrepareRenameRequest,
  ReferencesRequest,
  RenameRequest,
  SemanticTokensRequest,
  type TextDocumentEdit,
  type TextEdit,
  type WorkspaceEdit,
} from 'vscode-languageserver-protocol/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { TOKEN_TYPES } from '../../src/editor/semantic-tokens.ts';
import { format } from '../../src/language/format.ts';
import { ABLE, Editor, placeOf } from './lsp-client.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const STD = fileURLToPath(new URL('../../std/', import.meta.url));
const H100 = readFileSync(join(EXAMPLES, 'h100.kwam'), 'utf8');
const TOUR = readFileSync(join(EXAMPLES, 'tour.kwam'), 'utf8');

let editor: Editor;
let count = 0;

beforeAll(async () => {
  editor = await Editor.start();
});

afterAll(async () => {
  expect(await editor.stop()).toBe(0);
  expect(editor.stderr).toBe('');
});

/** A program of its own beside the examples, so that nothing of another test hangs on it. */
async function opened(text: string): Promise<string> {
  const uri = pathToFileURL(join(EXAMPLES, `test-${count++}.kwam`)).href;
  await editor.open(uri, text);
  return uri;
}

const textOf = (edit: WorkspaceEdit, text: string): string => {
  const [change] = edit.documentChanges as TextDocumentEdit[];
  return TextDocument.applyEdits(TextDocument.create('', '', 1, text), change!.edits as TextEdit[]);
};

async function completions(text: string, needle: string, into = needle.length): Promise<CompletionItem[]> {
  const uri = await opened(text);
  const position = placeOf(text, needle, into);
  const items = (await editor.connection.sendRequest(CompletionRequest.type, {
    textDocument: { uri },
    position,
  })) as CompletionItem[];
  const line = text.split('\n')[position.line]!;
  for (const { textEdit } of items) {
    const { start, end } = (textEdit as TextEdit).range;
    expect([start.line, end.line]).toEqual([position.line, position.line]);
    expect(start.character).toBeLessThanOrEqual(position.character);
    expect(end.character).toBeLessThanOrEqual(line.length);
  }
  return items;
}

const labels = (items: readonly CompletionItem[]): string[] => items.map(({ label }) => label);
const newText = (items: readonly CompletionItem[], label: string): string =>
  items.find((item) => item.label === label)!.textEdit!.newText;

describe('diagnostics', () => {
  test('of the example are notes, each with code and source', async () => {
    const uri = await opened(H100);
    const diagnostics = await editor.diagnostics(uri);
    expect(diagnostics.map(({ code, severity }) => [code, severity])).toEqual([
      ['KW4015', 3],
      ['KW6009', 3],
    ]);
    expect(diagnostics.every(({ source }) => source === 'kwam')).toBe(true);
  });

  test('follow each change', async () => {
    const uri = await opened(H100);
    await editor.diagnostics(uri);
    const start = placeOf(H100, 'transport quic', 10);
    const end = { ...start, character: start.character + 4 };
    const version = await editor.change(uri, [{ range: { start, end }, text: 'tcp' }]);
    const [found] = (await editor.diagnostics(uri, version)).filter(({ severity }) => severity === 1);
    expect(found).toMatchObject({
      code: 'KW2015',
      range: { start, end: { ...start, character: start.character + 3 } },
    });
  });

  test('of the tour are its holes', async () => {
    const uri = await opened(TOUR);
    const holes = (await editor.diagnostics(uri)).filter(({ code }) => code === 'KW1901');
    expect(holes.length).toBeGreaterThanOrEqual(7);
    expect(holes[1]!.message).toContain('server.seed.ports.control');
  });

  test('of standard modules: none, also of those with tables', async () => {
    for (const name of ['faultdomains', 'hardware', 'interconnects', 'sandbox']) {
      const uri = pathToFileURL(join(STD, `${name}.kwam`)).href;
      await editor.open(uri, readFileSync(join(STD, `${name}.kwam`), 'utf8'));
      expect(await editor.diagnostics(uri)).toEqual([]);
      await editor.close(uri);
    }
  });

  test('vanish when the document is closed', async () => {
    const uri = await opened(TOUR);
    expect((await editor.diagnostics(uri)).length).toBeGreaterThan(0);
    await editor.close(uri);
    expect(await editor.diagnostics(uri)).toEqual([]);
  });

  test('are in UTF-16 units, whatever stands before', async () => {
    const text =
      'apiVersion "kwam.dev/v0.2"\r\n# 𝄞😀\r\nmetric "😀𝄞" m { }\r\nmetric ok { observe nothing_known target 0 window 30d }\r\n';
    const uri = await opened(text);
    const found = (await editor.diagnostics(uri)).find(({ code }) => code === 'KW6008')!;
    expect(found.range).toEqual({ start: { line: 3, character: 20 }, end: { line: 3, character: 33 } });
  });
});

describe('completion', () => {
  test('offers the words of the tables, and replaces what is there', async () => {
    const items = await completions(H100, 'hardware "h', 11);
    expect(labels(items)).toEqual(
      expect.arrayContaining(['"h100"', '"h200"', '"tpu"', '"trainium"', '"cpu"']),
    );
    const edit = items.find(({ label }) => label === '"tpu"')!.textEdit as TextEdit;
    const document = TextDocument.create('', '', 1, H100);
    expect(TextDocument.applyEdits(document, [edit])).toBe(H100.replace('hardware "h100"', 'hardware "tpu"'));
  });

  test('offers the attributes that are missing, the required ones first, with typed values', async () => {
    const text = H100.replace('  factor 3\n', '  \n');
    const items = await completions(text, 'replicate code_and_data {\n  ');
    expect(labels(items)[0]).toBe('factor');
    expect(labels(items)).toEqual(['factor', 'erasure', 'cold_after']);
    expect(newText(items, 'factor')).toBe('factor ${1:3}');
    expect(newText(items, 'erasure')).toBe('erasure ${1:rs(6, 3)}');
  });

  test('does not take the next line for the value that is missing', async () => {
    const text = H100.replace('transport quic ', 'transport  ');
    expect(labels(await completions(text, '  transport '))).toEqual(expect.arrayContaining(['quic', 'grpc']));
  });

  test('knows what a list holds, and what a reference may name', async () => {
    expect(labels(await completions(H100, 'caps ['))).toContain('override_budget');
    expect(labels(await completions(H100, 'anti_affinity ['))).toEqual(
      expect.arrayContaining(['rack', 'pdu', 'spine', 'az']),
    );
    expect(labels(await completions(H100, '  client kwam', 9))).toContain('kwam_node');
    expect(labels(await completions(H100, '  server se', 9))).toEqual(expect.arrayContaining(['seed']));
  });

  test('offers the units of the dimension that is due', async () => {
    const items = await completions(H100.replace('bake 10m', 'bake 10'), 'bake 10');
    expect(labels(items)).toEqual(expect.arrayContaining(['10s', '10m', '10h']));
    expect(labels(items)).not.toContain('10mb');
  });

  test('offers lets in `${`, once each and closed', async () => {
    const items = await completions(H100.replace('fanout ${fanout}', 'fanout ${fa'), 'fanout ${fa');
    expect(labels(items)).toEqual(['fanout', 'ca']);
    expect(newText(items, 'fanout')).toBe('fanout\\}');
  });

  test('offers the next item behind an import without a digest', async () => {
    const items = await completions('import "std/faultdomains" as fd\nus', 'us');
    expect(labels(items)).toEqual(expect.arrayContaining(['digest', 'use', 'profile']));
  });

  test('offers modules, aliases and exports', async () => {
    expect(labels(await completions(H100, 'import "'))).toContain('"std/faultdomains"');
    expect(labels(await completions(H100, 'use '))).toEqual(['fd.']);
    expect(labels(await completions(H100, 'use fd.'))).toEqual(expect.arrayContaining(['fd.h100', 'fd.tpu']));
  });

  test('offers blocks at the top, whole', async () => {
    const atEnd = await completions(`${H100}\nme`, '\nme');
    expect(labels(atEnd)).toEqual(
      expect.arrayContaining(['profile', 'policy', 'server', 'guard', 'deploy', 'metric', 'let']),
    );
    expect(newText(atEnd, 'metric')).toMatch(
      /^metric \$\{1:metric_name\} \{ observe \$\{2\|silent_corruption_count,/,
    );
    expect(labels(atEnd)).not.toContain('domains');
    expect(labels(atEnd)).not.toContain('apiVersion');
  });

  test('says nothing in comments and where a name is invented', async () => {
    expect(await completions(H100, '# telemetry on')).toEqual([]);
    expect(await completions(H100, 'profile h100')).toEqual([]);
  });

  test('gives plain text to an editor without snippets', async () => {
    const plain = await Editor.start({});
    const uri = 'file:///plain.kwam';
    await plain.open(uri, 'apiVersion "kwam.dev/v0.2"\n\nmetric m { ob }\n');
    const items = (await plain.connection.sendRequest(CompletionRequest.type, {
      textDocument: { uri },
      position: { line: 2, character: 13 },
    })) as CompletionItem[];
    expect(items[0]).toMatchObject({
      label: 'observe',
      insertTextFormat: 1,
      textEdit: { newText: 'observe' },
    });
    expect(plain.registered).toEqual([]);
    expect(await plain.stop()).toBe(0);
  });
});

describe('hover', () => {
  const hoverOn = async (needle: string, into = 1, text = H100) => {
    const uri = await opened(text);
    const position = placeOf(text, needle, into);
    const hover = await editor.connection.sendRequest(HoverRequest.type, { textDocument: { uri }, position });
    return hover === null ? undefined : { ...hover, text: (hover.contents as MarkupContent).value };
  };

  test.each([
    ['bake 10m', 1, 'a duration such as 10m; required'],
    ['bake 10m', 6, '`10m` is 600 seconds.'],
    ['512mb', 1, '`512mb` is 512,000,000 bytes.'],
    ['25gbps', 1, '3,125,000,000 bytes a second'],
    ['6nines', 1, 'at most 10^-6 a year'],
    ['0.1percent', 1, '0.001 of one'],
    ['fanout ${fanout}', 10, 'let fanout = 8x'],
    ['trust trust_root', 8, 'policy trust_root'],
    ['dcgm.gpu_health', 3, 'trainium: neuron_hw_counters'],
    ['observe silent', 10, 'kwam_silent_corruption_count_total'],
    ['"nvlink+ib"', 3, '400 gbps within a rack'],
    ['rack 50y', 1, 'Lies within one `pdu`.'],
    ['fd.h100', 5, 'std/faultdomains.kwam'],
    ['"std/faultdomains"', 5, 'sha256:8914271101d4'],
    ['guard sla', 1, 'The promises that the mathematics must support.'],
    ['on_failure', 1, 'without it: rollback'],
  ])('on %s, %i says %s', async (needle, into, expected) => {
    expect((await hoverOn(needle, into))?.text).toContain(expected);
  });

  test('of a secret says only that it is one', async () => {
    const hover = await hoverOn('ca ${ca}', 6);
    expect(hover?.text).toContain('a secret');
    expect(hover?.text).not.toContain('vault');
  });

  test('of a hole says what is expected', async () => {
    expect((await hoverOn('mttr_restore …', 13, TOUR))?.text).toBe(
      'Still open: expected a duration such as 10m.',
    );
  });

  test('is absent where nothing is', async () => {
    expect(await hoverOn('# The guided tour', 5)).toBeUndefined();
  });
});

describe('definition', () => {
  const definitionOf = async (
    needle: string,
    into: number,
    text = H100,
  ): Promise<{ file: string; word: string } | undefined> => {
    const uri = await opened(text);
    const position = placeOf(text, needle, into);
    const found = (await editor.connection.sendRequest(DefinitionRequest.type, {
      textDocument: { uri },
      position,
    })) as Location | null;
    if (found === null) return undefined;
    const there = found.uri === uri ? text : readFileSync(fileURLToPath(found.uri), 'utf8');
    const word = TextDocument.create('', '', 1, there).getText(found.range);
    return {
      file: found.uri === uri ? 'here' : fileURLToPath(found.uri),
      word: `${word} ${found.range.start.line + 1}`,
    };
  };
  const faultdomains = join(STD, 'faultdomains.kwam');

  test.each([
    ['fanout ${fanout}', 10, 'here', 'fanout 5'],
    ['trust trust_root', 8, 'here', 'trust_root 16'],
    ['llm dc_negotiator', 6, 'here', 'dc_negotiator 59'],
    ['covers code_and_data', 9, 'here', 'code_and_data 81'],
    ['use fd.h100', 5, 'here', 'fd 3'],
    ['use fd.h100', 8, faultdomains, 'h100 9'],
    ['"std/faultdomains"', 4, faultdomains, '"std/faultdomains" 2'],
    ['[rack, pdu', 2, faultdomains, 'rack 13'],
    ['spine 200y', 2, faultdomains, 'spine 11'],
    ['let fanout', 5, 'here', 'fanout 5'],
  ])('of %s, %i is in %s: %s', async (needle, into, file, word) => {
    expect(await definitionOf(needle, into)).toEqual({ file, word });
  });

  test('of a name in a string', async () => {
    const text = 'apiVersion "kwam.dev/v0.2"\nlet tag = "x"\npool p { inventory "fleet/${tag}.json" }\n';
    expect(await definitionOf('${tag}', 3, text)).toEqual({ file: 'here', word: 'tag 2' });
  });

  test('is absent for words of the language', async () => {
    expect(await definitionOf('strategy gossip', 10)).toBeUndefined();
  });
});

/** Names used in every way: bare, in `${…}`, in a string, through another let. */
const NAMES = `apiVersion "kwam.dev/v0.2"
let days = 30d
let site = "cl-7"
let chosen = fleet
let path = "fleet/\${site}.json"
pool fleet { inventory "fleet/\${ site }/\${site}.json" }
metric a { observe silent_corruption_count target 0 window days }
metric b { observe silent_corruption_count target 0 window \${ days } }
deploy d { to \${chosen} }
`;

describe('references and rename', () => {
  const at = async (text: string, needle: string, into: number) => {
    const uri = await opened(text);
    return { textDocument: { uri }, position: placeOf(text, needle, into) };
  };
  const renamed = async (text: string, needle: string, into: number, newName: string): Promise<string> => {
    const params = await at(text, needle, into);
    const edit = await editor.connection.sendRequest(RenameRequest.type, { ...params, newName });
    return textOf(edit!, text);
  };

  test('find a let in every form', async () => {
    const params = await at(NAMES, 'let site', 5);
    const found = await editor.connection.sendRequest(ReferencesRequest.type, {
      ...params,
      context: { includeDeclaration: true },
    });
    expect(found!.map(({ range: { start, end } }) => [start.line, start.character, end.character])).toEqual([
      [2, 4, 8],
      [4, 20, 24],
      [5, 33, 37],
      [5, 42, 46],
    ]);
    const marks = await editor.connection.sendRequest(DocumentHighlightRequest.type, params);
    expect(marks).toHaveLength(4);
  });

  test('find the uses of an export in other open programs', async () => {
    const module = join(STD, 'faultdomains.kwam');
    const text = readFileSync(module, 'utf8');
    const uri = pathToFileURL(module).href;
    await editor.open(uri, text);
    const user = await opened(H100);
    const found = await editor.connection.sendRequest(ReferencesRequest.type, {
      textDocument: { uri },
      position: placeOf(text, 'domains h100', 9),
      context: { includeDeclaration: false },
    });
    expect(found).toContainEqual({
      uri: user,
      range: { start: { line: 3, character: 7 }, end: { line: 3, character: 11 } },
    });
    await editor.close(uri);
  });

  test('rename a let, also inside strings, and back again', async () => {
    const text = await renamed(NAMES, '${ site }', 4, 'location');
    expect(text).toBe(NAMES.replaceAll(/\bsite\b/g, 'location'));
    expect(await renamed(text, 'let location', 5, 'site')).toBe(NAMES);
  });

  test('rename a let that is used by its bare name', async () => {
    expect(await renamed(NAMES, 'let days', 5, 'a_month')).toBe(NAMES.replaceAll('days', 'a_month'));
  });

  test('rename a block that a let names', async () => {
    const text = await renamed(NAMES, 'pool fleet', 6, 'machines');
    expect(text).toBe(NAMES.replace('= fleet', '= machines').replace('pool fleet', 'pool machines'));
  });

  test('rename a block and an alias in the example', async () => {
    const renamedPolicy = await renamed(H100, 'policy trust_root', 8, 'root_of_trust');
    expect(renamedPolicy).toBe(H100.replaceAll('trust_root', 'root_of_trust'));
    expect(await renamed(H100, 'use fd.h100', 5, 'domains_of')).toBe(
      H100.replace(' as fd ', ' as domains_of ').replace('fd.h100', 'domains_of.h100'),
    );
  });

  test.each([
    ['let fanout', 5, 'ca', 'declared in line 6'],
    ['let fanout', 5, 'two words', 'expected a name'],
    ['let fanout', 5, 'import', 'no keyword'],
    ['use fd.h100', 8, 'gpu', 'rename it there'],
    ['strategy gossip', 10, 'gossips', 'expected the name of a let'],
    ['profile h100_dc', 9, 'h100_pool', 'means something else'],
  ])('refuse to rename %s, %i to %s', async (needle, into, newName, reason) => {
    const params = await at(H100, needle, into);
    await expect(editor.connection.sendRequest(RenameRequest.type, { ...params, newName })).rejects.toThrow(
      reason,
    );
  });

  test('prepare a rename with the name alone', async () => {
    const params = await at(H100, 'fanout ${fanout}', 11);
    const found = await editor.connection.sendRequest(PrepareRenameRequest.type, params);
    expect(found).toMatchObject({ placeholder: 'fanout' });
  });
});

describe('formatting', () => {
  const formatted = async (text: string): Promise<string> => {
    const uri = await opened(text);
    const edits = await editor.connection.sendRequest(DocumentFormattingRequest.type, {
      textDocument: { uri },
      options: { tabSize: 2, insertSpaces: true },
    });
    return TextDocument.applyEdits(TextDocument.create('', '', 1, text), edits!);
  };

  test('equals fmt', async () => {
    expect(await formatted(TOUR)).toBe(format('tour.kwam', TOUR).text);
    expect(await formatted(TOUR.replaceAll('\n', '\r\n'))).toBe(
      format('tour.kwam', TOUR.replaceAll('\n', '\r\n')).text,
    );
    expect(await formatted(H100)).toBe(H100);
  });

  test('leaves a text with syntax errors alone', async () => {
    expect(await formatted('profile {')).toBe('profile {');
  });
});

describe('outline and semantic tokens', () => {
  test('the outline has every block', async () => {
    const uri = await opened(H100);
    const symbols = await editor.connection.sendRequest(DocumentSymbolRequest.type, {
      textDocument: { uri },
    });
    expect(symbols!.map(({ name }) => name)).toEqual([
      'fd',
      'fanout',
      'ca',
      'h100_dc',
      'trust_root',
      'seed',
      'dc_negotiator',
      'kwam_node',
      'code_and_data',
      'sla',
      'integrity_slo',
      'rollout_h100',
    ]);
  });

  test('tokens say what each word is', async () => {
    const uri = await opened(NAMES);
    const { data } = (await editor.connection.sendRequest(SemanticTokensRequest.type, {
      textDocument: { uri },
    }))!;
    const lines = NAMES.split('\n');
    const words: string[] = [];
    let [line, character] = [0, 0];
    for (let at = 0; at < data.length; at += 5) {
      character = data[at] === 0 ? character + data[at + 1]! : data[at + 1]!;
      line += data[at]!;
      const word = lines[line]!.slice(character, character + data[at + 2]!);
      words.push(`${word}:${TOKEN_TYPES[data[at + 3]!]}${data[at + 4] === 1 ? '!' : ''}`);
    }
    expect(words).toEqual(
      expect.arrayContaining([
        'apiVersion:keyword',
        'let:keyword',
        'days:variable!',
        '30d:number',
        'site:variable',
        'pool:keyword',
        'fleet:class!',
        'inventory:property',
        '"fleet/${:string',
        'silent_corruption_count:enumMember',
      ]),
    );
    expect(words.filter((word) => word === 'site:variable')).toHaveLength(3);
  });
});

describe('quick fixes', () => {
  const actionsAt = (uri: string, { range }: Diagnostic): Promise<CodeAction[]> =>
    editor.connection.sendRequest(CodeActionRequest.type, {
      textDocument: { uri },
      range,
      context: { diagnostics: [] },
    }) as Promise<CodeAction[]>;

  /** Applies the fix of the one diagnostic with this code and message; the text afterwards, checked anew. */
  async function fixed(text: string, code: string, message: string, title: string) {
    const uri = await opened(text);
    const isIt = (each: Diagnostic): boolean => each.code === code && String(each.message).includes(message);
    const found = (await editor.diagnostics(uri)).find(isIt);
    expect(found, `${code} ${message}`).toBeDefined();
    const actions = (await actionsAt(uri, found!)).filter(({ diagnostics }) => diagnostics!.some(isIt));
    const action = actions.find((each) => each.title.includes(title));
    expect(actions.map((each) => each.title)).toEqual([expect.stringContaining(title)]);
    const after = textOf(action!.edit!, text);
    const version = await editor.change(uri, [{ text: after }]);
    const left = await editor.diagnostics(uri, version);
    expect(left.filter(isIt)).toEqual([]);
    return { after, errors: left.filter(({ severity }) => severity === 1).map((each) => each.code) };
  }

  const DIGEST = '"sha256:8914271101d474b1b98987cb4d4da6ba089ebfc724e03d7c2a90ce0f5601b88a"';

  test('freeze an import without a digest', async () => {
    const text = H100.replace(` digest ${DIGEST}`, '');
    const { after, errors } = await fixed(
      text,
      'KW3101',
      'expected a digest',
      'freeze: pin "std/faultdomains"',
    );
    expect(errors).toEqual([]);
    expect(after).toBe(H100);
  });

  test('freeze an import whose module means something else now', async () => {
    const text = H100.replace(DIGEST, `"sha256:${'0'.repeat(64)}"`);
    const { after, errors } = await fixed(text, 'KW3102', 'no longer means', 'freeze');
    expect([after, errors]).toEqual([H100, []]);
  });

  test('freeze an import with a hole', async () => {
    const { after } = await fixed(TOUR, 'KW1901', 'import.fd.digest', 'freeze');
    expect(after).toContain(`digest ${DIGEST} # pinned, signed`);
  });

  test('raise the sandbox to the floor', async () => {
    const text = H100.replace('  sandbox gvisor #', '  sandbox runc   #');
    const { after, errors } = await fixed(text, 'KW3012', 'or stronger', 'raise the sandbox to the floor');
    expect(errors).toEqual([]);
    expect(after).toContain('sandbox gvisor');
  });

  test('add a missing mtbf row, in the style of the rest', async () => {
    const text = H100.replace(/ {4}pdu 100y \{[^}]*\}\n/, '');
    const { after, errors } = await fixed(text, 'KW4004', '`pdu`', 'add the missing `mtbf` row');
    expect(new Set(errors)).toEqual(new Set(['KW1901']));
    expect(format('', after).text).toBe(after);
  });

  test.each([
    ['server.seed.ports.data', 'fill the hole with `7401`', 'data 7401'],
    ['guard.sla.mttr_restore', 'fill the hole with `10m`', 'mttr_restore 10m #'],
    ['deploy.rollout_h100.consent.grant_ref', 'fill the hole', 'grant_ref "consent/rollout.json" #'],
    // Left out by a comment, which goes.
    ['guard.sla.mtbf`', 'fill the hole with', 'mtbf {\n  node … { source … audited_by … audited_on … }\n'],
  ])('fill the hole %s of the tour', async (path, title, written) => {
    const { after } = await fixed(TOUR, 'KW1901', path, title);
    expect(after).toContain(written);
  });

  test.each([
    ['  transport quic ', '  transport … ', 'server.seed.transport', 'transport quic '],
    ['  strategy canary', '  strategy …', 'deploy.rollout_h100.strategy', 'strategy canary'],
    ['safepoint cooperative', 'safepoint …', 'client.kwam_node.safepoint', 'safepoint cooperative'],
    ['trust trust_root', 'trust …', 'server.seed.trust', 'trust trust_root'],
    [
      'waves [1percent, 5percent, 25percent, 50percent, 100percent]',
      'waves …',
      'deploy.rollout_h100.waves',
      'waves [1percent',
    ],
    ['lazy false', 'lazy …', 'replicate.code_and_data.repair.lazy', 'lazy true'],
    [
      'discover_scope [10.40.0.0/16]',
      'discover_scope […]        ',
      'policy.trust_root.grants',
      'discover_scope [10.40.0.0/16]',
    ],
    [
      '{ control 7400 data 7401 metrics 7402 }',
      '…',
      'server.seed.ports',
      '{ control 7400 data 7401 metrics 7402 }',
    ],
    ['let fanout = 8x', 'let fanout = …', 'let.fanout', 'let fanout = 8x'],
  ])('fill a hole in the place of %s without a new error', async (right, hole, path, written) => {
    const text = H100.replace(right, hole);
    const { after, errors } = await fixed(text, 'KW1901', path, 'fill the hole with');
    expect(errors).toEqual([]);
    expect(after).toContain(written);
  });

  test('fill a bare hole with what is required there', async () => {
    const text = H100.replace(/consent \{\n[\s\S]*?\n {2}\}/, 'consent {\n    …\n  }');
    const { after, errors } = await fixed(
      text,
      'KW1901',
      'the omitted attributes',
      'the required attributes',
    );
    expect(errors).toEqual([]);
    expect(after).toContain('scope fleet.h100_pool');
  });

  test('fill the rows of mtbf with holes: what has to be audited is not made up', async () => {
    const text = H100.replace(/ {2}mtbf \{\n[\s\S]*?\n {2}\}\n/, '  mtbf { … }\n');
    const { after } = await fixed(text, 'KW1901', 'guard.sla.mtbf`', 'fill the hole');
    expect(after).toMatch(/node …[\s\S]*az …[\s\S]*rack …/);
    expect(after).not.toContain('Lovelace');
  });

  test.each([
    ['transport quic', 'transport quik', 'KW2015', 'transport quic'],
    ['  bake 10m', '  baek 10m', 'KW2008', '  bake 10m'],
    ['fanout 8x', 'fanout 8', 'KW2004', 'fanout'],
    ['dual_control true', 'dual_control false', 'KW3022', 'dual_control true'],
    ['[dcgm, nvml]', '[dcgm]', 'KW6005', '[dcgm, nvml]'],
    ['  trust trust_root', '', 'KW2010', 'trust …'],
  ])('what the language suggests itself: %s', async (right, wrong, code, written) => {
    const text = right === 'fanout 8x' ? H100.replace('fanout ${fanout}', wrong) : H100.replace(right, wrong);
    const { after } = await fixed(text, code, '', '');
    expect(after).toContain(written);
  });

  test('are snippets for an editor that can take them', async () => {
    const able = await Editor.start({
      ...ABLE,
      workspace: { workspaceEdit: { documentChanges: true, snippetEditSupport: true } },
    });
    const uri = 'file:///snippets.kwam';
    await able.open(uri, TOUR);
    const [hole] = (await able.diagnostics(uri)).filter(({ message }) =>
      String(message).includes('mttr_restore'),
    );
    const [action] = (await able.connection.sendRequest(CodeActionRequest.type, {
      textDocument: { uri },
      range: hole!.range,
      context: { diagnostics: [] },
    })) as CodeAction[];
    const [{ edits }] = action!.edit!.documentChanges as [TextDocumentEdit];
    expect(edits).toEqual([{ range: hole!.range, snippet: { kind: 'snippet', value: '${1:10m}' } }]);
    expect(await able.stop()).toBe(0);
  });

  test('are given only when they are asked for', async () => {
    const uri = await opened(TOUR);
    const [first] = await editor.diagnostics(uri);
    const found = await editor.connection.sendRequest(CodeActionRequest.type, {
      textDocument: { uri },
      range: first!.range,
      context: { diagnostics: [], only: ['refactor'] },
    });
    expect(found).toEqual([]);
  });
});
