/** SPIFFE IDs and X.509-SVIDs that must be refused, one rule of the standards a row. */
import '../../src/identity/metadata-reflection.ts';
import { Extension, KeyUsageFlags } from '@peculiar/x509';
import { issueSvid } from '../../src/identity/authority.ts';
import { pemOfDer } from '../../src/identity/der.ts';
import { dnsNameOf, parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { checkSvid, readAuthorityId, type TrustBundle } from '../../src/identity/svid.ts';
import { spiffeIdBytesMax, trustDomainBytesMax } from '../../src/limits.ts';
import {
  CA_USAGES,
  LEAF_USAGES,
  type Made,
  make,
  type Recipe,
  SERVER_AND_CLIENT,
} from '../identity/certificates.ts';
import type { Area, Refusal } from './refusal.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const DAY = 86_400_000;
const ID = parseSpiffeId('spiffe://kwam.test/node/n0001');
const DOMAIN = parseTrustDomain('kwam.test');
const WINDOW = { notBeforeMs: NOW - DAY, notAfterMs: NOW + DAY };
const url = (value: string) => [{ type: 'url', value }] as const;
const AUTHORITY: Recipe = { ...WINDOW, ca: true, usages: CA_USAGES, names: url('spiffe://kwam.test') };
const LEAF: Recipe = { ...WINDOW, usages: LEAF_USAGES, extendedUsages: SERVER_AND_CLIENT, names: url(ID) };

const authority = make(AUTHORITY);
const bundleOf = (root: Made): TrustBundle => new Map([[DOMAIN, [root.der]]]);

async function attempt(recipe: Partial<Recipe> = {}): Promise<unknown> {
  const root = await authority;
  return checkSvid([(await make({ ...LEAF, issuer: root, ...recipe })).der], bundleOf(root), NOW);
}

const id = (rule: string, input: string, text: string): Refusal => ({
  input,
  code: `SVID_INVALID/${rule}`,
  attempt: () => parseSpiffeId(text),
});

const leaf = (rule: string, input: string, recipe: Partial<Recipe>): Refusal => ({
  input,
  code: `SVID_INVALID/${rule}`,
  attempt: () => attempt(recipe),
});

const chain = (
  rule: string,
  input: string,
  of: (root: Made, leaf: Made) => readonly Uint8Array[],
): Refusal => ({
  input,
  code: `SVID_INVALID/${rule}`,
  attempt: async () => {
    const root = await authority;
    return checkSvid(of(root, await make({ ...LEAF, issuer: root })), bundleOf(root), NOW);
  },
});

/** A leaf under a root that breaks a rule. */
const root = (rule: string, input: string, recipe: Partial<Recipe>): Refusal => ({
  input,
  code: `SVID_INVALID/${rule}`,
  attempt: async () => {
    const made = await make({ ...AUTHORITY, ...recipe });
    return checkSvid([(await make({ ...LEAF, issuer: made })).der], bundleOf(made), NOW);
  },
});

const IDS: readonly Refusal[] = [
  id('id-empty', 'no ID', ''),
  id('id-scheme', 'another scheme', 'https://kwam/node/n0001'),
  id('id-scheme', 'the scheme in capitals', 'SPIFFE://kwam/node/n0001'),
  id('id-trust-domain-empty', 'no trust domain', 'spiffe:///node/n0001'),
  id('id-trust-domain-character', 'a trust domain in capitals', 'spiffe://Kwam/node/n0001'),
  id('id-trust-domain-character', 'a wildcard trust domain', 'spiffe://*/node/n0001'),
  id(
    'id-trust-domain-length',
    'a trust domain that is too long',
    `spiffe://${'a'.repeat(trustDomainBytesMax + 1)}/n`,
  ),
  id('id-user-info', 'a user', 'spiffe://admin@kwam/node/n0001'),
  id('id-port', 'a port', 'spiffe://kwam:8443/node/n0001'),
  id('id-percent-encoding', 'percent-encoding in the trust domain', 'spiffe://kw%61m/node/n0001'),
  id('id-query', 'a query', 'spiffe://kwam/node/n0001?admin=1'),
  id('id-fragment', 'a fragment', 'spiffe://kwam/node/n0001#admin'),
  id('id-dot-segment', '`..` in the path', 'spiffe://kwam/node/../admin'),
  id('id-dot-segment', '`.` in the path', 'spiffe://kwam/./node'),
  id('id-percent-encoding', '`%2e%2e` in the path', 'spiffe://kwam/node/%2e%2e/admin'),
  id('id-percent-encoding', '`%2f` in the path', 'spiffe://kwam/node%2fadmin'),
  id('id-empty-segment', 'an empty segment', 'spiffe://kwam/node//n0001'),
  id('id-trailing-slash', 'a slash at the end', 'spiffe://kwam/node/'),
  id('id-path-character', 'a pattern as ID', 'spiffe://kwam/node/*'),
  id('id-path-character', 'a space', 'spiffe://kwam/node/n 1'),
  id('id-path-character', 'a letter that only looks like one', 'spiffe://kwam/n\u043ede/n0001'),
  id('id-length', 'an ID that is too long', `spiffe://kwam/${'a'.repeat(spiffeIdBytesMax)}`),
];

const sanTwice = new Extension('2.5.29.17', false, new Uint8Array([0x30, 3, 0x86, 1, 0x61]));
const unknownCritical = new Extension('1.2.3.4', true, new Uint8Array([5, 0]));

const LEAVES: readonly Refusal[] = [
  leaf('uri-san-count', 'no URI SAN', { names: [] }),
  leaf('uri-san-count', 'two URI SANs', { names: [...url(ID), ...url('spiffe://kwam.test/admin')] }),
  leaf('uri-san-count', 'a DNS SAN only', { names: [{ type: 'dns', value: dnsNameOf(ID) }] }),
  leaf('id-scheme', 'a URI SAN of another scheme', { names: url('https://kwam.test/node') }),
  leaf('id-path-character', 'a pattern in the certificate', { names: url('spiffe://kwam.test/node/*') }),
  leaf('leaf-path', 'the ID of an authority on a leaf', { names: url('spiffe://kwam.test') }),
  leaf('leaf-ca', 'a leaf with the CA flag', { ca: true }),
  leaf('key-usage', 'no key usage', { usages: undefined }),
  leaf('key-usage', 'a key usage that is not critical', { usagesCritical: false }),
  leaf('digital-signature', 'key usage without digitalSignature', { usages: KeyUsageFlags.keyAgreement }),
  leaf('key-cert-sign', 'a leaf that may sign certificates', {
    usages: LEAF_USAGES | KeyUsageFlags.keyCertSign,
  }),
  leaf('crl-sign', 'a leaf that may sign revocations', { usages: LEAF_USAGES | KeyUsageFlags.cRLSign }),
  leaf('extended-key-usage', 'a server certificate only', { extendedUsages: [SERVER_AND_CLIENT[0]!] }),
  leaf('extended-key-usage', 'a client certificate only', { extendedUsages: [SERVER_AND_CLIENT[1]!] }),
  leaf('dns-name', "another ID's DNS name", {
    names: [...url(ID), { type: 'dns', value: dnsNameOf(parseSpiffeId('spiffe://kwam.test/admin')) }],
  }),
  leaf('extension-twice', 'two SAN extensions', { more: [sanTwice] }),
  leaf('critical-extension', 'a critical extension that nobody knows', { more: [unknownCritical] }),
  leaf('validity', 'an expired SVID', { notAfterMs: NOW - 1000 }),
  leaf('validity', 'an SVID that begins tomorrow', { notBeforeMs: NOW + 1000 }),
  leaf('trust-domain', 'another trust domain', { names: url('spiffe://other.test/node/n0001') }),
  leaf('signature-algorithm', 'a signature with SHA-1', { hash: 'SHA-1' }),
];

const CHAINS: readonly Refusal[] = [
  chain('chain-length', 'no certificate', () => []),
  chain('chain-length', 'six certificates', (_, { der }) => new Array<Uint8Array>(6).fill(der)),
  chain('encoding', 'rubbish for a certificate', () => [new Uint8Array([1, 2, 3])]),
  chain('encoding', 'a byte behind the certificate', (_, { der }) => [Buffer.concat([der, Buffer.of(0)])]),
  chain('encoding', 'a certificate of a megabyte', () => [new Uint8Array(1 << 20)]),
  ...[
    ['pem', 'an authority whose file is no PEM', 'nonsense'],
    ['encoding', 'an authority whose PEM is no certificate', pemOfDer(Uint8Array.of(0, 0, 0), 'CERTIFICATE')],
  ].map(([rule, input, certificatePem]) => ({
    input: input!,
    code: `SVID_INVALID/${rule}`,
    attempt: () => issueSvid({ certificatePem: certificatePem!, privateKeyPem: '' }, ID, { nowMs: NOW }),
  })),
  {
    input: 'an authority that nobody knows',
    code: 'SVID_INVALID/chain',
    attempt: async () => attempt({ issuer: await make(AUTHORITY) }),
  },
  {
    input: "an authority with our authority's name",
    code: 'SVID_INVALID/signature',
    attempt: async () =>
      attempt({ issuer: await make({ ...AUTHORITY, subject: (await authority).subject }) }),
  },
  {
    input: "another trusted domain's authority for our ID",
    code: 'SVID_INVALID/chain',
    attempt: async () => {
      const other = await make({ ...AUTHORITY, names: url('spiffe://other.test') });
      const both = new Map([...bundleOf(await authority), [parseTrustDomain('other.test'), [other.der]]]);
      return checkSvid([(await make({ ...LEAF, issuer: other })).der], both, NOW);
    },
  },
  root('authority-ca', 'an issuer without the CA flag', { ca: false }),
  root('authority-key-usage', 'an issuer that may not sign certificates', { usages: undefined }),
  root('authority-id', 'an issuer that is a workload', { names: url('spiffe://kwam.test/node/n0002') }),
  root('authority-id', 'an issuer of another domain', { names: url('spiffe://other.test') }),
  root('authority-validity', 'an expired issuer', { notAfterMs: NOW - 1000 }),
  root('authority-validity', 'an issuer that begins tomorrow', { notBeforeMs: NOW + 1000 }),
  root('critical-extension', 'an issuer with a critical extension that nobody knows', {
    more: [unknownCritical],
  }),
  {
    input: 'more intermediates than the issuer allows',
    code: 'SVID_INVALID/path-length',
    attempt: async () => {
      const top = await make({ ...AUTHORITY, pathLength: 0 });
      const middle = await make({ ...AUTHORITY, issuer: top });
      const { der } = await make({ ...LEAF, issuer: middle });
      return checkSvid([der, middle.der], bundleOf(top), NOW);
    },
  },
  {
    input: 'a workload in the bundle',
    code: 'SVID_INVALID/authority-id',
    attempt: async () => readAuthorityId((await make({ ...LEAF, issuer: await authority })).der),
  },
];

export const identities: Area = {
  name: 'identity',
  accepted: () => attempt(),
  rows: [...IDS, ...LEAVES, ...CHAINS],
};
