/**
 * Diagnostics as SARIF 2.1.0 (OASIS standard, 2020-03-27), for code scanning and editors.
 * Columns are UTF-16 units, which is SARIF's default and said nevertheless; a suggestion becomes a fix.
 */
import { CODES } from './codes.ts';
import type { Diagnostic, DiagnosticCode, Severity } from './diagnostic.ts';
import type { SourceRange } from './source.ts';

const LEVELS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', note: 'note' };
const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

function region({ start, end }: SourceRange) {
  return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
}

/** A path as a URI reference: what RFC 3986 does not allow in a path is escaped. */
function uriOf(file: string): string {
  return file
    .split('/')
    .map((segment) => encodeURIComponent(segment.toWellFormed()))
    .join('/');
}

function fixesOf({ suggestion, file }: Diagnostic) {
  if (suggestion === undefined) return {};
  const { range, text } = suggestion.replacement;
  const replacements = [{ deletedRegion: region(range), insertedContent: { text } }];
  const artifactChanges = [{ artifactLocation: { uri: uriOf(file) }, replacements }];
  return { fixes: [{ description: { text: suggestion.title }, artifactChanges }] };
}

function resultOf(each: Diagnostic, ruleIndex: number) {
  const { code, severity, message, note, file, range } = each;
  return {
    ruleId: code,
    ruleIndex,
    level: LEVELS[severity],
    message: { text: note === undefined ? message : `${message}\n${note}` },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(file) }, region: region(range) } }],
    ...fixesOf(each),
  };
}

function ruleOf(code: DiagnosticCode) {
  const page = CODES.get(code);
  if (page === undefined) return { id: code };
  return { id: code, shortDescription: { text: page.title }, fullDescription: { text: page.why } };
}

export function renderSarif(diagnostics: readonly Diagnostic[], version: string) {
  const codes = [...new Set(diagnostics.map((each) => each.code))].sort();
  const driver = { name: 'kwam-dp', version, rules: codes.map(ruleOf) };
  const results = diagnostics.map((each) => resultOf(each, codes.indexOf(each.code)));
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  } as const;
}
