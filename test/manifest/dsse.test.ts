import { createPublicKey, generateKeyPairSync, sign as nodeSign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseEnvelope,
  preAuthPrefix,
  type Signer,
  signersOf,
  verifyEnvelope,
} from '../../src/manifest/dsse.ts';
import { addSignature, signEnvelope } from '../../src/manifest/envelope-writer.ts';
import { importPublicKey } from '../../src/manifest/public-key.ts';
import { ed25519Signer, p256Signer } from './samples.ts';

const textEncoder = new TextEncoder();
const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const TYPE = 'http://example.com/HelloWorld';
const BODY = textEncoder.encode('hello world');

/** DSSE protocol.md v1.0.0, "Test Vectors": P-256, deterministic by RFC 6979, r ‖ s. */
const PUBLISHED = {
  x: 46950820868899156662930047687818585632848591499744589407958293238635476079160n,
  y: 5640078356564379163099075877009565129882514886557779369047442380624545832820n,
  envelope: `{"payload": "aGVsbG8gd29ybGQ=",
 "payloadType": "http://example.com/HelloWorld",
 "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`,
};

const coordinate = (value: bigint): string =>
  Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64url');
const publishedKey = (): Promise<CryptoKey> =>
  importPublicKey({ kty: 'EC', crv: 'P-256', x: coordinate(PUBLISHED.x), y: coordinate(PUBLISHED.y) });
const bytesOf = (text: string): Uint8Array => textEncoder.encode(text);
const refusal = (code: string) => expect.objectContaining({ code });

describe('the vector of the DSSE protocol', () => {
  it('has this pre-authentication encoding', () => {
    expect(utf8(preAuthPrefix(TYPE, BODY.length))).toBe('DSSEv1 29 http://example.com/HelloWorld 11 ');
  });

  it('verifies with its published key', async () => {
    const verified = await verifyEnvelope(bytesOf(PUBLISHED.envelope), {
      payloadTypes: [TYPE],
      trust: [{ key: await publishedKey() }],
    });
    expect(utf8(verified.payload)).toBe('hello world');
  });

  it('verifies in the URL-safe alphabet too, which verifiers must accept', async () => {
    const urlSafe = PUBLISHED.envelope.replaceAll('+', '-');
    const trust = [{ key: await publishedKey() }];
    await expect(verifyEnvelope(bytesOf(urlSafe), { payloadTypes: [TYPE], trust })).resolves.toBeDefined();
  });

  it('fails with another body, type or signature', async () => {
    const trust = [{ key: await publishedKey() }];
    const other = [
      PUBLISHED.envelope.replace('aGVsbG8', 'aGVsbG9'),
      PUBLISHED.envelope.replace('HelloWorld', 'HelloWOrld'),
      PUBLISHED.envelope.replace('A3Jq', 'A3Jr'),
    ];
    for (const envelope of other) {
      const options = { payloadTypes: [TYPE, 'http://example.com/HelloWOrld'], trust };
      await expect(verifyEnvelope(bytesOf(envelope), options)).rejects.toThrow(refusal('SIGNATURE_INVALID'));
    }
  });
});

describe('signing', () => {
  it('is verified by node:crypto, and node:crypto signatures verify here', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signer: Signer = {
      keyid: 'node',
      sign: async (parts) =>
        nodeSign('sha256', Buffer.concat(parts), { key: privateKey, dsaEncoding: 'ieee-p1363' }),
    };
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const envelope = await signEnvelope(TYPE, BODY, [signer]);
    const trust = [{ key: await importPublicKey(pem) }];
    await expect(verifyEnvelope(envelope, { payloadTypes: [TYPE], trust })).resolves.toBeDefined();
    expect(createPublicKey(pem).asymmetricKeyType).toBe('ec');
  });

  it('writes canonical JSON that carries the certificates', async () => {
    const { signer } = await ed25519Signer('key "1"');
    const envelope = utf8(await signEnvelope(TYPE, BODY, [{ ...signer, certs: 'pem\n' }]));
    expect(envelope).toMatch(
      /^\{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http:\/\/example.com\/HelloWorld","signatures":\[\{"certs":"pem\\n","keyid":"key \\"1\\"","sig":"[^"]{88}"\}\]\}$/,
    );
    expect(parseEnvelope(bytesOf(envelope)).signatures[0]).toMatchObject({
      certs: 'pem\n',
      keyid: 'key "1"',
    });
  });

  it('refuses a signature in DER', async () => {
    const signer: Signer = { keyid: 'der', sign: async () => new Uint8Array(71) };
    await expect(signEnvelope(TYPE, BODY, [signer])).rejects.toThrow(/not DER/);
  });
});

