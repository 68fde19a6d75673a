/**
 * Identities on disk: D/identity/ca.pem, ca.key, <name>.pem, <name>.key; retired.pem, the archive of authorities. Keys have mode 0600.
 * Every file is written beside its place, fsynced and renamed, so a crash leaves the old file or the new one.
 * Uses node:fs itself: the store's FileSystem interface has neither file modes nor text.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { KwamError } from '../errors.ts';
import { createAuthority, issueSvid, type KeyedPem, type Validity } from './authority.ts';
import { bundleOfPem, derOfPem, type Identity, identityFromPems } from './identity.ts';
import { type SpiffeId, type TrustDomain, trustDomainOf } from './spiffe-id.ts';
import { readAuthorityId, type TrustBundle } from './svid.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const AUTHORITY = 'ca';
const RETIRED = 'retired';
/** Names that no SVID has. */
const RESERVED: ReadonlySet<string> = new Set([AUTHORITY, RETIRED]);
const OTHERS_MAY = 0o077;

export type Warn = (message: string) => void;

/** Makes the authority of a trust domain. @throws KwamError ALREADY_EXISTS  it would orphan all issued SVIDs. */
export async function initAuthority(
  directory: string,
  trustDomain: TrustDomain,
  validity: Validity,
): Promise<void> {
  if (fs.existsSync(join(directory, 'ca.pem'))) {
    throw new KwamError(
      'ALREADY_EXISTS',
      `identity: expected no authority in ${directory}, found ca.pem; issue SVIDs with it, or remove the directory first`,
      { context: { directory } },
    );
  }
  writePair(directory, AUTHORITY, await createAuthority(trustDomain, validity));
}

/** Issues and writes an SVID; one that is there already under this name is replaced. */
export async function issueIdentity(
  directory: string,
  name: string,
  id: SpiffeId,
  validity: Validity,
  warn: Warn,
): Promise<Identity> {
  checkName(name);
  const authority = readPair(directory, AUTHORITY, 'make an authority with `kwam-dp identity init`', warn);
  const pair = await issueSvid(authority, id, validity);
  // Before anything is written: a good SVID must not give way to one that nobody accepts.
  const identity = identityFrom(pair, authority.certificatePem, validity.nowMs);
  writePair(directory, name, pair);
  return identity;
}

function identityFrom(
  { certificatePem, privateKeyPem }: KeyedPem,
  bundlePem: string,
  nowMs: number,
): Identity {
  return identityFromPems({ certificateChainPem: certificatePem, privateKeyPem, bundlePem }, nowMs);
}

/**
 * @param authoritiesPem  instead of those in ca.pem.
 * @throws KwamError ENVIRONMENT   a file is missing or unreadable.
 * @throws KwamError SVID_INVALID  expired, of another authority, or key and certificate do not match.
 */
export function loadIdentity(
  directory: string,
  name: string,
  nowMs: number,
  warn: Warn,
  authoritiesPem?: string,
): Identity {
  checkName(name);
  const remedy = `issue it with \`kwam-dp identity issue ${name}\``;
  const pair = readPair(directory, name, remedy, warn);
  const bundlePem =
    authoritiesPem ?? readText(join(directory, 'ca.pem'), 'copy the bundle of the authority there');
  return identityFrom(pair, bundlePem, nowMs);
}

/** Whether SVIDs are issued here: then the authority that does so is the one to trust. */
export function hasAuthority(directory: string): boolean {
  return fs.existsSync(join(directory, `${AUTHORITY}.key`));
}

/**
 * Authorities that have left ca.pem and whose manifests are still read; none without the file.
 * @throws KwamError SVID_INVALID, ENVIRONMENT  a file that is none: half an archive would make manifests unreadable without a word.
 */
export function loadRetired(directory: string): TrustBundle {
  const path = join(directory, `${RETIRED}.pem`);
  if (!fs.existsSync(path)) return new Map();
  return bundleOfPem(readText(path, 'make it readable'));
}

export function loadTrustDomain(directory: string): TrustDomain {
  const pem = readText(join(directory, 'ca.pem'), 'make an authority with `kwam-dp identity init`');
  return trustDomainOf(readAuthorityId(derOfPem(pem, 'ca.pem')[0]!));
}

/** Names of the SVIDs in the directory, sorted. */
export function listIdentities(directory: string): string[] {
  if (!fs.existsSync(directory)) return [];
  const names = fs
    .readdirSync(directory)
    .filter((file) => file.endsWith('.pem') && !RESERVED.has(file.slice(0, -'.pem'.length)));
  return names.map((file) => file.slice(0, -'.pem'.length)).sort();
}

function checkName(name: string): void {
  if (NAME.test(name) && !RESERVED.has(name)) return;
  throw new KwamError(
    'USAGE',
    `identity: expected a name of a-z 0-9 . _ - (not "ca" or "retired", at most 100 characters), got ${JSON.stringify(name)}; choose another`,
  );
}

function readPair(directory: string, name: string, remedy: string, warn: Warn): KeyedPem {
  const certificatePem = readText(join(directory, `${name}.pem`), remedy);
  const keyPath = join(directory, `${name}.key`);
  const privateKeyPem = readText(keyPath, remedy);
  const mode = fs.statSync(keyPath).mode & 0o777;
  if ((mode & OTHERS_MAY) !== 0) {
    warn(
      `identity: expected mode 600 for ${keyPath}, got ${mode.toString(8)}; others can read this key: chmod 600 it`,
    );
  }
  return { certificatePem, privateKeyPem };
}

function readText(path: string, remedy: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const actual = errno === 'ENOENT' ? 'no such file' : errno;
    throw new KwamError('ENVIRONMENT', `identity: expected a readable ${path}, got ${actual}; ${remedy}`, {
      cause,
      context: { path, errno },
    });
  }
}

/** The key first: a certificate on disk then always has its key, or is reported as not matching. */
function writePair(directory: string, name: string, pair: KeyedPem): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeAtomically(directory, `${name}.key`, pair.privateKeyPem, 0o600);
    writeAtomically(directory, `${name}.pem`, pair.certificatePem, 0o644);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      errno === 'ENOSPC' ? 'DISK_FULL' : 'ENVIRONMENT',
      `identity: expected to write ${join(directory, name)}.pem and .key, got ${errno}; make the directory writable`,
      { cause, context: { directory, errno } },
    );
  }
}

function writeAtomically(directory: string, file: string, text: string, mode: number): void {
  const temporary = join(directory, `.${file}.${process.pid}.tmp`);
  fs.rmSync(temporary, { force: true });
  const handle = fs.openSync(temporary, 'wx', mode);
  try {
    fs.writeSync(handle, text);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
  fs.renameSync(temporary, join(directory, file));
  syncDirectory(directory);
}

function syncDirectory(directory: string): void {
  const handle = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
