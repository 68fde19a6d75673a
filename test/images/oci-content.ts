/**
 * Images and cosign's signatures of them, made here with fresh keys exactly as cosign writes them.
 * In: what to sign and how to get it wrong. Out: blobs, tags and lists in memory; an OCI layout of the same on disk.
 * Source of the forms: cosign specs/SIGNATURE_SPEC.md and BUNDLE_SPEC.md; real bundles of sigstore-conformance.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { DigestHex } from '../../src/digest.ts';
import { BUNDLE, IN_TOTO, SIGN_PREDICATE, STATEMENT } from '../../src/images/bundle.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../src/images/content.ts';
import type { ImageSource } from '../../src/images/image-source.ts';
import { PAYLOAD_TYPE, SIGNATURE_ANNOTATION, SIMPLE_SIGNING } from '../../src/images/simple-signing.ts';
import { preAuthEncoding } from '../../src/manifest/dsse.ts';

export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly pem: string;
}

export function newKey(kind: 'P-256' | 'Ed25519' = 'P-256'): SigningKey {
  const { privateKey, publicKey } =
    kind === 'P-256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return { privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }) as string };
}

/** DER for ECDSA, as cosign has it. */
export function signatureOver(key: SigningKey, bytes: Uint8Array): string {
  const hash = key.privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return sign(hash, bytes, key.privateKey).toString('base64');
}

export const sha256 = (bytes: Uint8Array): DigestHex =>
  createHash('sha256').update(bytes).digest('hex') as DigestHex;
export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export interface Written {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
}

/** One repository's content, whatever serves it. Mutable on purpose: tests damage it. */
export class OciContent {
  readonly blobs = new Map<DigestHex, Uint8Array>();
  /** Tag to digest of a manifest. */
  readonly tags = new Map<string, DigestHex>();
  /** Every manifest, in the order in which it was pushed. */
  readonly manifests: Written[] = [];

  addBlob(bytes: Uint8Array, mediaType = 'application/octet-stream'): Written {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  }

  addManifest(manifest: object, mediaType = OCI_MANIFEST, tag?: string): DigestHex {
    const { artifactType, annotations } = manifest as Partial<Written>;
    const written = this.addBlob(json(manifest), mediaType);
    const digest = written.digest.slice('sha256:'.length) as DigestHex;
    this.manifests.push({
      ...written,
      ...(artifactType && { artifactType }),
      ...(annotations && { annotations }),
    });
    if (tag !== undefined) this.tags.set(tag, digest);
    return digest;
  }

  /** A small image; `seed` makes it another one. */
  addImage(seed = 'one'): DigestHex {
    const config = this.addBlob(
      json({ architecture: 'amd64', os: 'linux' }),
      'application/vnd.oci.image.config.v1+json',
    );
    const layer = this.addBlob(Buffer.from(seed), 'application/vnd.oci.image.layer.v1.tar+gzip');
    return this.addManifest({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] });
  }

  /** Lists under `sha256-<hex>` what a registry without the referrers API would. */
  addFallbackList(image: DigestHex): void {
    const referring = this.referrersOf(image);
    this.addManifest(
      { schemaVersion: 2, mediaType: OCI_INDEX, manifests: referring },
      OCI_INDEX,
      `sha256-${image}`,
    );
  }

  referrersOf(image: DigestHex): Written[] {
    return this.manifests.filter(({ digest }) => {
      const bytes = this.blobs.get(digest.slice('sha256:'.length) as DigestHex);
      const manifest = JSON.parse(Buffer.from(bytes ?? '{}').toString()) as { subject?: Written };
      return manifest.subject?.digest === `sha256:${image}`;
    });
  }

  /** In the form of an OCI image layout. */
  write(directory: string): void {
    fs.mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    fs.writeFileSync(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
    for (const [digest, bytes] of this.blobs)
      fs.writeFileSync(join(directory, 'blobs/sha256', digest), bytes);
    const manifests = this.manifests.map((written) => {
      const tag = [...this.tags].find(([, digest]) => written.digest === `sha256:${digest}`)?.[0];
      const named = tag === undefined ? {} : { 'org.opencontainers.image.ref.name': tag };
      return { ...written, annotations: { ...written.annotations, ...named } };
    });
    fs.writeFileSync(join(directory, 'index.json'), json({ schemaVersion: 2, manifests }));
  }
}