describe('adding a signature', () => {
  it('keeps the payload and the signatures that are there, whoever made them', async () => {
    const [a, b, stranger] = [await p256Signer('a'), await ed25519Signer('b'), await ed25519Signer('a')];
    const first = await signEnvelope(TYPE, BODY, [{ ...a.signer, certs: 'pem\n' }, stranger.signer]);
    const both = await addSignature(parseEnvelope(first), b.signer);
    expect(utf8(both).startsWith(utf8(first).slice(0, -2))).toBe(true);
    const keys = [{ key: b.publicKey }, { key: a.publicKey }];
    expect(await signersOf(parseEnvelope(both), keys)).toEqual([keys[1], undefined, keys[0]]);
  });

  it('ends at the number that a verifier accepts', async () => {
    const { signer } = await ed25519Signer('a');
    const full = parseEnvelope(await signEnvelope(TYPE, BODY, new Array(16).fill(signer)));
    await expect(addSignature(full, signer)).rejects.toThrow(/expected 1 to 16 signers, got 17/);
  });
});

describe('thresholds', () => {
  it('count distinct keys, not signatures, entries of the trust list or key ids', async () => {
    const a = await p256Signer('same');
    const b = await ed25519Signer('same');
    const twice = await signEnvelope(TYPE, BODY, [a.signer, a.signer, { ...a.signer, keyid: 'other' }]);
    const both = await signEnvelope(TYPE, BODY, [a.signer, b.signer]);
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', a.publicKey));
    const trust = [{ key: a.publicKey }, { key: await importPublicKey(spki) }, { key: b.publicKey }];
    const options = { payloadTypes: [TYPE], trust, threshold: 2 };
    await expect(verifyEnvelope(twice, options)).rejects.toThrow(refusal('SIGNATURE_INVALID'));
    expect((await verifyEnvelope(both, options)).acceptedKeys).toHaveLength(2);
    await expect(verifyEnvelope(both, { ...options, threshold: 3 })).rejects.toThrow(
      refusal('SIGNATURE_INVALID'),
    );
  });

  it('skip signatures by strangers and do not read the key id', async () => {
    const friend = await p256Signer('friend');
    const stranger = await ed25519Signer('friend');
    const envelope = await signEnvelope(TYPE, BODY, [stranger.signer, { ...friend.signer, keyid: 'nobody' }]);
    const options = { payloadTypes: [TYPE], trust: [{ key: friend.publicKey, identity: 'friend' }] };
    expect((await verifyEnvelope(envelope, options)).acceptedKeys[0]).toMatchObject({ identity: 'friend' });
    const claimed = await signEnvelope(TYPE, BODY, [stranger.signer]);
    await expect(verifyEnvelope(claimed, options)).rejects.toThrow(refusal('SIGNATURE_INVALID'));
  });

  it.each([0, -1, 1.5, Number.NaN])('of %s are refused', async (threshold) => {
    const envelope = bytesOf(PUBLISHED.envelope);
    await expect(verifyEnvelope(envelope, { payloadTypes: [TYPE], trust: [], threshold })).rejects.toThrow(
      refusal('USAGE'),
    );
  });

  it('ask a trust function with the certificates of each signature', async () => {
    const { signer, publicKey } = await p256Signer();
    const envelope = await signEnvelope(TYPE, BODY, [{ ...signer, certs: 'chain' }]);
    const asked: unknown[] = [];
    await verifyEnvelope(envelope, {
      payloadTypes: [TYPE],
      trust: async (signature) => {
        asked.push(signature.certs);
        return [{ key: publicKey }];
      },
    });
    expect(asked).toEqual(['chain']);
  });
});

