/**
 * As much of VS Code as an extension with a language client touches: one open document, one setting, a trusted workspace or not, and a
 * collection of diagnostics that one can wait for. Every other name answers with something that can be called, constructed,
 * disposed and asked for more names, and does nothing.
 */
import { EventEmitter } from 'node:events';
import { pathToFileURL } from 'node:url';

export interface FakeDocument {
  readonly uri: string;
  readonly text: string;
}

class Nothing {
  dispose(): void {}
}

/** Anything, doing nothing. */
function anything(): unknown {
  return new Proxy(class extends Nothing {}, {
    get(target, name) {
      if (name === 'prototype') return target.prototype;
      if (name === Symbol.toPrimitive) return () => '';
      if (name === Symbol.iterator) return () => [][Symbol.iterator]();
      // Not a promise, or whoever awaits it would wait for ever.
      if (name === 'then') return undefined;
      return anything();
    },
    apply: () => anything(),
    // With the prototype of the class that extends it.
    construct: (target, _args, newTarget) => Reflect.construct(target, [], newTarget),
  });
}

/** The given names, and anything for the others. */
function known(names: Readonly<Record<string, unknown>>): unknown {
  return new Proxy(names, {
    get: (target, name) =>
      name in target ? target[name as string] : name === 'then' ? undefined : anything(),
  });
}

class Uri {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  static parse(text: string): Uri {
    return new Uri(text);
  }
  static file(path: string): Uri {
    return new Uri(pathToFileURL(path).href);
  }
  get scheme(): string {
    return new URL(this.#text).protocol.slice(0, -1);
  }
  get fsPath(): string {
    return decodeURIComponent(new URL(this.#text).pathname);
  }
  toString(): string {
    return this.#text;
  }
}

class Position {
  readonly line: number;
  readonly character: number;
  constructor(line: number, character: number) {
    this.line = line;
    this.character = character;
  }
}

class Range {
  readonly start: Position;
  readonly end: Position;
  constructor(...places: [Position, Position] | [number, number, number, number]) {
    const [first, second, third, fourth] = places;
    this.start = first instanceof Position ? first : new Position(first as number, second as number);
    this.end = second instanceof Position ? second : new Position(third as number, fourth as number);
  }
}

class Diagnostic {
  readonly range: Range;
  readonly message: string;
  readonly severity: number;
  code: unknown;
  constructor(range: Range, message: string, severity: number) {
    this.range = range;
    this.message = message;
    this.severity = severity;
  }
}

class VscodeEmitter<T> {
  readonly #emitter = new EventEmitter();
  readonly event = (heard: (value: T) => void, self?: unknown): { dispose(): void } => {
    const listener = (value: T): void => heard.call(self, value);
    this.#emitter.on('event', listener);
    return { dispose: () => this.#emitter.off('event', listener) };
  };
  fire(value: T): void {
    this.#emitter.emit('event', value);
  }
  dispose(): void {
    this.#emitter.removeAllListeners();
  }
}

class CancellationTokenSource {
  readonly token = {
    isCancellationRequested: false,
    onCancellationRequested: () => ({ dispose: () => undefined }),
  };
  cancel(): void {
    this.token.isCancellationRequested = true;
  }
  dispose(): void {}
}

export interface Shown {
  readonly uri: string;
  readonly diagnostics: readonly Diagnostic[];
}

export class FakeEditor extends EventEmitter<{ diagnostics: [Shown]; told: [string]; trusted: [] }> {
  isTrusted = true;
  readonly settings: Record<string, unknown> = {};
  readonly commands = new Map<string, () => Promise<void>>();
  readonly folder: string;
  readonly #document: FakeDocument;

  constructor(folder: string, document: FakeDocument) {
    super();
    this.folder = folder;
    this.#document = document;
  }

  /** What `require('vscode')` gives. */
  module(): unknown {
    const disposable = { dispose: () => undefined };
    const document = this.#textDocument();
    return known({
      version: '1.91.0',
      Uri,
      Position,
      Range,
      Diagnostic,
      CancellationTokenSource,
      EventEmitter: VscodeEmitter,
      DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
      workspace: known({
        isTrusted: this.isTrusted,
        workspaceFolders: [{ uri: new Uri(`file://${this.folder}`), name: 'work', index: 0 }],
        textDocuments: [document],
        notebookDocuments: [],
        getConfiguration: () => ({
          get: (name: string, otherwise: unknown) => this.settings[name] ?? otherwise,
        }),
        onDidGrantWorkspaceTrust: (heard: () => void) => {
          this.on('trusted', heard);
          return disposable;
        },
      }),
      window: known({
        showErrorMessage: async (message: string) => {
          // Emitted later: whoever provokes it listens first.
          setImmediate(() => this.emit('told', message));
        },
        tabGroups: { all: [], onDidChangeTabs: () => disposable, onDidChangeTabGroups: () => disposable },
        visibleTextEditors: [],
        visibleNotebookEditors: [],
      }),
      languages: known({
        match: (selector: unknown, candidate: { languageId?: string }) =>
          JSON.stringify(selector).includes(`"${candidate.languageId}"`) ? 10 : 0,
        createDiagnosticCollection: () =>
          known({
            set: (uri: Uri, diagnostics: readonly Diagnostic[]) =>
              this.emit('diagnostics', { uri: uri.toString(), diagnostics }),
          }),
      }),
      commands: known({
        registerCommand: (name: string, run: () => Promise<void>) => {
          this.commands.set(name, run);
          return disposable;
        },
      }),
    });
  }

  #textDocument(): unknown {
    const { uri, text } = this.#document;
    return {
      uri: new Uri(uri),
      languageId: 'kwam',
      version: 1,
      isClosed: false,
      isDirty: false,
      getText: () => text,
    };
  }
}
