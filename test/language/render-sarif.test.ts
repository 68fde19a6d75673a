/**
 * SARIF 2.1.0 as code scanning takes it. Required properties and their bounds: the OASIS schema sarif-schema-2.1.0.json (sarifLog, run, tool,
 * result, region, reportingDescriptor, fix) and GitHub's "SARIF support for code scanning", which asks for more.
 */
import { describe, expect, test } from 'vitest';
import { readable } from '../../src/language/code-page.ts';
import { CODES } from '../../src/language/codes.ts';
import { renderSarif } from '../../src/language/render-sarif.ts';
import { front, versioned } from './front.ts';

/** GitHub cuts longer descriptions off. */
const DESCRIPTION_MAX = 1024;
const BROKEN = versioned('metric m {\n  observe "😀red" target 8x window …\n}\nlet a = 1 let a = 2');
const rendered = (file: string, text = BROKEN) =>
  JSON.parse(JSON.stringify(renderSarif(front(text, undefined, file).diagnostics, '1.2.3')));
const log = rendered('fleet/a b.kwam');
const [run] = log.runs;

test('the log has its schema, its version and one run of a named tool with a version', () => {
  expect(Object.keys(log).sort()).toEqual(['$schema', 'runs', 'version']);
  expect(log.version).toBe('2.1.0');
  expect(log.$schema).toMatch(/^https:\/\/docs\.oasis-open\.org\/sarif\/.*sarif-schema-2\.1\.0\.json$/);
  expect(log.runs).toHaveLength(1);
  expect(run.tool.driver).toMatchObject({ name: 'kwam-dp', version: '1.2.3', semanticVersion: '1.2.3' });
});

describe('rules', () => {
  test('are all codes, each once, whatever was found', () => {
    expect(run.tool.driver.rules.map(({ id }: { id: string }) => id)).toEqual([...CODES.keys()]);
    expect(rendered('x.kwam', versioned('')).runs[0].tool).toEqual(run.tool);
  });

  test('have the descriptions and the help that code scanning requires, within its bounds', () => {
    for (const rule of run.tool.driver.rules) {
      for (const text of [rule.shortDescription.text, rule.fullDescription.text]) {
        expect([rule.id, text.length > 0 && text.length <= DESCRIPTION_MAX]).toEqual([rule.id, true]);
      }
      expect(rule.help.text).toContain(readable(CODES.get(rule.id)!).failing);
      expect(rule.help.markdown.split('```')).toHaveLength(5);
    }
  });
});

describe('results', () => {
  test('name a rule by id and by index, with a level, a message and one place', () => {
    expect(run.results.length).toBeGreaterThan(3);
    for (const result of run.results) {
      expect(run.tool.driver.rules[result.ruleIndex].id).toBe(result.ruleId);
      expect(['error', 'warning', 'note']).toContain(result.level);
      expect(result.message.text).not.toBe('');
      expect(result.locations).toHaveLength(1);
    }
  });

  test('stand at lines and columns from 1, in UTF-16 units, the end beyond the last one', () => {
    expect(run.columnKind).toBe('utf16CodeUnits');
    const lines = BROKEN.split('\n');
    for (const { locations } of run.results) {
      const { startLine, startColumn, endLine, endColumn } = locations[0].physicalLocation.region;
      expect(startLine >= 1 && startColumn >= 1 && endLine >= startLine).toBe(true);
      expect(
        startColumn <= lines[startLine - 1]!.length + 1 && endColumn <= lines[endLine - 1]!.length + 1,
      ).toBe(true);
    }
    const hole = run.results.find(({ ruleId }: { ruleId: string }) => ruleId === 'KW1901');
    const { startColumn, endColumn } = hole.locations[0].physicalLocation.region;
    expect(lines[2]!.slice(startColumn - 1, endColumn - 1)).toBe('…');
  });

  test('name their file by a relative URI reference, or by a file URI when the path begins at the root', () => {
    const uriOf = (file: string) =>
      rendered(file).runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri;
    expect(uriOf('fleet/a b#1.kwam')).toBe('fleet/a%20b%231.kwam');
    expect(uriOf('/srv/a b.kwam')).toBe('file:///srv/a%20b.kwam');
  });

  test('have fixes with a description and replacements in the same file', () => {
    const fixed = rendered(
      'm.kwam',
      versioned('metric m { observe silent_corruption_count target 0 window 30 d }'),
    );
    const [fix] = fixed.runs[0].results[0].fixes;
    expect(fix.description.text).not.toBe('');
    const [change] = fix.artifactChanges;
    expect(change.artifactLocation.uri).toBe('m.kwam');
    expect(change.replacements[0]).toMatchObject({
      deletedRegion: { startLine: 2 },
      insertedContent: { text: '30d' },
    });
  });
});
