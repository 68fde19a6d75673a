/**
 * Edges of the trust rules that one page each cannot show: which policy counts, what several values mean, what is left alone.
 */
import { describe, expect, test } from 'vitest';
import { exampleDiagnostics } from './examples.ts';

const version = 'apiVersion "kwam.dev/v0.2"\n';

function codes(text: string): readonly string[] {
  return exampleDiagnostics(version + text, true)
    .map(({ code }) => code)
    .filter((code) => /^KW[3-6]/.test(code));
}

function grant(attributes: string): string {
  return `policy p { … grants { "spiffe://kwam/*/seed" { signed_by "acme" ${attributes} } } }`;
}

describe('the floor', () => {
  const policies = 'policy low { … sandbox_floor runc }\npolicy high { … sandbox_floor kata }\n';
  const server = 'server s { … trust low }\n';

  test('is that of the policy that the rollout trusts', () => {
    const deploy = 'deploy d { … server s client c }';
    expect(codes(`${policies}${server}client c { … sandbox gvisor }\n${deploy}`)).toEqual([]);
    expect(codes(`${policies}${server}client c { … sandbox seccomp }\n${deploy}`)).toEqual(['KW3012']);
  });

  test('is the strongest of the program while nothing rolls the client out', () => {
    expect(codes(`${policies}client c { … sandbox gvisor }`)).toEqual(['KW3012']);
    expect(codes(`${policies}client c { … sandbox firecracker }`)).toEqual([]);
  });

  test('a floor that is still open judges nobody, `none` is refused all the same', () => {
    expect(codes('policy p { … sandbox_floor … }\nclient c { … sandbox seccomp }')).toEqual([]);
    expect(codes('policy p { … sandbox_floor … }\nclient c { … sandbox none }')).toEqual(['KW3011']);
  });
});

describe('a grant', () => {
  test.each(['deploy', 'quarantine', 'override_budget'])('of %s takes two people', (cap) => {
    expect(codes(grant(`caps [replicate, ${cap}]`))).toEqual(['KW3022']);
    expect(codes(grant(`caps [${cap}] dual_control false`))).toEqual(['KW3022']);
    expect(codes(grant(`caps [${cap}] dual_control true`))).toEqual([]);
    expect(codes(grant(`caps [${cap}] dual_control …`))).toEqual([]);
  });

  test('without destructive capabilities takes one', () => {
    expect(codes(grant('caps [replicate] dual_control false'))).toEqual([]);
  });

  test('each network of a scope is judged by itself', () => {
    const scope = '[10.40.0.0/16, 10.41.0.1/16, 2001:db8::/32, 2001:DB8::1/32]';
    expect(codes(grant(`caps [discover] discover_scope ${scope}`))).toEqual(['KW3023', 'KW3023']);
  });
});

describe('an image', () => {
  const digest = '0123456789abcdef'.repeat(4);
  test.each([
    [`sha256:${digest}`, []],
    [`sha256:${digest}0`, ['KW3014']],
    [`sha256:${digest.slice(1)}`, ['KW3014']],
    [`sha256:${digest.toUpperCase()}`, ['KW3014']],
    [`sha512:${digest}`, ['KW3013']],
    [digest, ['KW3013']],
    [`registry.internal/kwam@sha256:${digest}`, ['KW3013']],
    ['kwam:1.2', ['KW3013']],
  ])('%s', (image, expected) => {
    expect(codes(`client c { … image "${image}" }`)).toEqual(expected);
  });

  test('of which a digest is known gets it as a suggestion', () => {
    const [found] = exampleDiagnostics(`${version}client c { … image "kwam@sha256:${digest}" }`, true).filter(
      ({ code }) => code === 'KW3013',
    );
    expect(found?.suggestion?.replacement.text).toBe(`"sha256:${digest}"`);
  });
});

test('a value that came through a `let` is replaced where it is used', () => {
  const text = `${version}let box = none\npolicy p { … sandbox_floor gvisor }\nclient c { … sandbox \${box} }`;
  const [found] = exampleDiagnostics(text, true).filter(({ code }) => code === 'KW3011');
  const { range, text: instead } = found!.suggestion!.replacement;
  expect(text.slice(range.start.offset, range.end.offset)).toBe('${box}');
  expect(instead).toBe('gvisor');
});

test('a list that came through a `let` gets its addition where it is written', () => {
  const text = `${version}let steps = [1percent, 5percent]\ndeploy d { … waves \${steps} }`;
  const [found] = exampleDiagnostics(text, true).filter(({ code }) => code === 'KW5001');
  const { range, text: added } = found!.suggestion!.replacement;
  expect(text.slice(0, range.start.offset).endsWith('5percent')).toBe(true);
  expect(added).toBe(', 100percent');
});

describe('pools', () => {
  const replicate = 'replicate data { factor 3 anti_affinity [] }\n';
  test('a pattern selects nodes of the whole inventory', () => {
    // `to smal…` brings the inventory in: two nodes n1 and n2.
    const pool = (pattern: string): string =>
      `pool small_one { select ${pattern} }\n${replicate.replace('3', '2')}deploy d { … to small_one }`;
    expect(codes(pool('spiffe://kwam/acme/*/node'))).toEqual([]);
    expect(codes(pool('spiffe://kwam/acme/n1*/node'))).toEqual(['KW4003']);
    expect(codes(pool('spiffe://kwam/other/*/node'))).toEqual(['KW4003', 'KW4012']);
  });
});

describe('ports and waves', () => {
  const ports = (numbers: readonly number[]): string =>
    `server s { … ports { control ${numbers[0]} data ${numbers[1]} metrics ${numbers[2]} } }`;
  test.each<[readonly number[], readonly string[]]>([
    [[1, 65_535, 80], []],
    [[0, 1, 2], ['KW5004']],
    [[65_536, 1, 2], ['KW5004']],
    [
      [7, 7, 7],
      ['KW5005', 'KW5005'],
    ],
  ])('ports %j', (numbers, expected) => {
    expect(codes(ports(numbers))).toEqual(expected);
  });

  test.each([
    ['100percent', []],
    ['0.1percent, 100percent', []],
    ['50percent, 50percent, 100percent', ['KW5001']],
    ['100percent, 100percent', ['KW5001']],
    ['1percent, 99.999percent', ['KW5001']],
    ['1percent, …', []],
  ])('waves %s', (waves, expected) => {
    expect(codes(`deploy d { … waves [${waves}] }`)).toEqual(expected);
  });
});

test('no diagnostic prints where a secret is kept', () => {
  const text = `${version}let key = secret://vault/hidden/place\npolicy p { … ca \${key} trusted_keys { k "x\${key}" {} } }\nclient c { … image \${key} sandbox \${key} }`;
  const found = exampleDiagnostics(text, false);
  expect(found.map(({ code }) => code)).toEqual(expect.arrayContaining(['KW3001', 'KW3002']));
  expect(JSON.stringify(found)).not.toContain('hidden');
});
