/**
 * An object back as files, or only read through: manifest → packs → verified records → files → their final form.
 * In: a name and a destination (left out: verify only). Out: what was restored. The destination appears at the end, by
 * rename, complete or not at all; every byte in it was hashed against the digest that the producer signed.
 * Holds: that something has no intact copy is said only when every known node has answered; nodes that may be starting are waited for.
 */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { asDigest, DIGEST_BYTES, type DigestHex, fromHex, toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { TrustFunction } from '../manifest/dsse.ts';
import { ROOT_PATH, showPath } from '../manifest/entry-path.ts';
import type { FileEntry, Manifest, ManifestEntry } from '../manifest/manifest.ts';
import { joinParts } from '../manifest/manifest-parts.ts';
import { verifySignedManifest } from '../manifest/signed-manifest.ts';
import type { Catalog, ObjectRecord } from '../replication/catalog.ts';
import { type OpenedPack, PackAccess, type PackAccessOptions } from '../replication/pack-access.ts';
import { Silence } from '../replication/silence.ts';
import { readRecord, withFile } from '../store/pack-reader.ts';
import { inParallel } from './read-tree.ts';
import { type Damage, RestorePlan } from './restore-plan.ts';
import {
  type BadRecord,
  finishFiles,
  finishTree,
  makeDirectories,
  type RestorePackInput,
  type RestorePackOutput,
  restorePack,
} from './restore-tasks.ts';

export interface RestoreServices extends PackAccessOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly trust: TrustFunction;
  /** Own bytes turned out bad while they were read: the pack goes to quarantine before anyone else is served from it. */
  readonly onOwnCorrupt: (pack: DigestHex, bad: readonly BadRecord[]) => Promise<void>;
  readonly onForeignCorrupt: (pack: DigestHex, bad: readonly BadRecord[]) => void;
  /** @param isOwn  read from this node's own store. */
  readonly onVerified: (bytes: number, records: number, isOwn: boolean) => void;
}

export interface RestoreRequest {
  readonly name: string;
  readonly destination?: string;
  readonly signal?: AbortSignal;
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void;
}

export interface ReadFailure {
  readonly path: string;
  readonly chunk: number;
  readonly digest: DigestHex;
  /** Why the last attempt to read it failed. */
  readonly problem: string;
}

export interface RestoreResult {
  readonly name: string;
  readonly manifest: DigestHex;
  readonly files: number;
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks that no reachable copy has intact, a hundred at most; empty after a restore, which fails instead. */
  readonly failures: readonly ReadFailure[];
  /** All of them, and the files that need them. */
  readonly damage: Damage;
}

type Unread = Pick<RestoreResult, 'failures' | 'damage'>;

/** A pack whose copy here is bad is read once more from elsewhere, and a third time from yet another node. */
const READ_ROUNDS = 3;
const FAILURES_NAMED_MAX = 100;
const PATHS_IN_MESSAGE_MAX = 10;
const FILES_PER_TASK = 512;

export async function restore(services: RestoreServices, request: RestoreRequest): Promise<RestoreResult> {
  const record = await services.catalog.object(request.name);
  const access = await PackAccess.create(services, record.packs);
  try {
    const manifest = await readManifest(services, access, record, request.signal);
    if (request.destination === undefined)
      return await readThrough(services, access, record, manifest, request);
    return await writeTree(services, access, record, manifest, {
      ...request,
      destination: request.destination,
    });
  } finally {
    await access.close();
  }
}

/** The signed manifest of an object: proven to be the one that the name points to, and signed by its producer. */
export async function readManifest(
  services: RestoreServices,
  access: PackAccess,
  record: ObjectRecord,
  signal?: AbortSignal,
): Promise<Manifest> {
  const envelope = await findEnvelope(services, access, record, signal);
  const trust = { trust: services.trust, digest: fromHex(record.manifest) };
  const { manifest } = await verifySignedManifest(envelope, trust);
  if (manifest.name === record.name) return manifest;
  throw new KwamError(
    'MANIFEST_INVALID',
    `expected the manifest of ${JSON.stringify(record.name)}, got that of ${JSON.stringify(manifest.name)}; the name was redirected`,
  );
}