describe('parsing is strict', () => {
  const good = '{"payload":"aGk=","payloadType":"t","signatures":[{"keyid":"k","sig":"AAAA"}]}';
  it('takes any order and spaces', () => {
    const other = ' {"signatures" : [ {"sig":"AAAA" } ] ,\n"payloadType":"t","payload":"aGk="}\r\n';
    expect(utf8(parseEnvelope(bytesOf(other)).payload)).toBe('hi');
  });

  it.each([
    ['repeated member', good.replace('"payloadType"', '"payload":"aGk=","payloadType"')],
    [
      'repeated member written with an escape',
      good.replace('"payloadType"', '"p\\u0061yload":"aGk=","payloadType"'),
    ],
    ['extra member', good.replace('{', '{"x":1,')],
    ['extra member of a signature', good.replace('"keyid"', '"alg":"none","keyid"')],
    ['missing payload', '{"payloadType":"t","signatures":[{"sig":"AAAA"}]}'],
    ['missing signature bytes', good.replace('"sig"', '"certs"')],
    ['no signatures', '{"payload":"aGk=","payloadType":"t","signatures":[]}'],
    ['something after it', `${good}x`],
    ['a second document', good + good],
    ['unpadded base64', good.replace('aGk=', 'aGk')],
    ['unused bits set', good.replace('aGk=', 'aGl=')],
    ['an escape in base64', good.replace('aGk=', 'aG\\u006b=')],
    ['a number as payload', good.replace('"aGk="', '1')],
    ['a lone surrogate', good.replace('"t"', '"\\ud800"')],
    ['a raw control character', good.replace('"t"', '"\n"')],
    ['a byte order mark', `\ufeff${good}`],
    ['nothing', ''],
    ['a string that does not end', good.slice(0, 14)],
    ['17 signatures', good.replace('{"keyid":"k","sig":"AAAA"}', Array(17).fill('{"sig":"AAAA"}').join(','))],
  ])('%s is refused', (_, text) => {
    expect(() => parseEnvelope(bytesOf(text))).toThrow(refusal('ENVELOPE_INVALID'));
  });

  it('invalid UTF-8 is refused', () => {
    const bytes = bytesOf(good.replace('"t"', '"~"')).map((byte) => (byte === 0x7e ? 0xff : byte));
    expect(() => parseEnvelope(bytes)).toThrow(refusal('ENVELOPE_INVALID'));
  });

  it('an unknown payload type is refused by name', async () => {
    const options = { payloadTypes: ['application/a', 'application/b'], trust: [] };
    await expect(verifyEnvelope(bytesOf(PUBLISHED.envelope), options)).rejects.toThrow(
      /expected a payload of type application\/a or application\/b, got "http:/,
    );
  });
});

describe('properties', () => {
  it('every payload comes back; no single changed byte gives another payload', async () => {
    const { signer, publicKey } = await ed25519Signer();
    const trust = [{ key: publicKey }];
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (payload, position, change) => {
          const envelope = await signEnvelope(TYPE, payload, [signer]);
          expect((await verifyEnvelope(envelope, { payloadTypes: [TYPE], trust })).payload).toEqual(payload);
          envelope[position % envelope.length]! ^= change;
          try {
            const verified = await verifyEnvelope(envelope, { payloadTypes: [TYPE], trust });
            expect(verified.payload).toEqual(payload);
          } catch (error) {
            expect(error).toMatchObject({ name: 'KwamError', code: expect.stringMatching(/_INVALID$/) });
          }
        },
      ),
    );
  });
});

describe('public keys', () => {
  it('of other kinds and private keys are refused by name', async () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const { privateKey } = generateKeyPairSync('ed25519');
    await expect(importPublicKey(p384.export({ type: 'spki', format: 'pem' }).toString())).rejects.toThrow(
      /another kind/,
    );
    await expect(importPublicKey(p384.export({ format: 'jwk' }) as JsonWebKey)).rejects.toThrow(/P-384/);
    await expect(importPublicKey(privateKey.export({ format: 'jwk' }) as JsonWebKey)).rejects.toThrow(
      /private/,
    );
    await expect(importPublicKey('-----BEGIN NOTHING-----')).rejects.toThrow(/PEM/);
  });
});
