/**
 * Our values as those of the language server protocol, and back.
 * Lines and columns are 1-based here and 0-based there; both count UTF-16 units. Source: LSP 3.18.
 */
import {
  type CodeAction,
  CodeActionKind,
  type CompletionItem,
  CompletionItemKind,
  DiagnosticSeverity,
  type DocumentSymbol,
  InsertTextFormat,
  type Position,
  type Diagnostic as ProtocolDiagnostic,
  type TextEdit as ProtocolEdit,
  type Range,
  SymbolKind,
  type WorkspaceEdit,
} from 'vscode-languageserver-protocol/node';
import type { Completion } from '../editor/completion.ts';
import type { OutlineEntry } from '../editor/outline.ts';
import type { QuickFix } from '../editor/quick-fixes.ts';
import { type SemanticToken, TOKEN_TYPES } from '../editor/semantic-tokens.ts';
import { type Piece, plainText, type Snippet } from '../editor/snippet.ts';
import type { TextEdit } from '../editor/text-edit.ts';
import type { Diagnostic, Severity } from '../language/diagnostic.ts';
import type { SourcePoint, SourceRange, SourceText } from '../language/source.ts';

const positionOf = ({ line, column }: SourcePoint): Position => ({ line: line - 1, character: column - 1 });

export function rangeOf({ start, end }: SourceRange): Range {
  return { start: positionOf(start), end: positionOf(end) };
}

export function offsetOf(source: SourceText, { line, character }: Position): number {
  return source.offset(line + 1, character + 1);
}

export function sourceRangeOf(source: SourceText, { start, end }: Range): SourceRange {
  return source.range(offsetOf(source, start), offsetOf(source, end));
}

const SEVERITIES: Readonly<Record<Severity, DiagnosticSeverity>> = {
  error: DiagnosticSeverity.Error,
  warning: DiagnosticSeverity.Warning,
  note: DiagnosticSeverity.Information,
};

export function diagnosticOf({ code, severity, message, note, range }: Diagnostic): ProtocolDiagnostic {
  return {
    range: rangeOf(range),
    severity: SEVERITIES[severity],
    code,
    source: 'kwam',
    message: note === undefined ? message : `${message}\n${note}`,
  };
}

/** About the whole program, at its beginning. */
export function wholeDiagnostic(message: string): ProtocolDiagnostic {
  const start = { line: 0, character: 0 };
  return { range: { start, end: start }, severity: DiagnosticSeverity.Error, source: 'kwam', message };
}

export function editOf({ range, text }: TextEdit): ProtocolEdit {
  return { range: rangeOf(range), newText: text };
}

/** `\`, `$` and `}` mean something in a snippet; `,` and `|` as well in a choice. */
function snippetPiece(piece: Piece, tab: number): string {
  if (typeof piece === 'string') return piece.replace(/[\\$}]/g, '\\$&');
  if ('placeholder' in piece) return `\${${tab}:${piece.placeholder.replace(/[\\$}]/g, '\\$&')}}`;
  if (piece.choice.length === 1) return snippetPiece({ placeholder: piece.choice[0]! }, tab);
  return `\${${tab}|${piece.choice.map((each) => each.replace(/[\\$},|]/g, '\\$&')).join(',')}|}`;
}

export function snippetText(snippet: Snippet): string {
  let tab = 0;
  return snippet.map((piece) => snippetPiece(piece, typeof piece === 'string' ? tab : ++tab)).join('');
}

const COMPLETION_KINDS: Readonly<Record<Completion['kind'], CompletionItemKind>> = {
  keyword: CompletionItemKind.Keyword,
  block: CompletionItemKind.Class,
  attribute: CompletionItemKind.Property,
  word: CompletionItemKind.EnumMember,
  value: CompletionItemKind.Value,
  name: CompletionItemKind.Variable,
  module: CompletionItemKind.Module,
};

/** An editor without snippets gets a value whole, and of a block or an attribute only its name. */
function insertionOf({ insert, kind, label }: Completion, withSnippets: boolean): string {
  if (withSnippets) return snippetText(insert);
  return kind === 'block' || kind === 'attribute' || kind === 'keyword' ? label : plainText(insert);
}

export function completionItemOf(completion: Completion, at: number, withSnippets: boolean): CompletionItem {
  const { label, kind, detail, documentation, range } = completion;
  return {
    label,
    kind: COMPLETION_KINDS[kind],
    detail,
    ...(documentation === undefined ? {} : { documentation: { kind: 'markdown', value: documentation } }),
    sortText: String(at).padStart(4, '0'),
    insertTextFormat: withSnippets ? InsertTextFormat.Snippet : InsertTextFormat.PlainText,
    textEdit: { range: rangeOf(range), newText: insertionOf(completion, withSnippets) },
  };
}

/** Five numbers a token, lines and columns relative to the token before. */
export function encodeTokens(source: SourceText, tokens: readonly SemanticToken[]): number[] {
  let [line, column] = [1, 1];
  return tokens.flatMap(({ start, end, type, isDeclaration }) => {
    const point = source.point(start);
    const startDelta = point.line === line ? point.column - column : point.column - 1;
    const encoded = [
      point.line - line,
      startDelta,
      end - start,
      TOKEN_TYPES.indexOf(type),
      isDeclaration ? 1 : 0,
    ];
    [line, column] = [point.line, point.column];
    return encoded;
  });
}

export interface EditForm {
  readonly uri: string;
  readonly version: number;
  /** What the editor understands. */
  readonly versioned: boolean;
  readonly snippets: boolean;
}

export function workspaceEditOf(
  edits: readonly TextEdit[],
  { uri, version, versioned }: EditForm,
): WorkspaceEdit {
  const protocolEdits = edits.map(editOf);
  if (!versioned) return { changes: { [uri]: protocolEdits } };
  return { documentChanges: [{ textDocument: { uri, version }, edits: protocolEdits }] };
}

function fixEdit({ edits, fillable }: QuickFix, form: EditForm): WorkspaceEdit {
  if (fillable === undefined || !form.versioned || !form.snippets) return workspaceEditOf(edits, form);
  const { uri, version } = form;
  const snippet = { kind: 'snippet' as const, value: snippetText(fillable.snippet) };
  const edit = { range: rangeOf(fillable.range), snippet };
  return { documentChanges: [{ textDocument: { uri, version }, edits: [edit] }] };
}

export function codeActionOf(fix: QuickFix, form: EditForm): CodeAction {
  return {
    title: fix.title,
    kind: CodeActionKind.QuickFix,
    diagnostics: [diagnosticOf(fix.diagnostic)],
    edit: fixEdit(fix, form),
  };
}

const SYMBOL_KINDS: Readonly<Record<OutlineEntry['kind'], SymbolKind>> = {
  block: SymbolKind.Class,
  let: SymbolKind.Variable,
  import: SymbolKind.Module,
  attribute: SymbolKind.Property,
};

export function symbolOf({ name, detail, kind, range, nameRange, inner }: OutlineEntry): DocumentSymbol {
  return {
    name: name === '' ? '…' : name,
    detail,
    kind: SYMBOL_KINDS[kind],
    range: rangeOf(range),
    selectionRange: rangeOf(nameRange),
    children: inner.map(symbolOf),
  };
}
