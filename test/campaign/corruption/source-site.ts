/**
 * One bit of the source buffer between hashing and writing: the pack then holds bytes that are not those of its digests. Many records of
 * one put are hit, each by one fault of its own. The verification that every pack gets before it is acknowledged elsewhere looks at it;
 * what it refuses is read from the source again.
 * A bit that flips before hashing is not found by any digest: that is why ingest has a second engine, and a producer its own checks.
 */
import { MessageChannel } from 'node:worker_threads';
import { type ChunkRun, ingestRecords, type Offer } from '../../../src/pipeline/ingest-tasks.ts';
import { seededRandom } from '../../../src/random.ts';
import { verifyPack } from '../../../src/replication/pack-tasks.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '../../../src/store/pack-format.ts';
import type { PackVerification } from '../../../src/store/pack-verify.ts';
import {
  PackBuilder,
  recordsOfSealed,
  type SealedPack,
  sealPackFile,
} from '../../../src/store/pack-writer.ts';
import { REGION } from '../../../src/wasm/kernels.ts';
import { FaultyFileSystem } from '../../faults/faulty-filesystem.ts';
import { CHUNKS_HEADER, sha256 } from '../../store/packs.ts';
import { count, emptyTally, type Site, type SiteOptions } from './tally.ts';
import { anyMask, type Engines, type InlineWorker, inlineWorker, isSame } from './worker.ts';

const RECORDS = 128;
const PAYLOAD_BYTES_MAX = 300;
const layout = layoutOf('/store');

export function sourceSite(engines: Engines, { seed, isBlind }: SiteOptions): Site {
  const random = seededRandom(seed);
  return {
    async run(most) {
      const disk = new FaultyFileSystem(random);
      const worker = inlineWorker(engines, disk, isBlind);
      const bytesOf = () => random.fill(new Uint8Array(1 + random.below(PAYLOAD_BYTES_MAX)));
      const payloads = Array.from({ length: Math.min(most, RECORDS) }, bytesOf);
      const healthy = await put(disk, worker, payloads, () => undefined);
      if (!verify(worker, healthy).ok) throw new Error('a healthy pack is refused');

      const flips = payloads.map(({ length }) => [random.below(length), anyMask(random)] as const);
      const pack = await put(disk, worker, payloads, (memory) => {
        let start = REGION.input;
        for (const [i, [at, mask]] of flips.entries()) {
          memory[start + at]! ^= mask;
          start += payloads[i]!.length;
        }
      });
      const refused = new Set(verify(worker, pack).bad.map(({ recordIndex }) => recordIndex));
      const again = payloads.filter((_, i) => refused.has(i));
      const good = again.length === 0 ? undefined : await put(disk, worker, again, () => undefined);
      const tally = emptyTally();
      let next = 0;
      for (const [i, payload] of payloads.entries()) {
        const detected = refused.has(i);
        const repaired = detected && isSame(payloadIn(disk, good!, next++), payload);
        count(tally, { detected, wrong: !isSame(payloadIn(disk, pack, i), payload), repaired });
      }
      return tally;
    },
  };
}

const pathOf = ({ id }: SealedPack): string => `${layout.packs}/${id}.pack`;

function verify(worker: InlineWorker, pack: SealedPack): PackVerification {
  return worker.run(verifyPack, { path: pathOf(pack), id: pack.id }) as PackVerification;
}

function payloadIn(disk: FaultyFileSystem, pack: SealedPack, i: number): Uint8Array {
  const { offset, length } = recordsOfSealed(pack)[i]!;
  const start = offset + RECORD_HEADER_BYTES;
  return disk.contents(pathOf(pack)).subarray(start, start + length);
}

/** Stores the payloads as one pack; `meddle` gets the worker's memory when everything is hashed and nothing is written. */
async function put(
  disk: FaultyFileSystem,
  worker: InlineWorker,
  payloads: readonly Uint8Array[],
  meddle: (memory: Uint8Array) => void,
): Promise<SealedPack> {
  disk.remove(`${layout.incoming}/a.part`);
  const builder = new PackBuilder({ fileSystem: disk, layout, header: CHUNKS_HEADER, name: 'a.part' });
  const { port1, port2 } = new MessageChannel();
  port1.on('message', ({ lengths }: Offer) => {
    meddle(worker.context.kernels.bytes());
    const type = RECORD_TYPE.chunk;
    const records = Array.from(lengths, (length, i) => ({ length, type, digest: sha256(payloads[i]!) }));
    const { path, offset } = builder.allocate(records);
    port1.postMessage({
      orders: [{ packPath: path, offset, chunkIndexes: Uint32Array.from(lengths.keys()) }],
    });
  });
  (await worker.run(ingestRecords, { payloads, type: RECORD_TYPE.chunk }, [port2])) satisfies ChunkRun;
  port1.close();
  return builder.seal((request) => sealPackFile(disk, request));
}
