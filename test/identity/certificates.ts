/**
 * Makes certificates that break exactly one rule, for the tests of the SVID check. A second, independent encoder would be
 * OpenSSL's: svid.test.ts uses its command line too.
 */
import '../../src/identity/metadata-reflection.ts';
import { randomBytes } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface Made {
  readonly der: Uint8Array;
  readonly subject: string;
  readonly keys: CryptoKeyPair;
}

export interface Recipe {
  readonly subject?: string;
  readonly issuer?: Made;
  readonly names?: readonly JsonGeneralName[];
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly usages?: number | undefined;
  readonly usagesCritical?: boolean;
  readonly extendedUsages?: string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly more?: readonly Extension[];
  readonly hash?: string;
  readonly ed25519?: boolean;
}

export const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

function extensionsOf(recipe: Recipe): Extension[] {
  const { ca = false, names = [], usages, usagesCritical = true, extendedUsages, more = [] } = recipe;
  const extensions: Extension[] = [new BasicConstraintsExtension(ca, recipe.pathLength, true), ...more];
  if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension([...names]));
  if (usages !== undefined) extensions.push(new KeyUsagesExtension(usages, usagesCritical));
  if (extendedUsages !== undefined) extensions.push(new ExtendedKeyUsageExtension(extendedUsages));
  return extensions;
}

export async function make(recipe: Recipe): Promise<Made> {
  const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: recipe.hash ?? 'SHA-256' };
  const algorithm = recipe.ed25519 === true ? { name: 'Ed25519' } : ecdsa;
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair;
  const subject = recipe.subject ?? `CN=${randomBytes(4).toString('hex')}`;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `40${randomBytes(8).toString('hex')}`,
    subject,
    issuer: recipe.issuer?.subject ?? subject,
    notBefore: new Date(recipe.notBeforeMs),
    notAfter: new Date(recipe.notAfterMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: (recipe.issuer?.keys ?? keys).privateKey,
    extensions: extensionsOf(recipe),
  });
  return { der: new Uint8Array(certificate.rawData), subject, keys };
}

export const LEAF_USAGES = KeyUsageFlags.digitalSignature;
export const CA_USAGES = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
