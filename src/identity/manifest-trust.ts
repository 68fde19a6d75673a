/**
 * Ties manifests to SVIDs: a node signs with its SVID's key and sends its certificates along; whoever reads the manifest
 * accepts the key when those certificates pass the SVID check, for the SPIFFE ID and the time that they say.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { KwamError } from '../errors.ts';
import type { EnvelopeSignature, Signer, TrustedKey, TrustFunction } from '../manifest/dsse.ts';
import { importPublicKey } from '../manifest/public-key.ts';
import { derOfPem, type Identity } from './identity.ts';

export function signerOf(identity: Identity): Signer {
  return {
    keyid: createHash('sha256').update(identity.publicKeySpki).digest('hex'),
    certs: identity.certificateChainPem,
    sign: (parts) => identity.sign(parts),
  };
}

/**
 * SVIDs live for a day and manifests for years: the check is made as of the certificate's own time, against the authorities that are
 * trusted now. An authority that signed manifests must therefore stay in the bundle.
 */
export function trustOf(source: { readonly current: Identity }): TrustFunction {
  return async (signature: EnvelopeSignature): Promise<TrustedKey[]> => {
    if (signature.certs === undefined) return [];
    try {
      const chain = derOfPem(signature.certs, 'the certificates of a manifest');
      const leaf = new X509Certificate(chain[0]!);
      const notBefore = new Date(leaf.validFrom);
      const notAfter = new Date(leaf.validTo);
      const spiffeId = source.current.checkPeer(chain, notBefore.getTime());
      const spki = leaf.publicKey.export({ type: 'spki', format: 'der' });
      return [{ key: await importPublicKey(new Uint8Array(spki)), identity: spiffeId, notBefore, notAfter }];
    } catch (error) {
      if (error instanceof KwamError) return [];
      throw error;
    }
  };
}
