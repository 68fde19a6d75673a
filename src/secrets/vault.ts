/**
 * Secrets of a KV v2 engine of HashiCorp Vault or OpenBao, by one GET.
 * In: a place, where the server is and how to prove who we are. Out: the secret, of the version asked for or the latest.
 * Source: Vault HTTP API, "KV secrets engine - version 2", Read secret version; OpenBao's is the same.
 *   GET /v1/MOUNT/data/PATH[?version=N] with X-Vault-Token → {data: {data: {FIELD: …}, metadata: {version, deletion_time, destroyed}}}
 * Nothing is kept: KV secrets have no lease, so the next use asks again and sees the next version. Server errors (5xx, 429, no answer) are
 * tried again a few times; a sealed server, a refusal and a missing secret are told apart. Redirects are refused: they would carry the token away.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { type HttpAnswer, httpGet, showUrl } from '../http-get.ts';
import { secretBytesMax, secretTriesMax, secretTryPauseMs, vaultTimeoutMs } from '../limits.ts';
import { secretOfFields } from './field.ts';
import type { VaultPlace } from './place.ts';
import { refusal, refuse, type SecretRefusal } from './refusal.ts';
import { revealSecret, type Secret } from './secret.ts';

export interface VaultSettings {
  readonly address: URL;
  readonly token: Secret;
  /** PEM; these authorities instead of the system's. */
  readonly authorities?: string;
  readonly namespace?: string;
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export async function secretOfVault(
  place: VaultPlace,
  settings: VaultSettings,
  clock: Clock,
): Promise<Secret> {
  const answer = await persistently(() => ask(place, settings), clock);
  const body = fieldsOf(parsed(answer.body));
  if (answer.status !== 200) throw failure(place, settings, answer.status, body);
  const { data } = fieldsOf(body['data']);
  if (typeof data === 'object' && data !== null) return secretOfFields(place, fieldsOf(data));
  return refuse({
    rule: 'secret-answer',
    uri: place.uri,
    expected: `an answer of a KV v2 engine at ${place.mount}`,
    actual: 'another one',
    remedy: 'mount the engine as version 2, or name the right mount',
  });
}

function ask({ mount, path, version }: VaultPlace, settings: VaultSettings): Promise<HttpAnswer> {
  const { address, token, authorities, namespace } = settings;
  const url = new URL(`/v1/${mount}/data/${path}`, address);
  if (version !== undefined) url.searchParams.set('version', String(version));
  return httpGet(url, {
    headers: {
      'x-vault-token': revealSecret(token),
      'x-vault-request': 'true',
      ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
    },
    bytesMax: secretBytesMax,
    timeoutMs: vaultTimeoutMs,
    ...(authorities === undefined ? {} : { authorities }),
  });
}

const mayPass = (status: number): boolean => status >= 500 || status === 429;

/** Asks again while the server says that it is its own fault, or nothing. The last answer stands. */
async function persistently(get: () => Promise<HttpAnswer>, clock: Clock): Promise<HttpAnswer> {
  for (let tries = 1; ; tries++) {
    const last = tries === secretTriesMax;
    try {
      const answer = await get();
      if (last || !mayPass(answer.status)) return answer;
    } catch (error) {
      if (last || !(error instanceof KwamError) || !error.retryable) throw error;
    }
    await clock.sleep(secretTryPauseMs * 2 ** (tries - 1));
  }
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

type Reason = Pick<SecretRefusal, 'rule' | 'actual' | 'remedy' | 'retryable'>;

function failure(place: VaultPlace, { address }: VaultSettings, status: number, body: Fields): KwamError {
  const reason = reasonOf(place, status, body);
  return refusal({ uri: place.uri, expected: `the secret from ${showUrl(address)}`, ...reason });
}

function reasonOf(place: VaultPlace, status: number, body: Fields): Reason {
  if (status === 403) {
    return {
      rule: 'secret-denied',
      actual: 'permission denied',
      remedy: `give the token a policy that may read ${place.mount}/data/${place.path}, or a token that has not expired`,
    };
  }
  if (status === 404) return missingReason(place, fieldsOf(fieldsOf(body['data'])['metadata']));
  if (status === 503) {
    return {
      rule: 'secret-sealed',
      actual: 'a server that is sealed or in maintenance',
      remedy: 'unseal it, then try again',
      retryable: true,
    };
  }
  if (status >= 300 && status < 400) {
    return {
      rule: 'secret-address',
      actual: `a redirect (status ${status})`,
      remedy: 'name the address of the active server: a token is not sent elsewhere',
    };
  }
  return {
    rule: 'secret-answer',
    actual: `status ${status}`,
    remedy: 'look into the log of the server',
    retryable: mayPass(status),
  };
}

/** A deleted version answers 404 too, with its metadata. */
function missingReason({ mount, path, version }: VaultPlace, metadata: Fields): Reason {
  const named = `version ${String(metadata['version'] ?? version ?? 'latest')} of ${mount}/${path}`;
  if (metadata['destroyed'] === true)
    return {
      rule: 'secret-destroyed',
      actual: `${named}, which was destroyed`,
      remedy: 'write a new version',
    };
  const deletedAt = metadata['deletion_time'];
  if (typeof deletedAt === 'string' && deletedAt !== '') {
    return {
      rule: 'secret-deleted',
      actual: `${named}, which was deleted at ${deletedAt.slice(0, 30)}`,
      remedy: 'undelete it, or write a new version',
    };
  }
  return {
    rule: 'secret-missing',
    actual: `no ${version === undefined ? 'secret' : named} at ${mount}/${path}`,
    remedy: 'write it with `vault kv put`, or correct the path',
  };
}
