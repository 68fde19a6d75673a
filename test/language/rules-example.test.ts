/**
 * The rules on whole programs: the example is right and stays so on other hardware, and one change breaks one rule.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CheckContext } from '../../src/language/check-context.ts';
import { type Compiled, compile } from '../../src/language/compile.ts';
import { faultdomains } from './front.ts';
import { TABLES } from './standard-tables.ts';

const EXAMPLE = readFileSync(new URL('../../examples/h100.kwam', import.meta.url), 'utf8');

function checked(text: string, context: Partial<CheckContext> = {}): Compiled {
  return compile('h100.kwam', text, { modules: faultdomains(), context: { tables: TABLES, ...context } });
}

function changed(from: string, to: string): string {
  expect(EXAMPLE).toContain(from);
  return EXAMPLE.replace(from, to);
}

const errorsOf = ({ diagnostics }: Compiled): readonly string[] =>
  diagnostics.filter(({ severity }) => severity === 'error').map(({ code, message }) => `${code} ${message}`);

describe('the example', () => {
  test('has no errors and no warnings', () => {
    const { diagnostics, ok } = checked(EXAMPLE);
    expect(diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(ok).toBe(true);
  });

  test.each([
    ['tpu', '"ici+dcn"'],
    ['trainium', '"neuronlink+efa"'],
    ['h200', undefined],
  ])('on %s it has no errors; an interconnect of other hardware is a warning', (hardware, interconnect) => {
    const compiled = checked(changed('hardware "h100"', `hardware "${hardware}"`));
    expect(errorsOf(compiled)).toEqual([]);
    const warning = compiled.diagnostics.find(({ code }) => code === 'KW6003');
    expect(warning?.severity).toBe(interconnect === undefined ? undefined : 'warning');
    expect(warning?.suggestion?.replacement.text).toBe(interconnect);
  });

  test.each<[string, string, string]>([
    ['sandbox gvisor #', 'sandbox runc #', 'KW3012'],
    ['sandbox gvisor #', 'sandbox none #', 'KW3011'],
    ['sandbox_floor gvisor', 'sandbox_floor none', 'KW3011'],
    ['image "sha256:c3f1', 'image "sha256:c3', 'KW3014'],
    ['dual_control true ', 'dual_control false', 'KW3022'],
    ['discover_scope [10.40.0.0/16]', '', 'KW3021'],
    ['discover_scope [10.40.0.0/16]', 'discover_scope [10.40.0.1/16]', 'KW3023'],
    ['caps [discover,', 'caps [discovery,', 'KW3020'],
    ['"spiffe://kwam/acme/cl-7/*/*/*/seed"', '"spiffe://kwam/acme/cl-7/a/b/c/seed"', 'KW3018'],
    ['task "next-hop-path"', 'task "chat"', 'KW3024'],
    ['fallback deterministic', 'fallback model', 'KW3025'],
    ['max_tokens 256', '', 'KW3026'],
    ['health [dcgm, nvml]', 'health [dcgm]', 'KW6005'],
    ['anti_affinity [rack,', 'anti_affinity [rak,', 'KW4001'],
    ['durability 6nines', 'durability 11nines', 'KW4005'],
    ['mttr_restore 30m', 'mttr_restore 5m', 'KW4006'],
    ['az 1000y', 'room 1000y', 'KW4004'],
    ['data 7401', 'data 7400', 'KW5005'],
    ['data 7401', 'data 0', 'KW5004'],
    ['50percent, 100percent]', '50percent]', 'KW5001'],
    ['bake 10m', '', 'KW2010'],
    ['bake 10m', 'bake 0m', 'KW2011'],
    ['observe silent_corruption_count', 'observe silent_corruptions', 'KW6008'],
    ['ca ${ca}', 'ca "${ca}"', 'KW3001'],
    ['ca ${ca}', 'ca "secret://vault/kwam/mtls-ca"', 'KW3001'],
    ['registry registry.acme.internal', 'registry ${ca}', 'KW3002'],
  ])('with %s → %s is refused with %s', (from, to, code) => {
    const { ok, diagnostics } = checked(changed(from, to));
    expect(ok).toBe(false);
    expect(diagnostics.map((each) => each.code)).toContain(code);
  });

  test("a token's resource is compared with the scope, and what it lacks is printed", () => {
    expect(errorsOf(checked(EXAMPLE, { consentResource: () => 'fleet.*' }))).toEqual([]);
    const [error, ...others] = errorsOf(checked(EXAMPLE, { consentResource: () => 'fleet.tpu_*' }));
    expect(others).toEqual([]);
    expect(error).toContain('KW5003');
    expect(error).toContain('`fleet.h100_pool`');
  });
});
