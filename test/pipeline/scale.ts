/**
 * Puts and gets a large object within a memory budget, as a program of its own, because a limit on the heap and the peak of a
 * process are properties of a process. Run with the main thread's heap limited as `serve` does.
 * Arguments: directory, budget in bytes, number of small files, bytes of one sparse file.
 * Out: one JSON document; scale.test.ts judges it.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { memoryShares } from '../../src/workers/memory-shares.ts';
import { startCluster } from './memory-cluster.ts';

const [directory, budget, fileCount, sparseBytes] = process.argv.slice(2) as [string, string, string, string];
const shares = memoryShares(Number(budget));
const tree = join(directory, 'tree');
const PER_FOLDER = 1000;
for (let i = 0; i < Number(fileCount); i++) {
  const folder = join(tree, `folder-${Math.floor(i / PER_FOLDER)}`);
  if (i % PER_FOLDER === 0) fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(join(folder, `file-with-a-name-of-usual-length-${i}.json`), `content of file ${i}`);
}
fs.mkdirSync(tree, { recursive: true });
const sparse = fs.openSync(join(tree, 'sparse'), 'w');
fs.ftruncateSync(sparse, Number(sparseBytes));
for (const at of [0, Number(sparseBytes) / 2, Number(sparseBytes) - 9])
  fs.writeSync(sparse, 'not zero!', Math.floor(at));
fs.closeSync(sparse);

const cluster = await startCluster({
  directory,
  threads: shares.threadCount,
  heapBytes: shares.workerHeapBytes,
});
const node = cluster.nodes[0]!;
const put = await node.put(tree, 'large');
const putPeakBytes = process.resourceUsage().maxRSS * 1024;
const back = join(directory, 'back');
await node.get('large', back);
const restored = fs.statSync(join(back, 'sparse'));
const sample = Number(fileCount) - 1;
const name = `folder-${Math.floor(sample / PER_FOLDER)}/file-with-a-name-of-usual-length-${sample}.json`;
const sampleText = fs.readFileSync(join(back, name), 'utf8');
const end = Buffer.alloc(9);
const file = fs.openSync(join(back, 'sparse'), 'r');
fs.readSync(file, end, 0, 9, Number(sparseBytes) - 9);
fs.closeSync(file);
await cluster.close();
console.log(
  JSON.stringify({
    files: put.files,
    bytes: put.bytes,
    problems: put.problems.length,
    replaced: cluster.replaced,
    sparseBytes: restored.size,
    sparseDiskBytes: restored.blocks * 512,
    sparseEnd: end.toString(),
    sampleText,
    putPeakBytes,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
