/** The demo's own eyes: every kind of difference is seen, an exact copy has none, and a tree that moves is noticed. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bytesOf, changesBetween, compareTrees, listTree } from '../../src/cli/compare-trees.ts';
import { temporary } from './run.ts';

const ROOT = temporary('compare');
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

const ODD = Buffer.concat([Buffer.from('line\nbreak '), Buffer.of(0xff, 0xfe)]);
const under = (root: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${root}/`), name]);

let trees = 0;
function makeTree(): string {
  const root = join(ROOT, `${trees++}`);
  fs.mkdirSync(join(root, 'sub/empty'), { recursive: true });
  fs.writeFileSync(join(root, 'file'), 'content', { mode: 0o640 });
  fs.writeFileSync(join(root, 'sub/large'), Buffer.alloc((1 << 20) + 17, 7));
  fs.writeFileSync(under(root, ODD), 'odd');
  fs.symlinkSync('file', join(root, 'link'));
  fs.linkSync(join(root, 'sub/large'), join(root, 'sub/second'));
  for (const path of ['file', 'sub/large', 'link', 'sub/empty', 'sub', '.']) {
    fs.lutimesSync(join(root, path), 1_700_000_000.123456, 1_700_000_000.123456);
  }
  fs.utimesSync(under(root, ODD), 1_700_000_000, 1_700_000_000);
  fs.lutimesSync(root, 1_700_000_000.123456, 1_700_000_000.123456);
  return root;
}

function replace(path: string, make: (path: string) => void): void {
  fs.rmSync(path);
  make(path);
}

async function differencesAfter(change: (root: string) => void): Promise<readonly string[]> {
  const [source, other] = [makeTree(), makeTree()];
  const stat = fs.statSync(join(other, 'sub'));
  change(other);
  fs.lutimesSync(join(other, 'sub'), stat.mtimeMs / 1000, stat.mtimeMs / 1000);
  fs.lutimesSync(other, stat.mtimeMs / 1000, stat.mtimeMs / 1000);
  const { differences } = await compareTrees(source, other, () => undefined, new AbortController().signal);
  return differences;
}

describe('comparing trees', () => {
  it('finds nothing between equal trees and reads every byte', async () => {
    const [source, other] = [makeTree(), makeTree()];
    const seen: number[] = [];
    const result = await compareTrees(source, other, (done) => seen.push(done), new AbortController().signal);
    expect(result).toEqual({ differences: [], differingBytes: 0, comparedBytes: bytesOf(listTree(source)) });
    expect(seen.at(-1)).toBe(result.comparedBytes);
  });

  it.each<[string, (root: string) => void, RegExp]>([
    ['a missing file', (root) => fs.rmSync(join(root, 'file')), /"file": missing/],
    ['an extra file', (root) => fs.writeFileSync(join(root, 'extra'), ''), /"extra": not in the source/],
    ['another mode', (root) => fs.chmodSync(join(root, 'file'), 0o600), /mode 640 in the source, 600 here/],
    ['another time', (root) => fs.utimesSync(join(root, 'file'), 1, 1.7e9 + 0.12346), /time is \d+ ns off/],
    ['another size', (root) => fs.truncateSync(join(root, 'file'), 3), /7 bytes in the source, 3 here/],
    ['another type', (root) => replace(join(root, 'file'), (path) => fs.mkdirSync(path)), /type of file/],
    ['another link', (root) => replace(join(root, 'link'), (path) => fs.symlinkSync('x', path)), /elsewhere/],
    [
      'a hard link that became a file',
      (root) => replace(join(root, 'sub/second'), (path) => fs.copyFileSync(join(root, 'sub/large'), path)),
      /"sub\/second": hard links differ/,
    ],
    [
      'a flipped byte in an odd name',
      (root) => fs.writeFileSync(under(root, ODD), 'odt'),
      /"line\\nbreak .*1 bytes differ/,
    ],
  ])('sees %s', async (_what, change, expected) => {
    expect((await differencesAfter(change)).join('\n')).toMatch(expected);
  });

  it('counts differing bytes behind the first block', async () => {
    const [source, other] = [makeTree(), makeTree()];
    const file = fs.openSync(join(other, 'sub/large'), 'r+');
    fs.writeSync(file, Buffer.of(1, 2), 0, 2, (1 << 20) + 3);
    fs.closeSync(file);
    const result = await compareTrees(source, other, () => undefined, new AbortController().signal);
    // Two names of one inode: both show it.
    expect(result.differingBytes).toBe(4);
  });

  it('notices that a tree did not hold still', () => {
    const root = makeTree();
    const before = listTree(root);
    expect(changesBetween(before, listTree(root))).toEqual([]);
    fs.appendFileSync(join(root, 'file'), '!');
    expect(changesBetween(before, listTree(root))).toEqual(['"file"']);
  });
});