/** Looks again when compaction has moved the parts meanwhile, and as long as a silent node may have them. */
async function findEnvelope(
  services: RestoreServices,
  access: PackAccess,
  record: ObjectRecord,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const silence = new Silence(services.clock, signal);
  for (let { packs } = record; ; ) {
    try {
      return await readEnvelope(services, access, { ...record, packs });
    } catch (error) {
      if (!(error instanceof KwamError) || error.context['part'] === undefined) throw error;
      const before = packs;
      packs = await packsNow(services, record);
      const areMoved = packs.some((pack) => !before.includes(pack));
      if (!areMoved && !(await silence.mayEnd(access.silent))) throw error;
      await access.refresh(packs);
    }
  }
}

/** What is known of an object before its manifest is read. */
export type EnvelopePlace = Pick<ObjectRecord, 'name' | 'parts' | 'packs'>;

/** The parts of a manifest, each with the digest that it is known by, joined; or one record of its kind. Not verified further. */
export function readEnvelope(
  services: RestoreServices,
  access: PackAccess,
  place: EnvelopePlace,
): Promise<Uint8Array<ArrayBuffer>> {
  return joinParts(place.parts.length, partsOf(services, access, place));
}

async function* partsOf(
  services: RestoreServices,
  access: PackAccess,
  record: EnvelopePlace,
): AsyncGenerator<Uint8Array> {
  for (const digest of record.parts) yield await readPart(services, access, record, digest);
}

/** Parts are stored last, so the search begins at the end; a damaged copy is set aside and the next one is tried. */
async function readPart(
  services: RestoreServices,
  access: PackAccess,
  record: EnvelopePlace,
  digest: DigestHex,
): Promise<Uint8Array> {
  let last: unknown;
  for (let round = 0; round < READ_ROUNDS; round++) {
    for (const pack of record.packs.toReversed()) {
      try {
        const bytes = await readPartOf(services, access, pack, digest);
        if (bytes !== undefined) return bytes;
      } catch (error) {
        last = error;
        if (!(error instanceof KwamError) || !READ_AGAIN.has(error.code)) throw error;
      }
    }
  }
  throw notRead(
    `expected part ${digest} of the manifest of ${JSON.stringify(record.name)}, found no intact copy`,
    access.silent,
    { cause: last, context: { part: digest } },
  );
}

/** Nobody has it, or somebody who may have it was not heard: only the former is a loss. */
function notRead(
  what: string,
  silent: readonly string[],
  details: { readonly cause?: unknown; readonly context: KwamError['context'] },
): KwamError {
  if (silent.length === 0) return new KwamError('INTEGRITY', `${what}; run kwam-dp repair`, details);
  const nodes = silent.join(', ');
  const message = `${what} on the nodes that answer; ${nodes} gave no answer and may have one: start what is missing and try again`;
  const context = { ...details.context, silent: nodes };
  return new KwamError('UNAVAILABLE', message, { ...details, context, retryable: true });
}

/** Undefined when this pack does not have the part. */
async function readPartOf(
  services: RestoreServices,
  access: PackAccess,
  pack: DigestHex,
  digest: DigestHex,
): Promise<Uint8Array | undefined> {
  const records = await access.records(pack);
  const index = records.findIndex((one) => toHex(one.digest) === digest);
  if (index < 0) return undefined;
  const opened = await access.open(pack, [index]);
  try {
    const { fileSystem } = services.store;
    const part = withFile(fileSystem, opened.path, (file) => readRecord(fileSystem, file, records[index]!));
    services.onVerified(part.length, 1, opened.isOwn);
    return part;
  } catch (error) {
    // The list of records is proven by the pack's id: where the file says something else (NOT_FOUND), the file is wrong.
    if (error instanceof KwamError && PART_DAMAGE.has(error.code)) {
      const actual = (error.context['actual'] ?? 'unreadable') as BadRecord['actual'];
      await reportBad(services, opened, pack, [{ digest, actual }]);
    }
    throw error;
  } finally {
    await opened.release();
  }
}

const PART_DAMAGE: ReadonlySet<string> = new Set(['CHUNK_DIGEST_MISMATCH', 'NOT_FOUND']);

