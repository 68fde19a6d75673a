/**
 * Compares two file trees without any code of the data plane: what the demo believes, it has seen here.
 * In: two roots. Out: every difference in names, types, contents, modes, symlink targets, hard links and times.
 * Also takes a fingerprint of a tree, to tell whether it held still meanwhile. Names are bytes throughout.
 */
import * as fs from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';

interface Entry {
  /** Below the root, as bytes. */
  readonly path: Buffer;
  readonly stat: fs.BigIntStats;
}

/** By the path as latin1, which is one character a byte. */
export type Tree = ReadonlyMap<string, Entry>;

const SLASH = Buffer.from('/');
const ROOT = '.';

export function listTree(root: string): Tree {
  const start = Buffer.from(fs.realpathSync(root));
  const entries = new Map<string, Entry>();
  const visit = (path: Buffer): void => {
    const full = joinPath(start, path);
    const stat = fs.lstatSync(full, { bigint: true });
    entries.set(path.toString('latin1'), { path, stat });
    if (!stat.isDirectory()) return;
    for (const name of fs.readdirSync(full, { encoding: 'buffer' })) visit(joinPath(path, name));
  };
  visit(Buffer.from(ROOT));
  return entries;
}

function joinPath(parent: Buffer, name: Buffer): Buffer {
  return parent.toString('latin1') === ROOT ? name : Buffer.concat([parent, SLASH, name]);
}

export function bytesOf(tree: Tree): number {
  let sum = 0;
  for (const { stat } of tree.values()) if (stat.isFile()) sum += Number(stat.size);
  return sum;
}

/** Paths whose inode changed, came or went between two looks at one tree; shown with odd characters escaped. */
export function changesBetween(before: Tree, after: Tree): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => inodeOf(before.get(key)) !== inodeOf(after.get(key))).map(showKey);
}

function inodeOf(entry: Entry | undefined): string {
  if (entry === undefined) return '';
  const { ino, mode, size, mtimeNs, ctimeNs } = entry.stat;
  return `${ino} ${mode} ${size} ${mtimeNs} ${ctimeNs}`;
}

function showKey(key: string): string {
  return JSON.stringify(Buffer.from(key, 'latin1').toString('utf8'));
}

export interface Comparison {
  readonly differences: readonly string[];
  /** Bytes of regular files that are there on both sides and differ. */
  readonly differingBytes: number;
  readonly comparedBytes: number;
}

export async function compareTrees(
  sourceRoot: string,
  otherRoot: string,
  onBytes: (bytesDone: number) => void,
  signal: AbortSignal,
): Promise<Comparison> {
  const [source, other] = [listTree(sourceRoot), listTree(otherRoot)];
  const roots = [fs.realpathSync(sourceRoot), fs.realpathSync(otherRoot)] as const;
  const differences: string[] = [];
  let [differingBytes, comparedBytes] = [0, 0];
  for (const key of other.keys())
    if (!source.has(key)) differences.push(`${showKey(key)}: not in the source`);
  const [links, otherLinks] = [firstLinks(source), firstLinks(other)];
  for (const [key, entry] of source) {
    signal.throwIfAborted();
    const found = other.get(key);
    const problem = found === undefined ? 'missing' : metadataProblem(roots, entry, found);
    if (problem !== undefined) differences.push(`${showKey(key)}: ${problem}`);
    if (links.get(key) !== otherLinks.get(key)) differences.push(`${showKey(key)}: hard links differ`);
    if (found === undefined || !entry.stat.isFile() || !found.stat.isFile()) continue;
    const differing = differingBytesOf(fullPath(roots[0], entry), fullPath(roots[1], found));
    if (differing > 0) differences.push(`${showKey(key)}: ${differing} bytes differ`);
    differingBytes += differing;
    comparedBytes += Number(entry.stat.size);
    onBytes(comparedBytes);
    await breathe();
  }
  return { differences, differingBytes, comparedBytes };
}

function fullPath(root: string, { path }: Entry): Buffer {
  return path.toString('latin1') === ROOT
    ? Buffer.from(root)
    : Buffer.concat([Buffer.from(root), SLASH, path]);
}

/** For files with several names: the first of them in the tree. */
function firstLinks(tree: Tree): Map<string, string> {
  const byInode = new Map<bigint, string>();
  const links = new Map<string, string>();
  for (const key of [...tree.keys()].sort()) {
    const { stat } = tree.get(key)!;
    if (!stat.isFile() || stat.nlink === 1n) continue;
    const first = byInode.get(stat.ino);
    if (first === undefined) byInode.set(stat.ino, key);
    else links.set(key, first);
  }
  return links;
}

const TYPE_MASK = 0o170000n;
const MODE_MASK = 0o7777n;
/** Node sets times as doubles of seconds: what is below a microsecond is cut off, and a double is a quarter of one off. */
const MTIME_TOLERANCE_NS = 1250n;

function metadataProblem(roots: readonly [string, string], entry: Entry, found: Entry): string | undefined {
  const [a, b] = [entry.stat, found.stat];
  if ((a.mode & TYPE_MASK) !== (b.mode & TYPE_MASK)) return 'another type of file';
  if (a.isFile() && a.size !== b.size) return `${a.size} bytes in the source, ${b.size} here`;
  if (a.isSymbolicLink()) {
    const [from, to] = [entry, found].map((one, i) => fs.readlinkSync(fullPath(roots[i]!, one), 'buffer'));
    if (!from!.equals(to!)) return 'the link points elsewhere';
  } else if ((a.mode & MODE_MASK) !== (b.mode & MODE_MASK)) {
    return `mode ${(a.mode & MODE_MASK).toString(8)} in the source, ${(b.mode & MODE_MASK).toString(8)} here`;
  }
  const offNs = a.mtimeNs > b.mtimeNs ? a.mtimeNs - b.mtimeNs : b.mtimeNs - a.mtimeNs;
  return offNs > MTIME_TOLERANCE_NS ? `its time is ${offNs} ns off` : undefined;
}

const BLOCK_BYTES = 1 << 20;
const blocks = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)] as const;

/** Positions at which the two differ, up to the longer one's end. */
function differingBytesOf(a: Buffer, b: Buffer): number {
  const files = [fs.openSync(a, 'r'), fs.openSync(b, 'r')] as const;
  try {
    let differing = 0;
    for (let position = 0; ; position += BLOCK_BYTES) {
      const lengths = files.map((file, i) => readBlock(file, blocks[i as 0 | 1], position));
      const common = Math.min(lengths[0]!, lengths[1]!);
      differing += Math.max(lengths[0]!, lengths[1]!) - common;
      if (blocks[0].compare(blocks[1], 0, common, 0, common) !== 0) {
        for (let i = 0; i < common; i++) if (blocks[0][i] !== blocks[1][i]) differing++;
      }
      if (common < BLOCK_BYTES) return differing;
    }
  } finally {
    for (const file of files) fs.closeSync(file);
  }
}

function readBlock(file: number, into: Buffer, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = fs.readSync(file, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
