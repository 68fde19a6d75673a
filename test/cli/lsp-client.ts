/**
 * An editor, as far as the protocol goes: starts the real server as a process of its own and speaks to it over its standard streams with
 * vscode-jsonrpc, whose framing is not the server's own.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClientCapabilities,
  createProtocolConnection,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  type Position,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  type PublishDiagnosticsParams,
  RegistrationRequest,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  type TextDocumentContentChangeEvent,
} from 'vscode-languageserver-protocol/node';
import { PROGRAM } from './run.ts';

/** What VS Code can do; a test may take some of it away. */
export const ABLE: ClientCapabilities = {
  textDocument: { completion: { completionItem: { snippetSupport: true } } },
  workspace: {
    workspaceEdit: { documentChanges: true },
    didChangeWatchedFiles: { dynamicRegistration: true },
  },
};

export class Editor {
  readonly child: ChildProcessWithoutNullStreams;
  readonly connection: ProtocolConnection;
  readonly registered: string[] = [];
  /** Of every message with diagnostics, in their order. */
  readonly publishedVersions: (number | undefined)[] = [];
  stderr = '';
  readonly #published = new Map<string, PublishDiagnosticsParams>();
  readonly #heard = new Set<() => void>();
  readonly #versions = new Map<string, number>();

  constructor(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [PROGRAM, 'lsp', '--stdio', ...args], {
      env: { ...process.env, ...env },
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    const { stdout, stdin } = this.child;
    this.connection = createProtocolConnection(
      new StreamMessageReader(stdout),
      new StreamMessageWriter(stdin),
    );
    this.connection.onNotification(PublishDiagnosticsNotification.type, (params) => {
      this.#published.set(params.uri, params);
      this.publishedVersions.push(params.version);
      for (const look of this.#heard) look();
    });
    this.connection.onRequest(RegistrationRequest.type, ({ registrations }) => {
      this.registered.push(...registrations.map(({ method }) => method));
    });
    this.connection.listen();
  }

  static async start(capabilities: ClientCapabilities = ABLE, args: readonly string[] = []): Promise<Editor> {
    const editor = new Editor(args);
    await editor.initialize(capabilities);
    return editor;
  }

  async initialize(capabilities: ClientCapabilities = ABLE) {
    const params = { processId: process.pid, rootUri: null, capabilities };
    const result = await this.connection.sendRequest(InitializeRequest.type, params);
    await this.connection.sendNotification(InitializedNotification.type, {});
    return result;
  }

  async open(uri: string, text: string): Promise<void> {
    this.#versions.set(uri, 1);
    const textDocument = { uri, languageId: 'kwam', version: 1, text };
    await this.connection.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });
  }

  async change(uri: string, contentChanges: TextDocumentContentChangeEvent[]): Promise<number> {
    const version = (this.#versions.get(uri) ?? 0) + 1;
    this.#versions.set(uri, version);
    const textDocument = { uri, version };
    await this.connection.sendNotification(DidChangeTextDocumentNotification.type, {
      textDocument,
      contentChanges,
    });
    return version;
  }

  async close(uri: string): Promise<void> {
    this.#versions.delete(uri);
    this.forget(uri);
    await this.connection.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } });
  }

  /** Those of this version or a later one; of a closed document, those that were sent since. */
  async diagnostics(uri: string, version = this.#versions.get(uri)): Promise<Diagnostic[]> {
    const isThere = (): boolean => {
      const params = this.#published.get(uri);
      return params !== undefined && (version === undefined || (params.version ?? 0) >= version);
    };
    if (!isThere()) {
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (!isThere()) return;
          this.#heard.delete(look);
          resolve();
        };
        this.#heard.add(look);
      });
    }
    return this.#published.get(uri)!.diagnostics;
  }

  /** Forgets what was published, so that the next wait is for something new. */
  forget(uri: string): void {
    this.#published.delete(uri);
  }

  /** Ends the server as an editor does; its exit code. */
  async stop(): Promise<number | null> {
    await this.connection.sendRequest(ShutdownRequest.type);
    await this.connection.sendNotification(ExitNotification.type);
    return this.exitCode();
  }

  async exitCode(): Promise<number | null> {
    const { child } = this;
    if (child.exitCode === null)
      await Promise.race([once(child, 'exit'), sleep(20_000, undefined, { ref: false })]);
    this.connection.dispose();
    if (child.exitCode === null) child.kill('SIGKILL');
    return child.exitCode;
  }
}

/** The place of a needle in a text, `into` characters behind its beginning. */
export function placeOf(text: string, needle: string, into = 0): Position {
  const offset = text.indexOf(needle) + into;
  if (!text.includes(needle)) throw new Error(`the text has no ${needle}`);
  const before = text.slice(0, offset).split('\n');
  return { line: before.length - 1, character: before.at(-1)!.length };
}
