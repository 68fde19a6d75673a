/**
 * Ties manifests to SVIDs: a node signs with its SVID's key and sends its certificates along; whoever reads the manifest
 * accepts the key when those certificates pass the SVID check, for the SPIFFE ID and the time that they say.
 */
import { createHash } from 'node:crypto';
import { KwamError } from '../errors.ts';
import type { EnvelopeSignature, Signer, TrustedKey, TrustFunction } from '../manifest/dsse.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import { readCertificate } from './certificate.ts';
import { derOfPem, type Identity } from './identity.ts';
import { checkSvid, type TrustBundle } from './svid.ts';

export function signerOf(identity: Identity): Signer {
  return {
    keyid: createHash('sha256').update(identity.publicKeySpki).digest('hex'),
    certs: identity.certificateChainPem,
    sign: (parts) => identity.sign(parts),
  };
}

/**
 * SVIDs live for a day and manifests for years: the check is made as of the certificate's own time, against the authorities that are
 * trusted now, and those that once were.
 * @param retired  the archive of authorities that have left the bundle, read when a manifest needs it. They vouch for manifests and for
 *   nothing else: no peer is checked against them. One whose key is not its own any more does not belong there, for it can make old dates.
 */
export function trustOf(
  source: { readonly current: Identity },
  retired: () => TrustBundle = () => NO_AUTHORITIES,
): TrustFunction {
  return async (signature: EnvelopeSignature): Promise<TrustedKey[]> => {
    const { bundle } = source.current;
    const trusted = await keyOf(signature, bundle);
    return trusted.length > 0 || signature.certs === undefined ? trusted : keyOf(signature, retired());
  };
}

const NO_AUTHORITIES: TrustBundle = new Map();

async function keyOf({ certs }: EnvelopeSignature, bundle: TrustBundle): Promise<TrustedKey[]> {
  if (certs === undefined) return [];
  try {
    const chain = derOfPem(certs, 'the certificates of a manifest');
    const { node, notBefore, notAfter } = readCertificate(chain[0]!);
    const spiffeId = checkSvid(chain, bundle, notBefore.getTime());
    const spki = node.publicKey.export({ type: 'spki', format: 'der' });
    return [{ key: await importPublicKey(new Uint8Array(spki)), identity: spiffeId, notBefore, notAfter }];
  } catch (error) {
    if (error instanceof KwamError) return [];
    throw error;
  }
}
