/**
 * An image and its signatures in a registry, by GET requests of the OCI distribution API.
 * In: registry and repository, optionally credentials and a CA. Out: an ImageSource.
 * Source: OCI distribution specification 1.1 (pull, referrers with its fallback), the Docker token protocol (401 → token → again).
 * Holds: https, except on loopback; credentials go to the registry and to the token server that it names, never to where a blob is
 * redirected; at most three redirects. Retries nothing. Never writes.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { type HttpAnswer, httpGet, isLoopback, showUrl } from '../http-get.ts';
import { imageReferrerPagesMax, imageTokenBytesMax, registryTimeoutMs } from '../limits.ts';
import { parseStrictJson } from '../manifest/strict-json.ts';
import { isObject, MANIFEST_MEDIA_TYPES, OCI_INDEX } from './content.ts';
import type { ImageSource, Served } from './image-source.ts';
import { type ImageReference, showDigest } from './reference.ts';
import { quoted, refuse } from './refusal.ts';

export interface RegistryCredentials {
  readonly username: string;
  /** Asked when it is needed, so that a secret lives no longer than a request. */
  password(): Promise<string>;
}

export interface RegistryOptions {
  readonly credentials?: RegistryCredentials;
  /** PEM; these authorities instead of the system's. */
  readonly authorities?: string;
  readonly timeoutMs?: number;
}

const REDIRECTS_MAX = 3;
const REDIRECTED = new Set([301, 302, 303, 307, 308]);
/** The API of the registry that everybody calls docker.io. */
const DOCKER_HUB = { name: 'docker.io', host: 'registry-1.docker.io' };

interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: ReadonlyMap<string, string>;
}

export class Registry implements ImageSource {
  readonly place: string;
  readonly #base: URL;
  readonly #repository: string;
  readonly #options: RegistryOptions;
  /** The Authorization header that the registry asked for; only ever sent to its own origin. */
  #authorization: string | undefined;

  constructor(
    { registry, repository }: Pick<ImageReference, 'registry' | 'repository'>,
    options: RegistryOptions = {},
  ) {
    this.place = `${registry}/${repository}`;
    this.#repository = repository;
    this.#options = options;
    const host = registry === DOCKER_HUB.name ? DOCKER_HUB.host : registry;
    const scheme = isLoopback(new URL(`https://${host}`).hostname) && !options.authorities ? 'http' : 'https';
    this.#base = new URL(`${scheme}://${host}/v2/${repository}/`);
  }

  manifest(digest: DigestHex, bytesMax: number): Promise<Served | undefined> {
    return this.#served(`manifests/${showDigest(digest)}`, bytesMax);
  }

  tagged(tag: string, bytesMax: number): Promise<Served | undefined> {
    return this.#served(`manifests/${tag}`, bytesMax);
  }

