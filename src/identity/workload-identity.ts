/**
 * An identity from the SPIFFE Workload API.
 * In: the endpoint, optionally the SPIFFE ID that we must be and authorities that count instead of the agent's. Out: an IdentitySource.
 * Of several SVIDs the expected one is taken, or the first, which the standard calls the default. A state without SVIDs (the agent took them
 * back) or with bad ones is told as a failure; the last good identity is kept until it expires, as SVIDs live for an hour.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { certificateChainMax, workloadAuthoritiesMax, workloadFirstMs } from '../limits.ts';
import { refuse } from './certificate.ts';
import { pemOfDer, splitDer } from './der.ts';
import { createIdentity, type Identity } from './identity.ts';
import { HeldIdentity, type IdentitySource, type IdentityWatcher } from './identity-source.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeId,
  type TrustDomain,
  trustDomainOf,
} from './spiffe-id.ts';
import type { TrustBundle } from './svid.ts';
import { type StateMessage, WorkloadApi } from './workload-api.ts';

export interface WorkloadIdentityOptions {
  /** unix:///PATH or tcp://IP:PORT */
  readonly endpoint: string;
  readonly expected?: SpiffeId;
  /** Count for their trust domains instead of what the agent says: the roots that a policy pins. */
  readonly authorities?: TrustBundle;
  readonly clock: Clock;
  readonly watcher?: IdentityWatcher;
  /** How long the first SVID is waited for. */
  readonly firstMs?: number;
}

/** @throws KwamError ENVIRONMENT  no usable SVID in time; says what the last failure was. */
export async function openWorkloadIdentity(options: WorkloadIdentityOptions): Promise<IdentitySource> {
  const { endpoint, clock, watcher } = options;
  const first = Promise.withResolvers<Identity>();
  let held: HeldIdentity | undefined;
  let last: KwamError | undefined;
  const state = (message: StateMessage): void => {
    const identity = identityOf(message, options);
    if (held === undefined) first.resolve(identity);
    else if (held.replace(identity)) watcher?.renewed?.(identity);
    held ??= new HeldIdentity(endpoint, identity);
  };
  const failed = (error: KwamError): void => {
    last = error;
    if (held !== undefined) watcher?.failed?.(error);
    else if (!error.retryable && error.code === 'UNAVAILABLE') first.reject(error);
  };
  const api = new WorkloadApi(endpoint, { state, failed }, clock);
  const waiting = new AbortController();
  const late = clock.sleep(options.firstMs ?? workloadFirstMs, waiting.signal).then(
    () => Promise.reject(notInTime(endpoint, last)),
    () => first.promise,
  );
  try {
    await Promise.race([first.promise, late]);
  } catch (error) {
    await api.close();
    throw error;
  } finally {
    waiting.abort();
  }
  const source = held!;
  return {
    origin: endpoint,
    get current() {
      return source.current;
    },
    onChange: (listener) => source.onChange(listener),
    close: () => api.close(),
  };
}

function notInTime(endpoint: string, last: KwamError | undefined): KwamError {
  const why = last?.message ?? `identity: expected an SVID from ${endpoint}, got no answer`;
  return new KwamError('ENVIRONMENT', why, { cause: last, context: last?.context ?? {} });
}

function identityOf(message: StateMessage, options: WorkloadIdentityOptions): Identity {
  const { expected, clock, authorities } = options;
  const svid = message.svids.find(({ spiffeId }) => expected === undefined || spiffeId === expected);
  if (svid === undefined) return refuseState(expected, message);
  const chain = splitDer(svid.x509Svid, certificateChainMax, 'a chain');
  const bundle = new Map([...bundleOf(svid.spiffeId, message), ...(authorities ?? [])]);
  const identity = createIdentity(
    {
      certificateChainPem: chain.map((der) => pemOfDer(der, 'CERTIFICATE')).join(''),
      privateKeyPem: pemOfDer(svid.x509SvidKey, 'PRIVATE KEY'),
      bundlePem: [...bundle.values()]
        .flat()
        .map((der) => pemOfDer(der, 'CERTIFICATE'))
        .join(''),
      bundle,
    },
    clock.now(),
  );
  if (identity.spiffeId === svid.spiffeId) return identity;
  return refuse({
    rule: 'workload-id',
    expected: `an SVID of ${svid.spiffeId}, as the agent names it`,
    actual: identity.spiffeId,
    remedy: 'look after the agent',
  });
}

/** The own trust domain's authorities and those of the federated ones, each for itself. */
function bundleOf(own: string, { svids, federatedBundles }: StateMessage): Map<TrustDomain, Uint8Array[]> {
  const bundle = new Map<TrustDomain, Uint8Array[]>();
  for (const [id, bytes] of Object.entries(federatedBundles)) {
    const domain = parseTrustDomain(id.replace(/^spiffe:\/\//, ''));
    bundle.set(domain, splitDer(bytes, workloadAuthoritiesMax, `the bundle of ${domain}`));
  }
  const { bundle: bytes } = svids.find(({ spiffeId }) => spiffeId === own)!;
  const domain = trustDomainOf(parseSpiffeId(own));
  bundle.set(domain, splitDer(bytes, workloadAuthoritiesMax, `the bundle of ${domain}`));
  return bundle;
}

function refuseState(expected: SpiffeId | undefined, { svids }: StateMessage): never {
  return refuse({
    rule: 'workload-svid',
    expected: expected === undefined ? 'an SVID' : `an SVID of ${expected}`,
    actual: svids.map(({ spiffeId }) => spiffeId).join(', ') || 'none',
    remedy: 'register this workload with the agent under that ID',
  });
}
