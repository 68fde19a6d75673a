/**
 * The requests of an editor, each answered by its function of src/editor/.
 * In: a connection, the open programs, and what the editor can do. A program that is not open gets the empty answer; parameters of
 * another form, a place outside of the text excepted, are refused as invalid; a request that is cancelled meanwhile says so.
 */
import {
  type CancellationToken,
  CodeActionRequest,
  CompletionRequest,
  DefinitionRequest,
  DocumentFormattingRequest,
  DocumentHighlightRequest,
  DocumentSymbolRequest,
  ErrorCodes,
  HoverRequest,
  type InitializeParams,
  LSPErrorCodes,
  type Position,
  PrepareRenameRequest,
  type ProtocolConnection,
  type ProtocolRequestType,
  ReferencesRequest,
  RenameRequest,
  type RequestHandler,
  ResponseError,
  SemanticTokensRequest,
  type ServerCapabilities,
  TextDocumentSyncKind,
} from 'vscode-languageserver-protocol/node';
import { completionsAt } from '../editor/completion.ts';
import { definitionAt } from '../editor/definition.ts';
import { formattingEdits } from '../editor/formatting.ts';
import { hoverAt } from '../editor/hover.ts';
import { namedAt } from '../editor/names.ts';
import { outlineOf } from '../editor/outline.ts';
import { quickFixes } from '../editor/quick-fixes.ts';
import { referencesTo } from '../editor/references.ts';
import { renamableAt, rename } from '../editor/rename.ts';
import { semanticTokens, TOKEN_MODIFIERS, TOKEN_TYPES } from '../editor/semantic-tokens.ts';
import {
  codeActionOf,
  completionItemOf,
  type EditForm,
  editOf,
  encodeTokens,
  offsetOf,
  rangeOf,
  sourceRangeOf,
  symbolOf,
  workspaceEditOf,
} from './lsp-protocol.ts';
import type { Analysis, Workspace } from './lsp-workspace.ts';

export const CAPABILITIES: ServerCapabilities = {
  positionEncoding: 'utf-16',
  textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
  completionProvider: { triggerCharacters: ['"', '{', '.', '['] },
  hoverProvider: true,
  definitionProvider: true,
  referencesProvider: true,
  documentHighlightProvider: true,
  renameProvider: { prepareProvider: true },
  documentFormattingProvider: true,
  documentSymbolProvider: true,
  codeActionProvider: { codeActionKinds: ['quickfix'] },
  semanticTokensProvider: {
    legend: { tokenTypes: [...TOKEN_TYPES], tokenModifiers: [...TOKEN_MODIFIERS] },
    full: true,
  },
};

/** What decides the form of answers. */
export interface EditorAbilities {
  readonly completionSnippets: boolean;
  readonly editSnippets: boolean;
  readonly versionedEdits: boolean;
  readonly watchesFiles: boolean;
}

export function abilitiesOf({ capabilities }: InitializeParams): EditorAbilities {
  const { textDocument, workspace } = capabilities ?? {};
  return {
    completionSnippets: textDocument?.completion?.completionItem?.snippetSupport === true,
    editSnippets: workspace?.workspaceEdit?.snippetEditSupport === true,
    versionedEdits: workspace?.workspaceEdit?.documentChanges === true,
    watchesFiles: workspace?.didChangeWatchedFiles?.dynamicRegistration === true,
  };
}

interface AboutDocument {
  readonly textDocument: { readonly uri: string };
}

/** Editors may send anything, and the connection checks no form. */
function isAboutDocument(params: unknown): boolean {
  const { textDocument, position, range } = (params ?? {}) as Record<string, { uri?: unknown } | undefined>;
  if (typeof textDocument?.uri !== 'string') return false;
  if (position !== undefined && !isPosition(position)) return false;
  const { start, end } = (range ?? {}) as { start?: unknown; end?: unknown };
  return range === undefined || (isPosition(start) && isPosition(end));
}

function isPosition(value: unknown): boolean {
  const { line, character } = (value ?? {}) as Partial<Position>;
  return Number.isSafeInteger(line) && Number.isSafeInteger(character);
}

export interface FeatureParts {
  readonly connection: ProtocolConnection;
  readonly workspace: Workspace;
  readonly abilities: () => EditorAbilities;
  /** Names for `import`. */
  readonly modules: readonly string[];
  /** Why no request may be answered now, or undefined. */
  readonly refusal: () => ResponseError | undefined;
}

export class Features {
  readonly #parts: FeatureParts;

  constructor(parts: FeatureParts) {
    this.#parts = parts;
    this.#answerPlaces();
    this.#answerNames();
    this.#answerDocuments();
  }

