/**
 * What the demo does to the cluster's disks, and its own look at them afterwards.
 * In: the directories of nodes. Out: which packs lie where, flipped bytes with a record of each, and packs re-hashed with
 * node:crypto alone. Knows the pack format and the store's layout; asks no node, so that it cannot be told what to see.
 */
import { hash, randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import type { DigestHex } from '../digest.ts';
import { toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { nodeFileSystem } from '../filesystem.ts';
import { layoutOf, packPath, parsePackName } from '../store/layout.ts';
import { RECORD_HEADER_BYTES } from '../store/pack-format.ts';
import { openPack, type PackContents, readExactly, withFile } from '../store/pack-reader.ts';

export interface NodeDirectory {
  readonly name: string;
  readonly directory: string;
}

export interface Injection {
  readonly node: string;
  readonly directory: string;
  readonly pack: DigestHex;
  /** Of the flipped byte in the pack file. */
  readonly offset: number;
}

/** Enough to hit several packs of each of two nodes, few enough that every pack keeps a good copy. */
const NODES_DAMAGED = 2;
const PACKS_DAMAGED_PER_NODE = 3;
const RECORDS_DAMAGED_PER_PACK = 2;

export function packsOf({ directory }: NodeDirectory): DigestHex[] {
  const names = fs.readdirSync(layoutOf(directory).packs);
  return names.flatMap((name) => parsePackName(name) ?? []).sort();
}

export function holdersOf(nodes: readonly NodeDirectory[]): Map<DigestHex, Set<string>> {
  const holders = new Map<DigestHex, Set<string>>();
  for (const node of nodes) {
    for (const pack of packsOf(node)) holders.set(pack, (holders.get(pack) ?? new Set()).add(node.name));
  }
  return holders;
}

/** The node with the most packs. */
export function fullestOf<Node extends NodeDirectory>(nodes: readonly Node[]): Node {
  const [fullest] = nodes.toSorted((a, b) => packsOf(b).length - packsOf(a).length);
  if (fullest === undefined || packsOf(fullest).length === 0) {
    throw new KwamError('INTERNAL', 'expected a node that holds packs after the put, found none');
  }
  return fullest;
}

/**
 * Flips bytes in packs of two of the nodes, never in the last good copy of a pack among them: what is gone everywhere
 * cannot be repaired by anyone.
 */
export function injectCorruption(nodes: readonly NodeDirectory[]): Injection[] {
  const good = new Map([...holdersOf(nodes)].map(([pack, holders]) => [pack, holders.size]));
  const injections: Injection[] = [];
  for (const node of nodes.toSorted((a, b) => packsOf(b).length - packsOf(a).length)) {
    const chosen = packsOf(node).filter((pack) => good.get(pack)! > 1);
    for (const pack of chosen.slice(0, PACKS_DAMAGED_PER_NODE)) {
      good.set(pack, good.get(pack)! - 1);
      injections.push(...flipBytes(node, pack));
    }
    if (new Set(injections.map((one) => one.node)).size === NODES_DAMAGED) break;
  }
  return injections;
}

function flipBytes({ name, directory }: NodeDirectory, pack: DigestHex): Injection[] {
  const path = packPath(layoutOf(directory).packs, pack);
  const records = [...openPack(nodeFileSystem, path, pack).records];
  const injections: Injection[] = [];
  while (records.length > 0 && injections.length < RECORDS_DAMAGED_PER_PACK) {
    const [record] = records.splice(randomInt(records.length), 1);
    const offset = record!.offset + RECORD_HEADER_BYTES + randomInt(record!.length);
    flipByte(path, offset);
    injections.push({ node: name, directory, pack, offset });
  }
  return injections;
}

function flipByte(path: string, offset: number): void {
  const file = fs.openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    fs.readSync(file, byte, 0, 1, offset);
    byte[0] = byte[0]! ^ (1 << randomInt(8));
    fs.writeSync(file, byte, 0, 1, offset);
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Detected: the node keeps that very file as evidence, so it does not serve it any more. */
export function isSetAside({ directory, pack }: Injection): boolean {
  return fs
    .readdirSync(layoutOf(directory).quarantine)
    .some((name) => name.startsWith(`${pack}.`) && name.endsWith('.pack'));
}

export interface Audit {
  /** How many intact files of each pack the nodes serve. */
  readonly intact: ReadonlyMap<DigestHex, number>;
  /** Records in served packs whose bytes are not what their digest says. */
  readonly badRecords: number;
}

/** Hashes every record of every pack that the nodes serve. */
export async function auditPacks(
  nodes: readonly NodeDirectory[],
  onBytes: (bytesDone: number) => void,
  signal: AbortSignal,
): Promise<Audit> {
  const intact = new Map<DigestHex, number>();
  let [badRecords, bytesDone] = [0, 0];
  for (const node of nodes) {
    for (const pack of packsOf(node)) {
      signal.throwIfAborted();
      const { bad, bytes } = auditPack(packPath(layoutOf(node.directory).packs, pack), pack);
      if (bad === 0) intact.set(pack, (intact.get(pack) ?? 0) + 1);
      badRecords += bad;
      bytesDone += bytes;
      onBytes(bytesDone);
      await breathe();
    }
  }
  return { intact, badRecords };
}

function auditPack(path: string, pack: DigestHex): { bad: number; bytes: number } {
  const contents = tryOpen(path, pack);
  if (contents === undefined) return { bad: 1, bytes: 0 };
  const { records, bytes } = contents;
  let bad = 0;
  withFile(nodeFileSystem, path, (file) => {
    for (const { offset, length, digest } of records) {
      const payload = readExactly(nodeFileSystem, file, offset + RECORD_HEADER_BYTES, length, 'record');
      if (hash('sha256', payload) !== toHex(digest)) bad++;
    }
  });
  return { bad, bytes };
}

/** Undefined when header, index or trailer are damaged. */
function tryOpen(path: string, pack: DigestHex): PackContents | undefined {
  try {
    return openPack(nodeFileSystem, path, pack);
  } catch (error) {
    if (error instanceof KwamError && error.code === 'PACK_INVALID') return undefined;
    throw error;
  }
}
