/**
 * A child process of store-kill.test.ts: commits, quarantines and retires packs until it is killed.
 * Prints `+<id>` when a pack is committed and `-<id>` before one is given up.
 */
import { writeSync } from 'node:fs';
import { nodeFileSystem } from '../../src/filesystem.ts';
import { seededRandom } from '../../src/random.ts';
import { sealPackFile } from '../../src/store/pack-writer.ts';
import { Store } from '../../src/store/store.ts';
import { CHUNKS_HEADER, fill, randomPayloads } from './packs.ts';

const [directory, seed] = process.argv.slice(2) as [string, string];
const random = seededRandom(Number(seed));
const store = await Store.open({ directory });
const say = (line: string): void => void writeSync(1, `${line}\n`);
say('ready');
for (;;) {
  const builder = store.createPack(CHUNKS_HEADER);
  fill(nodeFileSystem, builder, randomPayloads(random, 1 + random.below(20), 400));
  const { id } = await store.commitPack(
    await builder.seal((request) => sealPackFile(nodeFileSystem, request)),
  );
  say(`+${id}`);
  store.putNote('last', id);
  if (random.below(4) > 0) continue;
  say(`-${id}`);
  if (random.below(2) === 0) await store.retirePack(id);
  else await store.quarantine(id, 'test');
}