async function readThrough(
  services: RestoreServices,
  access: PackAccess,
  record: ObjectRecord,
  manifest: Manifest,
  request: RestoreRequest,
): Promise<RestoreResult> {
  return resultOf(record, manifest, await readPacks(services, access, record, manifest, request, undefined));
}

function resultOf(record: ObjectRecord, manifest: Manifest, unread: Unread): RestoreResult {
  return {
    name: record.name,
    manifest: record.manifest,
    files: record.files,
    chunks: manifest.chunks.lengths.length,
    bytes: manifest.bytes,
    ...unread,
  };
}

async function writeTree(
  services: RestoreServices,
  access: PackAccess,
  record: ObjectRecord,
  manifest: Manifest,
  request: RestoreRequest & { readonly destination: string },
): Promise<RestoreResult> {
  const destination = resolve(request.destination);
  checkDestination(destination);
  const staging = join(dirname(destination), `.${basename(destination)}.kwam-partial`);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true });
  try {
    const directories = manifest.files.filter((entry) => entry.type === 'directory');
    await services.pool.run(makeDirectories, { root: staging, entries: directories });
    const unread = await readPacks(services, access, record, manifest, request, staging);
    if (unread.damage.chunks > 0) throw unrestorable(record.name, unread, access.silent);
    await finish(services, staging, manifest.files);
    await putInPlace(staging, destination, manifest.files);
    return resultOf(record, manifest, unread);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function checkDestination(destination: string): void {
  if (!existsSync(destination)) return;
  try {
    if (readdirSync(destination).length === 0) return;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOTDIR') throw cause;
  }
  throw new KwamError(
    'ALREADY_EXISTS',
    `expected nothing at ${destination}, or an empty directory; choose another destination or move it away`,
    { context: { destination } },
  );
}

function unrestorable(name: string, { failures, damage }: Unread, silent: readonly string[]): KwamError {
  const { chunks, files, paths } = damage;
  const named = paths.slice(0, PATHS_IN_MESSAGE_MAX).join(', ');
  const where =
    files > PATHS_IN_MESSAGE_MAX ? `${named} and ${files - PATHS_IN_MESSAGE_MAX} more files` : named;
  const what =
    `${JSON.stringify(name)} cannot be restored, nothing was written: expected ${chunks === 1 ? 'a chunk' : `${chunks} chunks`} of ${where}, ` +
    `found no intact copy (${failures[0]!.problem})`;
  return notRead(what, silent, { context: { chunks, files } });
}

async function readPacks(
  services: RestoreServices,
  access: PackAccess,
  record: ObjectRecord,
  manifest: Manifest,
  request: RestoreRequest,
  root: string | undefined,
): Promise<Unread> {
  const plan = new RestorePlan(manifest);
  let bytesDone = 0;
  let packs = record.packs;
  let problems: string[] = [];
  const silence = new Silence(services.clock, request.signal);
  for (let round = 1; ; round++) {
    problems = [];
    await inParallel(packs, services.pool.threadCount + 1, async (pack) => {
      const done = await readPack(services, access, plan, pack, root, request.signal);
      bytesDone += done.bytes;
      request.onProgress(bytesDone, manifest.bytes);
      if (done.problem !== undefined) problems.push(done.problem);
    });
    if (problems.length === 0) break;
    if (round >= READ_ROUNDS && !(await silence.mayEnd(access.silent))) break;
    packs = await packsNow(services, record);
    await access.refresh(packs);
  }
  const failures: ReadFailure[] = [];
  for (const { chunk, digest, path } of plan.missing()) {
    if (failures.length < FAILURES_NAMED_MAX)
      failures.push({
        path: showPath(path),
        chunk,
        digest: toHex(digest),
        problem: problems[0] ?? 'no pack of the object has it',
      });
  }
  return { failures, damage: plan.damage() };
}

/** All of them, not only those that failed: another pack may have the same chunks, and compaction may have moved them. */
async function packsNow(services: RestoreServices, record: ObjectRecord): Promise<readonly DigestHex[]> {
  try {
    const now = await services.catalog.object(record.name);
    return now.manifest === record.manifest ? now.packs : record.packs;
  } catch (error) {
    // Removed meanwhile; its packs may be there still.
    if (error instanceof KwamError && error.code === 'NOT_FOUND') return record.packs;
    throw error;
  }
}

async function readPack(
  services: RestoreServices,
  access: PackAccess,
  plan: RestorePlan,
  pack: DigestHex,
  root: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ readonly bytes: number; readonly problem?: string }> {
  try {
    const records = await access.records(pack);
    const wanted = [...records.keys()].filter((i) => plan.wants(records[i]!.digest));
    if (wanted.length === 0) return { bytes: 0 };
    const opened = await access.open(pack, wanted, signal);
    try {
      const input = plan.take(opened.path, records, root);
      if (input === undefined) return { bytes: 0 };
      const { bytes, bad } = await restoreOrGiveBack(services, plan, input, opened.isOwn, signal);
      if (bad.length > 0) await reportBad(services, opened, pack, bad);
      return bad.length === 0
        ? { bytes }
        : { bytes, problem: `${bad.length} records of pack ${pack} were bad` };
    } finally {
      await opened.release();
    }
  } catch (error) {
    if (!(error instanceof KwamError) || !READ_AGAIN.has(error.code)) throw error;
    return { bytes: 0, problem: error.message };
  }
}

/** What the task did not restore is wanted again, whether it was bad or the task failed. */
async function restoreOrGiveBack(
  services: RestoreServices,
  plan: RestorePlan,
  input: RestorePackInput,
  isOwn: boolean,
  signal: AbortSignal | undefined,
): Promise<RestorePackOutput> {
  const options = { bytes: packBytes(input.lengths), ...(signal === undefined ? {} : { signal }) };
  try {
    const done = await services.pool.run(restorePack, input, options);
    services.onVerified(done.bytes, done.records - done.bad.length, isOwn);
    for (const one of done.bad) plan.giveBack(fromHex(one.digest));
    return done;
  } catch (error) {
    for (let at = 0; at < input.digests.length; at += DIGEST_BYTES)
      plan.giveBack(asDigest(input.digests.subarray(at, at + DIGEST_BYTES)));
    throw error;
  }
}

/** Whoever has the bad bytes sets the pack aside, and the next try reads another copy. */
export async function reportBad(
  services: RestoreServices,
  opened: OpenedPack,
  pack: DigestHex,
  bad: readonly BadRecord[],
): Promise<void> {
  if (opened.isOwn) return services.onOwnCorrupt(pack, bad);
  services.onForeignCorrupt(pack, bad);
  await opened.distrust();
}

/** Another round may find another copy; what is still missing at the end is reported by file. */
export const READ_AGAIN: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'NOT_FOUND',
  'PACK_INVALID',
  'STRIPE_TOO_FEW_SHARDS',
  'STRIPE_MIXED',
  'CHUNK_DIGEST_MISMATCH',
]);

function packBytes(lengths: Uint32Array): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}

async function finish(
  services: RestoreServices,
  root: string,
  entries: readonly ManifestEntry[],
): Promise<void> {
  const files = entries.filter((entry): entry is FileEntry => entry.type === 'file');
  const batches: FileEntry[][] = [];
  for (let at = 0; at < files.length; at += FILES_PER_TASK)
    batches.push(files.slice(at, at + FILES_PER_TASK));
  await inParallel(batches, services.pool.threadCount, (batch) =>
    services.pool.run(finishFiles, { root, entries: batch }),
  );
  await services.pool.run(finishTree, { root, entries: entries.filter((entry) => entry.type !== 'file') });
}

/** An object without a root directory is a single file: the destination is that file. */
async function putInPlace(
  staging: string,
  destination: string,
  entries: readonly ManifestEntry[],
): Promise<void> {
  const isTree = entries.some((entry) => entry.type === 'directory' && entry.path === ROOT_PATH);
  if (existsSync(destination)) rmdirSync(destination);
  if (isTree) return rename(staging, destination);
  const only = entries[0]!.path;
  const source =
    typeof only === 'string' ? join(staging, only) : Buffer.concat([Buffer.from(`${staging}/`), only]);
  await rename(source, destination);
}
