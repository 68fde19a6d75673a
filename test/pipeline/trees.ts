/** File trees for the tests of the pipeline: seeded content, and a comparison that leaves nothing out. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/digest.ts';
import { sha256Native } from '../../src/hashing/native-engine.ts';
import { seededRandom } from '../../src/random.ts';

export function bytesOf(seed: number, length: number): Uint8Array {
  return seededRandom(seed).fill(new Uint8Array(length));
}

export function write(path: string, bytes: Uint8Array | string): void {
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, bytes);
}

/** Sizes around every bound of the pipeline: empty, small, the chunk minimum, a chunk, several, a batch. */
export function ordinaryTree(root: string, seed = 1): void {
  const sizes = [0, 1, 33, 34, 1000, 16_383, 16_384, 65_536, 300_000, 2_000_000];
  for (const [i, size] of sizes.entries())
    write(join(root, `d${i % 3}`, `f${i}.bin`), bytesOf(seed + i, size));
  for (let i = 0; i < 200; i++) write(join(root, 'small', `s${i}`), bytesOf(seed + 100 + i, (i * 37) % 900));
}

/** A tree with one of everything that a file system has and the manifest keeps. */
export function oddTree(root: string): void {
  ordinaryTree(root);
  write(join(root, 'line\nbreak \\ "quote"'), 'newline');
  fs.writeFileSync(Buffer.from(`${root}/bad-\xff\xfe`, 'latin1'), 'invalid utf-8');
  fs.mkdirSync(Buffer.from(`${root}/dir-\xff`, 'latin1'));
  fs.writeFileSync(Buffer.from(`${root}/dir-\xff/inside`, 'latin1'), 'below an odd name');
  fs.symlinkSync('../outside/nowhere', join(root, 'dangling'));
  fs.symlinkSync('d0', join(root, 'link-to-directory'));
  fs.symlinkSync(Buffer.from('odd-\xff', 'latin1'), join(root, 'odd-target'));
  fs.linkSync(join(root, 'd1', 'f4.bin'), join(root, 'hard'));
  fs.linkSync(join(root, 'd1', 'f4.bin'), join(root, 'd0', 'hard-too'));
  fs.mkdirSync(join(root, 'empty-directory'));
  const sparse = fs.openSync(join(root, 'sparse'), 'w');
  fs.writeSync(sparse, bytesOf(9, 100_000), 0, 100_000, 3_000_000);
  fs.ftruncateSync(sparse, 9_500_000);
  fs.closeSync(sparse);
  fs.chmodSync(join(root, 'd0', 'f0.bin'), 0o4755);
  fs.chmodSync(join(root, 'd1'), 0o2710);
  fs.chmodSync(join(root, 'd2', 'f2.bin'), 0);
  fs.lutimesSync(join(root, 'dangling'), 1_600_000_000.25, 1_600_000_000.25);
  fs.utimesSync(join(root, 'd2', 'f5.bin'), 1_234_567_890.123457, 1_234_567_890.123457);
  fs.utimesSync(join(root, 'empty-directory'), 1, 1);
  fs.utimesSync(join(root, 'small', 's7'), -86_400.654321, -86_400.654321);
}

export interface Described {
  readonly type: string;
  readonly mode: number;
  /** Microseconds: what Node can set. */
  readonly mtimeUs: bigint;
  readonly owner: string;
  readonly content: string;
}

/** Every entry below `root` and `root` itself, by path bytes in hexadecimal. */
export function describeTree(root: string): Map<string, Described> {
  const found = new Map<string, Described>();
  const firstNames = new Map<string, string>();
  const visit = (path: Buffer, relative: Buffer): void => {
    const stat = fs.lstatSync(path, { bigint: true });
    const key = relative.toString('latin1');
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.isFile() && stat.nlink > 1n ? (firstNames.get(inode) ?? key) : key;
    firstNames.set(inode, first);
    found.set(key, {
      type: stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : `file like ${first}`,
      mode: stat.isSymbolicLink() ? 0 : Number(stat.mode & 0o7777n),
      mtimeUs: stat.mtimeNs / 1000n,
      owner: `${stat.uid}:${stat.gid}`,
      content: contentOf(path, stat),
    });
    if (!stat.isDirectory()) return;
    for (const name of fs.readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare))
      visit(Buffer.concat([path, Buffer.from('/'), name]), Buffer.concat([relative, Buffer.from('/'), name]));
  };
  visit(Buffer.from(root), Buffer.alloc(0));
  return found;
}

function contentOf(path: Buffer, stat: fs.BigIntStats): string {
  if (stat.isSymbolicLink()) return fs.readlinkSync(path, { encoding: 'buffer' }).toString('latin1');
  return stat.isFile() ? toHex(sha256Native(fs.readFileSync(path))) : '';
}

/** Bytes that the file takes on disk. */
export function diskBytes(path: string): number {
  return fs.statSync(path).blocks * 512;
}
