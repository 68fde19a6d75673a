/**
 * Applying what a diagnostic suggests removes the diagnostic and breaks nothing: on every failing example of the explain pages, on the
 * golden programs, and on slips that people make.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DIGEST_PLACEHOLDER } from '../../src/language/code-page.ts';
import { CODES } from '../../src/language/codes.ts';
import type { Diagnostic } from '../../src/language/diagnostic.ts';
import { exampleDiagnostics } from './examples.ts';
import { versioned } from './front.ts';

function applied(text: string, { suggestion }: Diagnostic): string {
  const { range, text: instead } = suggestion!.replacement;
  return text.slice(0, range.start.offset) + instead + text.slice(range.end.offset);
}

const isSyntax = ({ code }: Diagnostic): boolean => /^KW10/.test(code);
const count = (all: readonly Diagnostic[], of: (each: Diagnostic) => boolean): number =>
  all.filter(of).length;

/** Returns how many diagnostics suggested something. */
function tryAll(text: string): number {
  const before = exampleDiagnostics(text, true);
  const suggesting = before.filter(({ suggestion }) => suggestion !== undefined);
  for (const each of suggesting) {
    const changed = applied(text, each);
    const after = exampleDiagnostics(changed, true);
    const isSame = ({ code, message }: Diagnostic) => code === each.code && message === each.message;
    const told = `${each.code} ${each.message}\n${each.suggestion!.title}\n${changed.slice(0, 2000)}`;
    expect(count(after, isSame), told).toBeLessThan(count(before, isSame));
    expect(count(after, isSyntax), told).toBeLessThanOrEqual(count(before, isSyntax));
  }
  return suggesting.length;
}

describe('of the explain pages', () => {
  const pinned = (text: string) => text.replaceAll(DIGEST_PLACEHOLDER, `sha256:${'0'.repeat(64)}`);

  test.each([...CODES])('%s', (_, { failing }) => {
    tryAll(pinned(failing));
  });

  test('a canary: a third of the codes suggest something', () => {
    const suggesting = [...CODES.values()].filter(({ failing }) => tryAll(pinned(failing)) > 0);
    expect(suggesting.length).toBeGreaterThan(CODES.size / 3);
  });
});

const folder = new URL('golden/', import.meta.url);
const golden = readdirSync(folder).filter((name) => name.endsWith('.kwam'));

test.each(golden)('of golden/%s', (name) => {
  expect(tryAll(readFileSync(new URL(name, folder), 'utf8'))).toBeGreaterThan(5);
});

/** Each slip is one mistake, said once, and its suggestion is the correction. */
test.each<[string, string, string]>([
  ['a path without quotes', 'policy p { … ca keys/ca.pem }', 'policy p { … ca "keys/ca.pem" }'],
  ['a digest without quotes', 'client c { … image sha256:9f3a }', 'client c { … image "sha256:9f3a" }'],
  ['a space before a unit', 'deploy d { … bake 10 m }', 'deploy d { … bake 10m }'],
  [
    'a space before a unit in a list',
    'deploy d { … waves [5 percent, 100percent] }',
    'deploy d { … waves [5percent, 100percent] }',
  ],
  [
    'no comma',
    'server s { … seeds [a.internal b.internal] }',
    'server s { … seeds [a.internal, b.internal] }',
  ],
  ['no comma in a code', 'replicate r { … erasure rs(6 3) }', 'replicate r { … erasure rs(6, 3) }'],
  ['yes for true', 'replicate r { … repair { lazy yes } }', 'replicate r { … repair { lazy true } }'],
  ['no brackets', 'deploy d { … waves 100percent }', 'deploy d { … waves [100percent] }'],
  ['a number for a multiple', 'discovery d { … fanout 8 }', 'discovery d { … fanout 8x }'],
  ['capitals in a unit', 'profile p { … cache_size 512MB }', 'profile p { … cache_size 512mb }'],
  ['quotes around a word', 'client c { … safepoint "reexec" }', 'client c { … safepoint reexec }'],
  ['a word without quotes', 'profile p { … hardware h100 }', 'profile p { … hardware "h100" }'],
  ['swapped letters', 'deploy d { … stratgey canary }', 'deploy d { … strategy canary }'],
  [
    'a pool of one',
    'pool p { select spiffe://kwam/acme/n1/node }',
    'pool p { select spiffe://kwam/acme/*/node }',
  ],
  ['an equals sign', 'deploy d { … bake = 10m }', 'deploy d { … bake  10m }'],
  [
    'a module without quotes',
    'import std/faultdomains as fd digest "sha256:…"',
    'import "std/faultdomains" as fd digest "sha256:…"',
  ],
])('%s', (_, slip, right) => {
  const text = versioned(slip);
  const found = exampleDiagnostics(text, true).filter(
    ({ severity, code }) => severity === 'error' && code !== 'KW1901',
  );
  expect(found.map(({ code, message }) => `${code} ${message}`).length).toBe(1);
  expect(applied(text, found[0]!)).toBe(versioned(right));
});
