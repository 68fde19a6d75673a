/**
 * Trees of files that look like real ones, from a seed: text, binaries, many small files, repeated parts, empty files, links.
 * And what a restored tree must be compared with: every byte, mode, time and link, as one digest a path.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type Random, seededRandom } from '../../src/random.ts';

const WORDS =
  'export const return await value index chunk the of and import from node store error length'.split(' ');

function text(random: Random, bytes: number): Buffer {
  const parts: string[] = [];
  for (let length = 0; length < bytes; ) {
    const word = `${WORDS[random.below(WORDS.length)]}${random.below(9) === 0 ? `${random.below(1e6)}\n` : ' '}`;
    parts.push(word);
    length += word.length;
  }
  return Buffer.from(parts.join('').slice(0, bytes));
}

function binary(random: Random, bytes: number): Buffer {
  return Buffer.from(random.fill(new Uint8Array(bytes)));
}

/** About `bytes` of content in a fresh directory. */
export function makeTree(directory: string, seed: number, bytes: number): void {
  const random = seededRandom(seed);
  fs.mkdirSync(join(directory, 'sub', 'deep'), { recursive: true });
  const large = binary(random, Math.floor(bytes / 2));
  fs.writeFileSync(join(directory, 'weights.bin'), large);
  fs.writeFileSync(join(directory, 'sub', 'copy-of-a-part.bin'), large.subarray(0, Math.floor(bytes / 8)));
  fs.writeFileSync(join(directory, 'sub', 'log.txt'), text(random, Math.floor(bytes / 8)));
  for (let left = Math.floor(bytes / 4), i = 0; left > 0; i++) {
    const size = Math.min(left, random.below(20_000));
    const make = random.below(2) === 0 ? text : binary;
    fs.writeFileSync(join(directory, 'sub', 'deep', `file-${i}`), make(random, size));
    left -= size + 1;
  }
  fs.writeFileSync(join(directory, 'empty'), '');
  fs.symlinkSync('weights.bin', join(directory, 'link'));
}

/** Writes some bytes in the middle of the large file and adds one file: most chunks stay as they are. */
export function changeTree(directory: string, seed: number): void {
  const random = seededRandom(seed);
  const path = join(directory, 'weights.bin');
  const file = fs.openSync(path, 'r+');
  fs.writeSync(file, binary(random, 100), 0, 100, random.below(fs.statSync(path).size - 100));
  fs.closeSync(file);
  fs.writeFileSync(join(directory, `added-${seed}`), binary(random, 30_000));
}

/** Path → what is there; times to the microsecond, which is what Node can set. Equal maps mean equal trees. */
export function describeTree(directory: string, at = ''): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of fs.readdirSync(join(directory, at), { withFileTypes: true })) {
    const path = join(at, entry.name);
    const full = join(directory, path);
    const { mode, mtimeNs } = fs.lstatSync(full, { bigint: true });
    if (entry.isSymbolicLink()) found.set(path, `link to ${fs.readlinkSync(full)}`);
    else if (entry.isDirectory()) {
      found.set(path, `directory ${mode}`);
      for (const [inner, what] of describeTree(directory, path)) found.set(inner, what);
    } else {
      const digest = createHash('sha256').update(fs.readFileSync(full)).digest('hex');
      found.set(path, `file ${mode} ${mtimeNs / 1000n} ${digest}`);
    }
  }
  return found;
}

/** Flips one bit that a seed chooses among the bytes [from, to) of a file. */
export function flipByte(path: string, random: Random, from = 0, to = fs.statSync(path).size): number {
  const at = from + random.below(to - from);
  const file = fs.openSync(path, 'r+');
  try {
    const byte = new Uint8Array(1);
    fs.readSync(file, byte, 0, 1, at);
    byte[0]! ^= 1 << random.below(8);
    fs.writeSync(file, byte, 0, 1, at);
    return at;
  } finally {
    fs.closeSync(file);
  }
}
