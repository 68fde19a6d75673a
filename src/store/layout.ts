/**
 * The directories and file names of one node's store.
 * In: the node's directory. Out: paths. Source: ARCHITECTURE.md, "Store directory of a node". Does no I/O, except
 * `makeLayout`, which creates the directories.
 */
import { join } from 'node:path';
import type { DigestHex } from '../digest.ts';
import type { FileSystem } from '../filesystem.ts';

export interface StoreLayout {
  readonly root: string;
  /** Sealed packs: the only files that are ever served. */
  readonly packs: string;
  /** Being written or received; nothing in it was acknowledged. */
  readonly incoming: string;
  /** Damaged bytes kept as evidence. */
  readonly quarantine: string;
  /** LMDB and its seal: a derivation of packs/. */
  readonly index: string;
  /** Small values that outlive the index, such as the scrub cursor. */
  readonly notes: string;
}

const PACK_FILE = /^([0-9a-f]{64})\.pack$/;
const EVIDENCE_FILE = /^([0-9a-f]{64})\.(\d+)\.pack$/;

export function layoutOf(directory: string): StoreLayout {
  const at = (name: string): string => join(directory, name);
  return {
    root: directory,
    packs: at('packs'),
    incoming: at('incoming'),
    quarantine: at('quarantine'),
    index: at('index'),
    notes: at('notes'),
  };
}

export function makeLayout(fileSystem: FileSystem, layout: StoreLayout): void {
  for (const directory of [
    layout.root,
    layout.packs,
    layout.incoming,
    layout.quarantine,
    layout.index,
    layout.notes,
  ])
    fileSystem.makeDirectory(directory);
  fileSystem.syncDirectory(layout.root);
}

export function packPath(packs: string, id: DigestHex): string {
  return join(packs, `${id}.pack`);
}

export function parsePackName(name: string): DigestHex | undefined {
  return PACK_FILE.exec(name)?.[1] as DigestHex | undefined;
}

/** Where a pack grows that comes from another node; the name survives a restart, so that the transfer can go on. */
export function receivingPath(incoming: string, id: DigestHex): string {
  return join(incoming, `${id}.receiving`);
}

export function isReceiving(name: string): boolean {
  return name.endsWith('.receiving');
}

/** `<id>.<n>.pack`: the n-th time that this pack was found damaged. */
export function evidencePath(quarantine: string, id: DigestHex, n: number): string {
  return join(quarantine, `${id}.${n}.pack`);
}

export function parseEvidenceName(name: string): { readonly id: DigestHex; readonly n: number } | undefined {
  const match = EVIDENCE_FILE.exec(name);
  return match === null ? undefined : { id: match[1] as DigestHex, n: Number(match[2]) };
}
