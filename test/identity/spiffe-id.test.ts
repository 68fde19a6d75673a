import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import {
  authorityIdOf,
  DNS_SUFFIX,
  dnsNameOf,
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  trustDomainOf,
} from '../../src/identity/spiffe-id.ts';

function ruleOf(text: string): unknown {
  try {
    parseSpiffeId(text);
  } catch (error) {
    if (error instanceof KwamError && error.code === 'SVID_INVALID') return error.context['rule'];
    throw error;
  }
  return 'accepted';
}

/** The rules of the SPIFFE-ID standard, sections 2.1 to 2.4, one line each. */
const TABLE: [string, string][] = [
  ['spiffe://trust.domain', 'accepted'],
  ['spiffe://trust.domain/path', 'accepted'],
  ['spiffe://trust_domain-1.example/a/b.c/D_-', 'accepted'],
  ['spiffe://a/...', 'accepted'],
  ['spiffe://a/.hidden', 'accepted'],
  [`spiffe://${'a'.repeat(255)}/p`, 'accepted'],
  [`spiffe://td/${'a'.repeat(2036)}`, 'accepted'],
  ['', 'id-empty'],
  [`spiffe://td/${'a'.repeat(2037)}`, 'id-length'],
  [`spiffe://${'a'.repeat(256)}/p`, 'id-trust-domain-length'],
  ['SPIFFE://td/a', 'id-scheme'],
  ['spiffe:/td/a', 'id-scheme'],
  ['http://td/a', 'id-scheme'],
  ['td/a', 'id-scheme'],
  [' spiffe://td/a', 'id-scheme'],
  ['spiffe://', 'id-trust-domain-empty'],
  ['spiffe:///a', 'id-trust-domain-empty'],
  ['spiffe://Td/a', 'id-trust-domain-character'],
  ['spiffe://t*/a', 'id-trust-domain-character'],
  ['spiffe://tü/a', 'id-trust-domain-character'],
  ['spiffe://td\u0000/a', 'id-trust-domain-character'],
  ['spiffe://user@td/a', 'id-user-info'],
  ['spiffe://td:8443/a', 'id-port'],
  ['spiffe://t%61/a', 'id-percent-encoding'],
  ['spiffe://td/', 'id-trailing-slash'],
  ['spiffe://td/a/', 'id-trailing-slash'],
  ['spiffe://td//a', 'id-empty-segment'],
  ['spiffe://td/a//b', 'id-empty-segment'],
  ['spiffe://td/.', 'id-dot-segment'],
  ['spiffe://td/a/../b', 'id-dot-segment'],
  ['spiffe://td/a/%2e%2e/b', 'id-percent-encoding'],
  ['spiffe://td/a%20b', 'id-percent-encoding'],
  ['spiffe://td/a b', 'id-path-character'],
  ['spiffe://td/a:b', 'id-path-character'],
  ['spiffe://td/*', 'id-path-character'],
  ['spiffe://td/a\n', 'id-path-character'],
  ['spiffe://td/☃', 'id-path-character'],
  ['spiffe://td/a?b=c', 'id-query'],
  ['spiffe://td?b', 'id-query'],
  ['spiffe://td/a#b', 'id-fragment'],
];

describe('SPIFFE IDs', () => {
  test.each(TABLE)('%j: %s', (text, rule) => {
    expect(ruleOf(text)).toBe(rule);
  });

  test('are quoted in a refusal, and no more than a line of them', () => {
    const whole = `spiffe://td/${'a'.repeat(90)}%`;
    expect(() => parseSpiffeId(whole)).toThrow(`"${whole.slice('spiffe://td'.length)}"; write`);
    const path = `/${'a'.repeat(119)}`;
    expect(() => parseSpiffeId(`spiffe://td${path}%`)).toThrow(`"${path}…"; write`);
  });

  test('whatever is accepted consists of its parts again, and matches the standard as one pattern', () => {
    const slow = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/;
    const alphabet = fc.constantFrom(
      'spiffe://',
      'td',
      'a',
      '/',
      '.',
      '..',
      '-',
      'A',
      '%',
      '*',
      ':',
      '@',
      '?',
      '#',
      'é',
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 9 }), fc.boolean(), (parts, whole) => {
        const text = (whole ? 'spiffe://td' : '') + parts.join('');
        const accepted = ruleOf(text) === 'accepted';
        expect(accepted).toBe(slow.test(text));
        if (!accepted) return;
        const id = parseSpiffeId(text);
        expect(authorityIdOf(trustDomainOf(id)) + pathOf(id)).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });

  test('a trust domain alone follows the same rules', () => {
    expect(parseTrustDomain('kwam.dev')).toBe('kwam.dev');
    for (const bad of ['', 'A', 'a/b', 'a:1', 'a@b']) expect(() => parseTrustDomain(bad)).toThrow(KwamError);
  });
});

describe('derived DNS names', () => {
  /** printf %s spiffe://kwam.dev/node/n0001 | sha256sum, then base32 (coreutils), lower case, without padding. */
  test('known answer', () => {
    expect(dnsNameOf(parseSpiffeId('spiffe://kwam.dev/node/n0001'))).toBe(
      'rtjz7l3uea5yvike47hayqyfmjbhqt6g2cnnn7pbipjksuzimh7q.svid.kwam.internal',
    );
  });

  test('fit DNS and differ where only case differs', () => {
    const names = ['a', 'A', 'aa', 'a/a', `${'x'.repeat(2000)}`].map((p) =>
      dnsNameOf(parseSpiffeId(`spiffe://td/${p}`)),
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) {
      expect(name).toMatch(/^[a-z2-7]{52}\.svid\.kwam\.internal$/);
      expect(name.endsWith(DNS_SUFFIX)).toBe(true);
      expect(Math.max(...name.split('.').map((label) => label.length))).toBeLessThanOrEqual(63);
    }
  });
});
