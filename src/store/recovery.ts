/**
 * What the files alone say about a store, and the clean-up that follows; no LMDB here.
 * In: a store directory after any crash. Out: the packs to serve and the packs in quarantine; incoming/ empty.
 * Holds: nothing under packs/ is removed; a pack whose structure is damaged moves to quarantine/. Payloads are not read:
 * that is the scrub's work.
 */
import { join } from 'node:path';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import type { FileSystem } from '../filesystem.ts';
import {
  evidencePath,
  isReceiving,
  packPath,
  parseEvidenceName,
  parsePackName,
  type StoreLayout,
} from './layout.ts';
import { openPack, type PackContents, withFile } from './pack-reader.ts';

export interface DroppedFile {
  readonly name: string;
  readonly bytes: number;
}

export interface StoreScan {
  readonly packs: ReadonlySet<DigestHex>;
  /** In quarantine and not repaired since: id → number of its latest evidence. */
  readonly quarantined: ReadonlyMap<DigestHex, number>;
  readonly incomingDropped: readonly DroppedFile[];
  /** Quarantines that a crash had interrupted and that are complete now. */
  readonly quarantinesFinished: readonly DigestHex[];
  /** Names under packs/ that no pack has; left alone. */
  readonly strangers: readonly string[];
}

export interface Evidence {
  readonly id: DigestHex;
  readonly reason: string;
  readonly atMs: number;
}

export function scanStore(fileSystem: FileSystem, layout: StoreLayout): StoreScan {
  const incomingDropped = dropIncoming(fileSystem, layout);
  const quarantinesFinished = finishQuarantines(fileSystem, layout);
  const names = fileSystem.list(layout.packs);
  const packs = new Set(names.map(parsePackName).filter((id) => id !== undefined));
  const strangers = names.filter((name) => parsePackName(name) === undefined);
  const quarantined = evidenceOf(fileSystem, layout);
  for (const id of packs) quarantined.delete(id);
  return { packs, quarantined, incomingDropped, quarantinesFinished, strangers };
}

/** A transfer in progress stays: its records are verified one by one when it goes on. Everything else starts anew. */
function dropIncoming(fileSystem: FileSystem, layout: StoreLayout): DroppedFile[] {
  const names = fileSystem.list(layout.incoming).filter((name) => !isReceiving(name));
  return names.map((name) => {
    const path = join(layout.incoming, name);
    const bytes = withFile(fileSystem, path, (file) => fileSystem.bytes(file));
    fileSystem.remove(path);
    return { name, bytes };
  });
}

export function evidenceOf(fileSystem: FileSystem, layout: StoreLayout): Map<DigestHex, number> {
  const latest = new Map<DigestHex, number>();
  for (const name of fileSystem.list(layout.quarantine)) {
    const evidence = parseEvidenceName(name);
    if (evidence === undefined) continue;
    latest.set(evidence.id, Math.max(evidence.n, latest.get(evidence.id) ?? 0));
  }
  return latest;
}

/** The description is written before the pack moves: one without its pack means that the move did not happen. */
function finishQuarantines(fileSystem: FileSystem, layout: StoreLayout): DigestHex[] {
  const finished: DigestHex[] = [];
  for (const name of fileSystem.list(layout.quarantine)) {
    if (!name.endsWith('.json')) continue;
    const evidence = parseEvidenceName(`${name.slice(0, -'.json'.length)}`);
    if (evidence === undefined) continue;
    const target = evidencePath(layout.quarantine, evidence.id, evidence.n);
    const source = packPath(layout.packs, evidence.id);
    const moved = fileSystem.exists(target) || fileSystem.exists(settledPath(target));
    if (moved || !fileSystem.exists(source)) continue;
    moveToQuarantine(fileSystem, layout, source, target);
    finished.push(evidence.id);
  }
  return finished;
}

function moveToQuarantine(fileSystem: FileSystem, layout: StoreLayout, source: string, target: string): void {
  fileSystem.rename(source, target);
  fileSystem.syncDirectory(layout.quarantine);
  fileSystem.syncDirectory(layout.packs);
}

const settledPath = (evidence: string): string => `${evidence}.settled`;

/**
 * Moves packs/<id>.pack to quarantine/<id>.<n>.pack beside <id>.<n>.pack.json, durably. Open readers keep their bytes.
 * @returns n
 */
export function quarantineFile(fileSystem: FileSystem, layout: StoreLayout, evidence: Evidence): number {
  let n = 1;
  while (isTaken(fileSystem, evidencePath(layout.quarantine, evidence.id, n))) n++;
  const target = evidencePath(layout.quarantine, evidence.id, n);
  describeEvidence(fileSystem, `${target}.json`, evidence);
  fileSystem.syncDirectory(layout.quarantine);
  moveToQuarantine(fileSystem, layout, packPath(layout.packs, evidence.id), target);
  return n;
}

/** A full disk must not keep a damaged pack in service: then it moves without a description. */
function describeEvidence(fileSystem: FileSystem, path: string, evidence: Evidence): void {
  const text = JSON.stringify({ schema: 'kwam.evidence/v1', ...evidence });
  try {
    const file = fileSystem.open(path, 'create');
    try {
      fileSystem.write(file, [Buffer.from(text)], 0);
      fileSystem.sync(file);
    } finally {
      fileSystem.close(file);
    }
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'DISK_FULL') throw error;
    fileSystem.remove(path);
  }
}

function isTaken(fileSystem: FileSystem, target: string): boolean {
  return [target, `${target}.json`, settledPath(target)].some((path) => fileSystem.exists(path));
}

/** The pack is not wanted here any more: its evidence stays, and no longer asks for repair. */
export function settleEvidence(fileSystem: FileSystem, layout: StoreLayout, id: DigestHex): void {
  for (const name of fileSystem.list(layout.quarantine)) {
    if (parseEvidenceName(name)?.id !== id) continue;
    const path = join(layout.quarantine, name);
    fileSystem.rename(path, settledPath(path));
  }
  fileSystem.syncDirectory(layout.quarantine);
}

/** The contents of a pack under packs/, or in words why it has none. */
export function tryOpenPack(fileSystem: FileSystem, path: string, id: DigestHex): PackContents | string {
  try {
    return openPack(fileSystem, path, id);
  } catch (error) {
    if (error instanceof KwamError && (error.code === 'PACK_INVALID' || error.code === 'IO'))
      return error.message;
    throw error;
  }
}
