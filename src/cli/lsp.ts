/**
 * lsp: the language server, for editors.
 * In: messages of the language server protocol on standard input. Out: answers and diagnostics on standard output, until the editor says
 * `exit` or goes away. Exit 0 after `shutdown`, 1 without it.
 * This file is the life of a server and what it is told; lsp-features.ts is what it is asked.
 */
import { readdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Command, Option } from 'commander';
import {
  createProtocolConnection,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidChangeWatchedFilesNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  DidSaveTextDocumentNotification,
  ErrorCodes,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  type Message,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  RegistrationRequest,
  ResponseError,
  ShutdownRequest,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node';
import packageJson from '../../package.json' with { type: 'json' };
import { EXIT } from '../errors.ts';
import { diagnosticsDelayMs, editorDiagnosticsMax } from '../limits.ts';
import { abilitiesOf, CAPABILITIES, type EditorAbilities, Features } from './lsp-features.ts';
import { diagnosticOf, wholeDiagnostic } from './lsp-protocol.ts';
import { FramedReader, MalformedMessage } from './lsp-reader.ts';
import { type Analysis, Workspace, type WorkspacePlaces } from './lsp-workspace.ts';
import { standardDirectory } from './module-files.ts';
import type { Shell } from './shell.ts';

const EDITOR_ALIVE_EVERY_MS = 1000;

interface LspOptions {
  readonly from?: string[];
  readonly inventory?: string;
}

export function define(command: Command, shell: Shell): void {
  command
    .requiredOption('--stdio', 'speak on standard input and output, which is the only way')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option(
      '--inventory <file>',
      'the nodes that exist, as of check: sizes and spread are checked against them',
    )
    .addOption(new Option('--clientProcessId <pid>', 'some editors add it').hideHelp())
    .addHelpText(
      'after',
      `
Editors start it; editors/vscode is an extension for VS Code. It answers with diagnostics,
completion, hover, definitions (also into modules), references, rename, formatting, outline,
semantic tokens and quick fixes.

Examples:
  kwam-dp lsp --stdio
  kwam-dp lsp --stdio --from modules --inventory fleet.json`,
    )
    .action(async ({ from, inventory }: LspOptions) => {
      const inventoryFile = inventory === undefined ? {} : { inventoryFile: resolve(inventory) };
      const places = { environment: shell.environment, sources: from ?? [], ...inventoryFile };
      shell.exitCode = await serveLanguage(process.stdin, process.stdout, places);
      process.stdin.destroy();
    });
}

/** Resolves with the exit code when the editor is done or gone. */
export function serveLanguage(input: Readable, output: Writable, places: WorkspacePlaces): Promise<number> {
  const server = new LanguageServer(input, output, places);
  return server.ended;
}

function standardModules(): readonly string[] {
  const names = readdirSync(standardDirectory()).filter((name) => name.endsWith('.kwam'));
  return names.map((name) => `std/${name.slice(0, -'.kwam'.length)}`).sort();
}

class LanguageServer {
  readonly ended: Promise<number>;
  #end: (code: number) => void = () => undefined;
  readonly #connection: ProtocolConnection;
  readonly #workspace: Workspace;
  readonly #inventoryFile: string | undefined;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #abilities: EditorAbilities | undefined;
  #watch: NodeJS.Timeout | undefined;
  #isShutDown = false;

  constructor(input: Readable, output: Writable, places: WorkspacePlaces) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#workspace = new Workspace(places);
    this.#inventoryFile = places.inventoryFile;
    const writer = new StreamMessageWriter(output);
    const connection = createProtocolConnection(new FramedReader(input), writer);
    this.#connection = connection;
    connection.onError(([error]) => {
      if (!(error instanceof MalformedMessage)) return;
      const { code, message } = error;
      const answer = { jsonrpc: '2.0', id: null, error: { code, message } } as Message;
      void writer.write(answer).catch(() => this.#finish());
    });
    connection.onClose(() => this.#finish());
    this.#live();
    this.#follow();
    new Features({
      connection,
      workspace: this.#workspace,
      abilities: () => this.#abilities!,
      modules: standardModules(),
      refusal: () => this.#refusal(),
    });
    connection.listen();
  }

  #refusal(): ResponseError | undefined {
    if (this.#abilities === undefined)
      return new ResponseError(ErrorCodes.ServerNotInitialized, 'expected `initialize` first');
    return this.#isShutDown
      ? new ResponseError(ErrorCodes.InvalidRequest, 'expected nothing but `exit` after `shutdown`')
      : undefined;
  }

  #live(): void {
    const connection = this.#connection;
    connection.onRequest(InitializeRequest.type, (params) => {
      if (params === null || typeof params !== 'object')
        return new ResponseError(ErrorCodes.InvalidParams, 'expected the capabilities of the editor');
      this.#abilities = abilitiesOf(params);
      if (typeof params.processId === 'number') this.#watchEditor(params.processId);
      const serverInfo = { name: 'kwam-dp', version: packageJson.version };
      return { capabilities: CAPABILITIES, serverInfo };
    });
    connection.onNotification(InitializedNotification.type, () => this.#watchFiles());
    connection.onRequest(ShutdownRequest.type, () => {
      this.#isShutDown = true;
    });
    connection.onNotification(ExitNotification.type, () => this.#finish());
  }

  /** An editor that was killed says nothing more; its server goes too. */
  #watchEditor(processId: number): void {
    this.#watch = setInterval(() => {
      try {
        process.kill(processId, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EPERM') this.#finish();
      }
    }, EDITOR_ALIVE_EVERY_MS);
    this.#watch.unref();
  }

  #finish(): void {
    clearInterval(this.#watch);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#connection.dispose();
    this.#end(this.#isShutDown ? EXIT.success : EXIT.no);
  }

  /** Modules, signatures, locks and keys are read again when the editor sees one change. */
  #watchFiles(): void {
    if (this.#abilities?.watchesFiles !== true) return;
    const read = ['**/*.kwam', '**/*.kwam.sig', '**/kwam.lock', '**/trust.json'];
    const own = this.#inventoryFile === undefined ? [] : [`**/${basename(this.#inventoryFile)}`];
    const watchers = [...read, ...own].map((globPattern) => ({ globPattern }));
    const registration = {
      id: 'kwam-files',
      method: DidChangeWatchedFilesNotification.method,
      registerOptions: { watchers },
    };
    // An editor that refuses still tells what it saves.
    void this.#connection
      .sendRequest(RegistrationRequest.type, { registrations: [registration] })
      .catch(() => undefined);
  }

  #follow(): void {
    const connection = this.#connection;
    connection.onNotification(DidOpenTextDocumentNotification.type, (params) => {
      const { uri, version, text } = params?.textDocument ?? {};
      if (typeof uri !== 'string' || typeof text !== 'string') return;
      this.#workspace.open(uri, version, text);
      this.#expectDiagnostics(uri);
    });
    connection.onNotification(DidChangeTextDocumentNotification.type, (params) => {
      const { uri, version } = params?.textDocument ?? {};
      const changes = (params?.contentChanges ?? []).filter(isChange);
      if (this.#workspace.change(uri, version, changes)) this.#expectDiagnostics(uri);
    });
    connection.onNotification(DidCloseTextDocumentNotification.type, (params) => {
      const uri = params?.textDocument?.uri;
      this.#workspace.close(uri);
      clearTimeout(this.#timers.get(uri));
      this.#timers.delete(uri);
      if (typeof uri === 'string') this.#publish(uri, []);
    });
    connection.onNotification(DidSaveTextDocumentNotification.type, () => this.#refresh());
    connection.onNotification(DidChangeWatchedFilesNotification.type, () => this.#refresh());
  }

  #refresh(): void {
    this.#workspace.refresh();
    for (const uri of this.#workspace.uris) this.#expectDiagnostics(uri);
  }

  /** Once the keystrokes pause. */
  #expectDiagnostics(uri: string): void {
    clearTimeout(this.#timers.get(uri));
    const timer = setTimeout(() => {
      this.#timers.delete(uri);
      void this.#sendDiagnostics(uri);
    }, diagnosticsDelayMs);
    this.#timers.set(uri, timer);
  }

  async #sendDiagnostics(uri: string): Promise<void> {
    const analysis = await this.#workspace.analysis(uri);
    // Closed meanwhile, or changed: then the next timer sends.
    if (analysis === undefined || this.#timers.has(uri)) return;
    this.#publish(uri, diagnosticsOf(analysis), analysis.version);
  }

  #publish(uri: string, diagnostics: Diagnostic[], version?: number): void {
    const params = { uri, diagnostics, ...(version === undefined ? {} : { version }) };
    void this.#connection
      .sendNotification(PublishDiagnosticsNotification.type, params)
      .catch(() => this.#finish());
  }
}

function diagnosticsOf({ compiled, problem }: Analysis): Diagnostic[] {
  if (problem !== undefined) return [wholeDiagnostic(problem)];
  const own = compiled.diagnostics.filter(({ file }) => file === compiled.program.file);
  return own.slice(0, editorDiagnosticsMax).map(diagnosticOf);
}

/** A whole text, or a text in the place of a range. */
function isChange(change: unknown): boolean {
  const { text, range } = (change ?? {}) as { text?: unknown; range?: { start?: unknown; end?: unknown } };
  if (typeof text !== 'string') return false;
  if (range === undefined) return true;
  const isPlace = (place: unknown): boolean => {
    const { line, character } = (place ?? {}) as { line?: unknown; character?: unknown };
    return Number.isSafeInteger(line) && Number.isSafeInteger(character);
  };
  return isPlace(range.start) && isPlace(range.end);
}
