/**
 * Puts until the disk is full, as a program of its own: it mounts a small tmpfs over the directory that it is given, in a mount
 * namespace of its own (run it under `unshare --map-root-user --mount`), so nothing of it outlives the process.
 * Out: one JSON document with what happened; full-disk.test.ts judges it.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { KwamError } from '../../src/errors.ts';
import { MIB } from '../../src/limits.ts';
import { startCluster } from './memory-cluster.ts';
import { bytesOf, ordinaryTree, write } from './trees.ts';

const [disk, tree] = process.argv.slice(2) as [string, string];
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'kwam-test', disk]);
const cluster = await startCluster({ directory: disk });
const node = cluster.nodes[0]!;
const codeOf = (run: Promise<unknown>): Promise<string> =>
  run.then(
    () => 'none',
    (error: unknown) => (error instanceof KwamError ? error.code : String(error)),
  );

ordinaryTree(tree, 12_000);
await node.put(tree, 'before');
write(join(tree, 'large'), bytesOf(13, 60 * MIB));
const tooMuch = await codeOf(node.put(tree, 'too-much'));
const acknowledged = await codeOf(node.get('too-much'));
const leftovers = fs.readdirSync(node.store.layout.incoming);
const before = await node.get('before');
const readFailures = before.failures.length;
// Room for some of it only.
const ballast = fs.statfsSync(disk);
fs.writeFileSync(join(disk, 'ballast'), new Uint8Array(Math.max(0, ballast.bavail * ballast.bsize - MIB)));
const restored = await codeOf(node.get('before', join(disk, 'restored')));
const staging = fs.readdirSync(disk).filter((name) => name.startsWith('.'));

fs.rmSync(join(disk, 'ballast'));
// What the failed put had finished is garbage that a later put may use, or a compaction remove; here it is removed.
fs.rmSync(join(tree, 'large'));
fs.rmSync(join(disk, 'restored'), { recursive: true, force: true });
const { packs } = await node.services.catalog.object('before');
for (const { id } of node.store.listPacks(undefined, 1000))
  if (!packs.includes(id)) await node.store.retirePack(id);
await node.put(tree, 'after');
const after = (await node.get('after')).failures.length;
await cluster.close();
console.log(JSON.stringify({ tooMuch, acknowledged, leftovers, readFailures, restored, staging, after }));
