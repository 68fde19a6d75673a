/**
 * Which identity a command has, by what its --identity says:
 *   unix:///PATH, tcp://IP:PORT   the SPIFFE Workload API there
 *   secret://…                    one text with the certificates, leaf first, and the private key in PEM
 *   DIRECTORY/NAME                NAME.pem and NAME.key there
 * In: that text, or what to do without one. Out: how to open a source that renews itself; nothing is opened before.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { bundleOfPem, type Identity, identityFromPems } from '../identity/identity.ts';
import { hasAuthority, loadIdentity } from '../identity/identity-files.ts';
import type { IdentitySource, IdentityWatcher } from '../identity/identity-source.ts';
import { pollIdentity } from '../identity/polled-identity.ts';
import type { SpiffeId } from '../identity/spiffe-id.ts';
import { openWorkloadIdentity } from '../identity/workload-identity.ts';
import { identityPollMs } from '../limits.ts';
import type { KeyReference } from '../plan.ts';
import { textOf } from './read-text.ts';
import { secretText } from './secret-text.ts';
import type { Shell } from './shell.ts';

export interface IdentityWish {
  /** As the user wrote it; without, the files are taken, or the agent that SPIFFE_ENDPOINT_SOCKET names where there are none. */
  readonly from: string | undefined;
  /** The directory of the files, and of ca.pem for a secret. */
  readonly directory: string;
  readonly name: string;
  readonly expected?: SpiffeId;
  /** The authorities that a policy pins, and what their path is relative to. */
  readonly pinned?: { readonly base: string; readonly ca: KeyReference };
}

export type OpenSource = (watcher?: IdentityWatcher) => Promise<IdentitySource>;

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:EC )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:EC )?PRIVATE KEY-----/;

export function chooseIdentity(shell: Shell, wish: IdentityWish): OpenSource {
  const { from, directory, name } = wish;
  if (from === undefined) {
    const agent = shell.environment['SPIFFE_ENDPOINT_SOCKET'];
    const files = existsSync(join(directory, `${name}.pem`));
    return files || !agent ? polled(shell, wish, directory) : workload(shell, wish, agent);
  }
  if (/^(unix|tcp):/.test(from)) return workload(shell, wish, from);
  if (from.startsWith('secret://')) return polled(shell, wish, from);
  const path = resolve(from);
  return polled(shell, { ...wish, directory: dirname(path), name: basename(path) }, path);
}

function workload(shell: Shell, wish: IdentityWish, endpoint: string): OpenSource {
  return async (watcher) => {
    const pinned = await pinnedAuthorities(shell, wish);
    return openWorkloadIdentity({
      endpoint,
      clock: systemClock,
      ...(watcher === undefined ? {} : { watcher }),
      ...(wish.expected === undefined ? {} : { expected: wish.expected }),
      ...(pinned === undefined ? {} : { authorities: bundleOfPem(pinned) }),
    });
  };
}

function polled(shell: Shell, wish: IdentityWish, origin: string): OpenSource {
  const secret = origin.startsWith('secret://') ? origin : undefined;
  const load = secret === undefined ? () => fromFiles(shell, wish) : () => fromSecret(shell, wish, secret);
  return (watcher) =>
    pollIdentity({
      origin,
      load,
      everyMs: identityPollMs,
      clock: systemClock,
      ...(watcher === undefined ? {} : { watcher }),
    });
}

async function fromFiles(shell: Shell, wish: IdentityWish): Promise<Identity> {
  const warn = (line: string): void => shell.note(`kwam-dp: ${line}`);
  const authorities = await pinnedAuthorities(shell, wish);
  return loadIdentity(wish.directory, wish.name, Date.now(), warn, authorities);
}

async function fromSecret(shell: Shell, wish: IdentityWish, uri: string): Promise<Identity> {
  const text = await secretText(shell, uri);
  const certificates = text.match(CERTIFICATES);
  const key = PRIVATE_KEY.exec(text);
  if (certificates === null || key === null) {
    throw new KwamError(
      'SVID_INVALID',
      `identity: expected certificates and a private key in PEM in ${uri}, got ${certificates === null ? 'no certificate' : 'no key'} there; put both into one text`,
      { context: { rule: 'pem' } },
    );
  }
  const authorities = (await pinnedAuthorities(shell, wish)) ?? authoritiesBeside(wish);
  const pems = {
    certificateChainPem: certificates.join('\n'),
    privateKeyPem: key[0],
    bundlePem: authorities,
  };
  return identityFromPems(pems, Date.now());
}

function authoritiesBeside({ directory }: IdentityWish): string {
  return textOf(join(directory, 'ca.pem'), 'the authorities that we trust');
}

/** A development authority issues its own SVIDs, so a program's `policy.ca`, which it cannot have, gives way to it. */
async function pinnedAuthorities(
  shell: Shell,
  { directory, pinned }: IdentityWish,
): Promise<string | undefined> {
  if (pinned === undefined || hasAuthority(directory)) return undefined;
  return 'pem' in pinned.ca
    ? pinnedFile(resolve(pinned.base, pinned.ca.pem), pinned.ca.pem)
    : secretText(shell, pinned.ca.secret);
}

function pinnedFile(path: string, written: string): string {
  if (existsSync(path)) return textOf(path, 'the authorities of the policy');
  throw new KwamError(
    'ENVIRONMENT',
    `identity: expected the authorities of the policy (its ca "${written}") in ${path}, got no such file; copy them there: paths in a program are relative to it, paths in a plan to the directory trust/ beside the plan`,
    { context: { path, errno: 'ENOENT' } },
  );
}