  #on<P extends AboutDocument, R, PR, E, RO>(
    type: ProtocolRequestType<P, R, PR, E, RO>,
    empty: R,
    answer: (analysis: Analysis, params: P) => R | Promise<R>,
  ): void {
    const { connection, workspace, refusal } = this.#parts;
    const handler = async (params: P, token: CancellationToken): Promise<R> => {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      if (!isAboutDocument(params)) throw invalidParams();
      const analysis = await workspace.analysis(params.textDocument.uri);
      if (token.isCancellationRequested) throw new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
      return analysis === undefined ? empty : answer(analysis, params);
    };
    connection.onRequest(type, handler as RequestHandler<P, R, E>);
  }

  #answerPlaces(): void {
    const { modules, abilities } = this.#parts;
    this.#on(CompletionRequest.type, [], ({ compiled, tables }, { position }) => {
      const offset = offsetOf(compiled.source, position);
      const found = completionsAt(compiled, offset, { tables, modules });
      return found.map((each, at) => completionItemOf(each, at, abilities().completionSnippets));
    });
    this.#on(HoverRequest.type, null, ({ compiled, tables }, { position }) => {
      const hover = hoverAt(compiled, offsetOf(compiled.source, position), tables);
      if (hover === undefined) return null;
      return { contents: { kind: 'markdown' as const, value: hover.markdown }, range: rangeOf(hover.range) };
    });
    this.#on(DefinitionRequest.type, null, ({ compiled }, { position }) => {
      const found = definitionAt(compiled, offsetOf(compiled.source, position));
      if (found === undefined) return null;
      return { uri: this.#parts.workspace.uriOf(found.file), range: rangeOf(found.range) };
    });
  }

  #answerNames(): void {
    const { workspace } = this.#parts;
    this.#on(ReferencesRequest.type, [], async ({ compiled }, { position, context }) => {
      const target = namedAt(compiled.program, offsetOf(compiled.source, position));
      if (target === undefined) return [];
      const programs = (await workspace.all()).map((each) => each.compiled);
      const found = referencesTo(target, programs, context?.includeDeclaration === true);
      return found.map(({ file, range }) => ({ uri: workspace.uriOf(file), range: rangeOf(range) }));
    });
    this.#on(DocumentHighlightRequest.type, [], ({ compiled }, { position }) => {
      const target = namedAt(compiled.program, offsetOf(compiled.source, position));
      const found = target === undefined ? [] : referencesTo(target, [compiled], true);
      return found
        .filter(({ file }) => file === compiled.program.file)
        .map(({ range }) => ({ range: rangeOf(range) }));
    });
    this.#on(PrepareRenameRequest.type, null, ({ compiled }, { position }) => {
      const found = renamableAt(compiled, offsetOf(compiled.source, position));
      if ('refusal' in found) throw new ResponseError(LSPErrorCodes.RequestFailed, found.refusal);
      return { range: rangeOf(found.range), placeholder: found.name };
    });
    this.#on(RenameRequest.type, null, (analysis, { position, newName }) => {
      const { compiled, recompile } = analysis;
      if (typeof newName !== 'string') throw invalidParams();
      const edits = rename(compiled, offsetOf(compiled.source, position), newName, recompile);
      if ('refusal' in edits) throw new ResponseError(LSPErrorCodes.RequestFailed, edits.refusal);
      return workspaceEditOf(edits, this.#formOf(analysis));
    });
  }

  #answerDocuments(): void {
    this.#on(DocumentFormattingRequest.type, [], ({ compiled }) =>
      formattingEdits(compiled.source).map(editOf),
    );
    this.#on(DocumentSymbolRequest.type, [], ({ compiled }) => outlineOf(compiled.program).map(symbolOf));
    this.#on(SemanticTokensRequest.type, { data: [] }, ({ compiled }) => ({
      data: encodeTokens(compiled.source, semanticTokens(compiled)),
    }));
    this.#on(CodeActionRequest.type, [], (analysis, { range, context }) => {
      const { compiled, tables, problem } = analysis;
      const only = context?.only;
      const isAsked = only === undefined || only.some((kind) => kind === '' || kind === 'quickfix');
      if (!isAsked || problem !== undefined) return [];
      const fixes = quickFixes(compiled, tables, sourceRangeOf(compiled.source, range));
      return fixes.map((fix) => codeActionOf(fix, this.#formOf(analysis)));
    });
  }

  #formOf({ uri, version }: Analysis): EditForm {
    const { versionedEdits, editSnippets } = this.#parts.abilities();
    return { uri, version, versioned: versionedEdits, snippets: editSnippets };
  }
}

function invalidParams(): ResponseError {
  return new ResponseError(
    ErrorCodes.InvalidParams,
    'expected { textDocument: { uri }, … } with places as whole numbers, got something else',
  );
}