/** The memory twin of the sources; `lists: false` is one without a list of referrers. */
export function memorySource(content: OciContent, { lists = true } = {}): ImageSource {
  return {
    place: 'memory',
    manifest: async (digest) => {
      const bytes = content.blobs.get(digest);
      return bytes && { bytes };
    },
    tagged: async (tag) => {
      const bytes = content.blobs.get(content.tags.get(tag) ?? ('' as DigestHex));
      return bytes && { bytes };
    },
    blob: async (digest) => content.blobs.get(digest),
    referrers: async (digest) =>
      lists ? [json({ schemaVersion: 2, manifests: content.referrersOf(digest) })] : undefined,
  };
}

/** Cosign's payload, byte for byte: no spaces, this order. */
export function payloadOf(image: DigestHex, type: string = PAYLOAD_TYPE): Buffer {
  return json({
    critical: {
      identity: { 'docker-reference': 'registry.example/kwam/seed' },
      image: { 'docker-manifest-digest': `sha256:${image}` },
      type,
    },
    optional: null,
  });
}

export interface PayloadLayer {
  readonly payload: Buffer;
  /** Base64; absent for a layer without the annotation. */
  readonly signature?: string;
  readonly mediaType?: string;
}

export const signedPayload = (key: SigningKey, payload: Buffer): PayloadLayer => ({
  payload,
  signature: signatureOver(key, payload),
});

/** What `cosign sign --key` of versions 1 and 2 pushes. */
export function addSimpleSignatures(
  content: OciContent,
  image: DigestHex,
  layers: readonly PayloadLayer[],
): DigestHex {
  const config = content.addBlob(
    json({ architecture: '', config: {} }),
    'application/vnd.oci.image.config.v1+json',
  );
  const written = layers.map(({ payload, signature, mediaType = SIMPLE_SIGNING }) => ({
    ...content.addBlob(payload, mediaType),
    ...(signature === undefined ? {} : { annotations: { [SIGNATURE_ANNOTATION]: signature } }),
  }));
  return content.addManifest(
    { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: written },
    OCI_MANIFEST,
    `sha256-${image}.sig`,
  );
}

export const signSimply = (content: OciContent, image: DigestHex, key: SigningKey): DigestHex =>
  addSimpleSignatures(content, image, [signedPayload(key, payloadOf(image))]);

/** As protojson writes cosign 3's statement. */
export const statementOf = (image: DigestHex, predicateType = SIGN_PREDICATE): object => ({
  _type: STATEMENT,
  subject: [{ digest: { sha256: image }, annotations: {} }],
  predicateType,
  predicate: {},
});

export interface Bundle {
  mediaType: string;
  verificationMaterial: Record<string, unknown>;
  dsseEnvelope?: { payload: string; payloadType: string; signatures: { sig: string; keyid?: string }[] };
  messageSignature?: { messageDigest: { algorithm: string; digest: string }; signature: string };
}

function materialOf(key: SigningKey): Record<string, unknown> {
  const spki = Buffer.from(key.pem.split('-----')[2]!.replace(/\s/g, ''), 'base64');
  return { publicKey: { hint: createHash('sha256').update(spki).digest('base64') } };
}

/** What `cosign sign --key` of version 3 makes. */
export function statementBundle(key: SigningKey, statement: object | Buffer, payloadType = IN_TOTO): Bundle {
  const payload = Buffer.isBuffer(statement) ? statement : json(statement);
  const sig = signatureOver(key, preAuthEncoding(payloadType, payload));
  return {
    mediaType: BUNDLE,
    verificationMaterial: materialOf(key),
    dsseEnvelope: { payload: payload.toString('base64'), payloadType, signatures: [{ sig }] },
  };
}

/** What `cosign sign-blob --bundle` makes of the manifest's bytes. */
export function messageBundle(key: SigningKey, manifest: Uint8Array): Bundle {
  const digest = Buffer.from(sha256(manifest), 'hex').toString('base64');
  return {
    mediaType: BUNDLE,
    verificationMaterial: materialOf(key),
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest },
      signature: signatureOver(key, manifest),
    },
  };
}

export interface ReferrerOptions {
  readonly subject?: DigestHex | undefined;
  readonly layerMediaType?: string;
}

/** Attaches a bundle, or bytes in its place. */
export function attachBundle(
  content: OciContent,
  image: DigestHex,
  bundle: Bundle | Buffer,
  { subject = image, layerMediaType = BUNDLE }: ReferrerOptions = {},
): DigestHex {
  const empty = content.addBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json');
  const layer = content.addBlob(Buffer.isBuffer(bundle) ? bundle : json(bundle), layerMediaType);
  return content.addManifest({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: BUNDLE,
    config: empty,
    layers: [layer],
    subject: { mediaType: OCI_MANIFEST, digest: `sha256:${subject}`, size: 1 },
    annotations: { 'dev.sigstore.bundle.content': 'dsse-envelope' },
  });
}
