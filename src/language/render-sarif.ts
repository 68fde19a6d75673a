/**
 * Diagnostics as SARIF 2.1.0 (OASIS standard, 2020-03-27), for code scanning and editors.
 * Columns are UTF-16 units, which is SARIF's default and said nevertheless; a suggestion becomes a fix.
 * Every code is a rule of every run, so that rules change with the version of the program and not with what it looked at. What code scanning
 * needs beyond the schema is from GitHub's "SARIF support for code scanning": `help.text`, both descriptions, relative URIs. There is no `helpUri`:
 * the pages are in the program itself (`kwam-dp explain CODE`). Fingerprints are left to the uploader, which has the sources.
 */

import { type CodePage, readable } from './code-page.ts';
import { CODES } from './codes.ts';
import type { Diagnostic, DiagnosticCode, Severity } from './diagnostic.ts';
import type { SourceRange } from './source.ts';

const LEVELS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', note: 'note' };
const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

function region({ start, end }: SourceRange) {
  return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
}

/** A path as a URI reference: what RFC 3986 does not allow in a path is escaped. Only a path from the root becomes an absolute URI. */
function uriOf(file: string): string {
  const path = file
    .split('/')
    .map((segment) => encodeURIComponent(segment.toWellFormed()))
    .join('/');
  return path.startsWith('/') ? `file://${path}` : path;
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

function ruleOf([code, page]: readonly [DiagnosticCode, CodePage]) {
  const { title, why, failing, passing } = readable(page);
  const help = `${why}\n\nThis fails:\n\n${failing}\nThis passes:\n\n${passing}`;
  const markdown = `${why}\n\nThis fails:\n\n\`\`\`\n${failing}\`\`\`\n\nThis passes:\n\n\`\`\`\n${passing}\`\`\`\n`;
  return {
    id: code,
    shortDescription: { text: title },
    fullDescription: { text: why },
    help: { text: help, markdown },
  };
}

const RULES = [...CODES].map(ruleOf);
const RULE_INDEX = new Map(RULES.map(({ id }, index) => [id, index]));

export function renderSarif(diagnostics: readonly Diagnostic[], version: string) {
  const driver = { name: 'kwam-dp', version, semanticVersion: version, rules: RULES };
  const results = diagnostics.map((each) => resultOf(each, RULE_INDEX.get(each.code)!));
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }],
  } as const;
}
