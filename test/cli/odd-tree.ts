/** A small tree with what file systems allow: odd names, odd modes, links, holes and nothing at all. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../src/random.ts';

export const ODD_NAMES = [
  Buffer.from('two\nlines'),
  Buffer.concat([Buffer.from('not utf-8 '), Buffer.of(0xff, 0xfe, 0x80)]),
  Buffer.from('räum 日本 😀'),
  Buffer.from(' -rf "quoted" \\ $HOME'),
];

/** @param bytes  of random, so incompressible and not deduplicated, content in a few larger files. */
export function makeOddTree(root: string, bytes: number): void {
  const random = seededRandom(20261122);
  fs.mkdirSync(join(root, 'deep/er/est'), { recursive: true });
  fs.mkdirSync(join(root, 'empty'));
  for (const [i, name] of ODD_NAMES.entries()) {
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), `content ${i}`);
  }
  const files = 4;
  for (let i = 0; i < files; i++) {
    fs.writeFileSync(join(root, `deep/random${i}`), random.fill(new Uint8Array(Math.ceil(bytes / files))));
  }
  fs.writeFileSync(join(root, 'nothing'), '');
  fs.writeFileSync(join(root, 'deep/er/run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  fs.chmodSync(join(root, 'deep/er/run.sh'), 0o4711);
  fs.symlinkSync('../nowhere', join(root, 'deep/dangling'));
  fs.linkSync(join(root, 'deep/random0'), join(root, 'deep/er/est/second-name'));
  const sparse = fs.openSync(join(root, 'sparse'), 'w');
  fs.writeSync(sparse, 'end', 1 << 20);
  fs.closeSync(sparse);
  fs.utimesSync(join(root, 'deep'), 1_600_000_000.5, 1_600_000_000.654321);
}
