/**
 * The vector of ARCHITECTURE.md, "Manifest": a whole envelope, fixed for ever, checked by node:crypto alone as well.
 * Key: RFC 8032 section 7.1, TEST 1. Content: "hello\n". Envelope: made once by this code; everything below is compared with it.
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fromHex, parseDigestHex, toHex } from '../../src/digest.ts';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';
import { verifySignedManifest } from '../../src/manifest/signed-manifest.ts';
import { signWhole } from './samples.ts';

const DIGEST = 'b849d0e7ed341f142055c5ee46240cea86ecb6f5b2c95c26c64e7c1d15c33f66';
const SIGNATURE = 'm4alaidleIZ36zSrpQ/vbayGQDmOv42lctleHap5fBIqb/0R1RWJ4eYLcBqN7rUBXr8FkvTvpQW4go0E+SnbCA==';
const TYPE = 'application/vnd.kwam.manifest.v1+json';
const PAYLOAD =
  '{"bytes":6,"chunker":{"chunkBytesMax":262144,"chunkBytesMin":16384,"chunkBytesTarget":65536,"rule":"kwam-window34-v1"},' +
  '"chunks":{"count":1,"digests":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=","lengths":[6]},' +
  `"codecId":"${'ab'.repeat(32)}","createdAt":"2026-11-02T03:04:05.678Z","files":[` +
  '{"gid":1000,"mode":420,"mtimeNs":"1700000000123456789","path":"hello.txt","size":6,"type":"file","uid":1000},' +
  '{"gid":0,"mode":511,"mtimeNs":"-1","pathBytes":"Zv8=","target":"hello.txt","type":"symlink","uid":0}],' +
  '"name":"hello","producer":"spiffe://kwam.dev/node/n0001","schema":"kwam.manifest/v1"}';
const ENVELOPE =
  `{"payload":"${Buffer.from(PAYLOAD).toString('base64')}","payloadType":"${TYPE}",` +
  `"signatures":[{"keyid":"rfc8032-test-1","sig":"${SIGNATURE}"}]}`;

const MANIFEST: Manifest = {
  name: 'hello',
  producer: 'spiffe://kwam.dev/node/n0001',
  codecId: parseDigestHex('ab'.repeat(32)),
  createdAt: '2026-11-02T03:04:05.678Z',
  chunker: { rule: 'kwam-window34-v1', chunkBytesMin: 16384, chunkBytesTarget: 65536, chunkBytesMax: 262144 },
  bytes: 6,
  chunks: {
    lengths: Uint32Array.of(6),
    digests: fromHex(parseDigestHex(createHash('sha256').update('hello\n').digest('hex'))),
  },
  files: [
    {
      type: 'file',
      path: 'hello.txt',
      mode: 0o644,
      mtimeNs: 1_700_000_000_123_456_789n,
      uid: 1000,
      gid: 1000,
      size: 6,
      sparse: false,
    },
    {
      type: 'symlink',
      path: Uint8Array.of(0x66, 0xff),
      mode: 0o777,
      mtimeNs: -1n,
      uid: 0,
      gid: 0,
      target: 'hello.txt',
    },
  ],
};

const privateKey = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
});
const publicKey = createPublicKey(privateKey);

it('the key is the published one', () => {
  expect(Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex')).toBe(
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  );
});

it('digest and signature are right by node:crypto alone', () => {
  expect(createHash('sha256').update(PAYLOAD).digest('hex')).toBe(DIGEST);
  const covered = Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} ${PAYLOAD.length} ${PAYLOAD}`);
  expect(verify(null, covered, publicKey, Buffer.from(SIGNATURE, 'base64'))).toBe(true);
});

it('this code writes it and reads it', async () => {
  const signer = {
    keyid: 'rfc8032-test-1',
    sign: async (parts: readonly Uint8Array[]) => sign(null, Buffer.concat(parts), privateKey),
  };
  const { envelope, digest } = await signWhole(MANIFEST, [signer]);
  expect(new TextDecoder().decode(envelope)).toBe(ENVELOPE);
  expect(toHex(digest)).toBe(DIGEST);
  const key = await importPublicKey(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  const verified = await verifySignedManifest(new TextEncoder().encode(ENVELOPE), { trust: [{ key }] });
  expect(verified.manifest).toEqual(MANIFEST);
});

it('is the one that ARCHITECTURE.md prints', () => {
  const text = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8').replace(/\s+/g, '');
  for (const part of [DIGEST, SIGNATURE, PAYLOAD.slice(0, 118)])
    expect(text).toContain(part.replace(/\s+/g, ''));
});