  async #served(path: string, bytesMax: number): Promise<Served | undefined> {
    const answer = await this.#found(new URL(path, this.#base), MANIFEST_MEDIA_TYPES.join(', '), bytesMax);
    const mediaType = answer?.header('content-type');
    return answer && { bytes: answer.body, ...(mediaType === undefined ? {} : { mediaType }) };
  }

  async blob(digest: DigestHex, bytesMax: number): Promise<Uint8Array | undefined> {
    const url = new URL(`blobs/${showDigest(digest)}`, this.#base);
    return (await this.#found(url, '*/*', bytesMax))?.body;
  }

  async referrers(digest: DigestHex, bytesMax: number): Promise<readonly Uint8Array[] | undefined> {
    const pages: Uint8Array[] = [];
    let url: URL | undefined = new URL(`referrers/${showDigest(digest)}`, this.#base);
    while (url !== undefined) {
      const answer: HttpAnswer | undefined = await this.#found(url, OCI_INDEX, bytesMax);
      if (answer === undefined) return undefined;
      pages.push(answer.body);
      url = this.#nextPage(url, answer.header('link'), pages.length);
    }
    return pages;
  }

  /** RFC 8288, as far as registries use it: `</v2/…>; rel="next"`. */
  #nextPage(url: URL, link: string | undefined, pages: number): URL | undefined {
    const target = link === undefined ? undefined : /^\s*<([^>]*)>\s*;.*\brel="?next"?/.exec(link)?.[1];
    const next = target === undefined ? undefined : (URL.parse(target, url) ?? undefined);
    if (next === undefined) return undefined;
    if (next.origin === this.#base.origin && pages < imageReferrerPagesMax) return next;
    return refuse({
      rule: 'image-signature-count',
      expected: `at most ${imageReferrerPagesMax} pages of referrers on ${this.#base.origin}`,
      actual: `another one at ${quoted(showUrl(next))}`,
      remedy: 'remove referrers that nobody needs from the registry',
    });
  }

  /** Undefined for 404. */
  async #found(url: URL, accept: string, bytesMax: number): Promise<HttpAnswer | undefined> {
    let answer = await this.#follow(url, accept, bytesMax);
    if (answer.status === 401) {
      this.#authorization = await this.#authorize(answer);
      answer = await this.#follow(url, accept, bytesMax);
    }
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#failed(url, answer.status);
    return answer;
  }

  async #follow(start: URL, accept: string, bytesMax: number): Promise<HttpAnswer> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#get(url, { accept, ...this.#authorizationFor(url) }, bytesMax);
      if (!REDIRECTED.has(answer.status)) return answer;
      url = this.#redirected(url, answer.header('location'), redirects);
    }
  }

  #authorizationFor(url: URL): Record<string, string> {
    const own = url.origin === this.#base.origin && this.#authorization !== undefined;
    return own ? { authorization: this.#authorization! } : {};
  }

  /** To https anywhere; to http only where we came from by http, which is loopback. */
  #redirected(from: URL, location: string | undefined, redirects: number): URL {
    const to = location === undefined ? null : URL.parse(location, from);
    const isSafe = to?.protocol === 'https:' || (to?.protocol === from.protocol && isLoopback(to.hostname));
    if (to !== null && isSafe && redirects < REDIRECTS_MAX) return to;
    return refuse({
      rule: 'image-redirect',
      expected: `at most ${REDIRECTS_MAX} redirects, each to https`,
      actual: `${redirects + 1} to ${to === null ? quoted(location) : quoted(showUrl(to))}`,
      remedy: 'use a registry that serves its blobs itself or by https',
    });
  }

  #get(url: URL, headers: Record<string, string>, bytesMax: number): Promise<HttpAnswer> {
    const { authorities, timeoutMs = registryTimeoutMs } = this.#options;
    const trust = authorities === undefined ? {} : { authorities };
    return httpGet(url, { headers, bytesMax, timeoutMs, ...trust });
  }

  async #authorize(answer: HttpAnswer): Promise<string> {
    const challenge = parseChallenge(answer.header('www-authenticate'));
    if (challenge?.scheme === 'basic') return this.#basic();
    if (challenge?.scheme === 'bearer') return `Bearer ${await this.#token(challenge.parameters)}`;
    throw this.#failed(this.#base, answer.status);
  }

  async #basic(): Promise<string> {
    const { credentials } = this.#options;
    if (credentials === undefined) throw this.#failed(this.#base, 401);
    const text = `${credentials.username}:${await credentials.password()}`;
    return `Basic ${Buffer.from(text, 'utf8').toString('base64')}`;
  }

  /** Asks for the right to pull this repository, whatever more the challenge names. */
  async #token(parameters: ReadonlyMap<string, string>): Promise<string> {
    const realm = URL.parse(parameters.get('realm') ?? '');
    if (realm === null || (realm.protocol !== 'https:' && realm.protocol !== this.#base.protocol))
      refuseToken(quoted(parameters.get('realm')));
    realm.searchParams.set('scope', `repository:${this.#repository}:pull`);
    const service = parameters.get('service');
    if (service !== undefined) realm.searchParams.set('service', service);
    const headers = this.#options.credentials ? { authorization: await this.#basic() } : {};
    const answer = await this.#get(realm, headers, imageTokenBytesMax);
    if (answer.status !== 200) throw this.#failed(realm, answer.status);
    return tokenOf(answer.body);
  }

  #failed(url: URL, status: number): KwamError {
    const denied = status === 401 || status === 403;
    const remedy = denied ? 'give credentials that may pull there' : 'try again when it works';
    return new KwamError(
      denied ? 'PERMISSION_DENIED' : 'UNAVAILABLE',
      `image: expected ${showUrl(url)} to answer, got status ${status}; ${remedy}`,
      { retryable: status >= 500 || status === 429, context: { status } },
    );
  }
}

/** RFC 9110 section 11.6.1, one challenge. */
function parseChallenge(header: string | undefined): Challenge | undefined {
  const [, scheme, rest] = /^\s*(Bearer|Basic)\b(.*)$/i.exec(header ?? '') ?? [];
  if (scheme === undefined || rest === undefined) return undefined;
  const parameters = new Map(
    [...rest.matchAll(/([a-z_]+)="([^"]*)"/gi)].map(([, name, value]) => [name!.toLowerCase(), value!]),
  );
  return { scheme: scheme.toLowerCase() as Challenge['scheme'], parameters };
}

function tokenOf(body: Uint8Array): string {
  const value = parseStrictJson(body, { what: 'token', code: 'IMAGE_REFUSED', rule: 'image-token' });
  const token = isObject(value) ? (value['token'] ?? value['access_token']) : undefined;
  // A header takes visible ASCII only; anything else would be an attempt to add one.
  return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)
    ? token
    : refuseToken('something else than a token');
}

function refuseToken(actual: string): never {
  return refuse({
    rule: 'image-token',
    expected: 'a token server by https that gives a token',
    actual,
    remedy: 'ask who runs the registry',
  });
}
