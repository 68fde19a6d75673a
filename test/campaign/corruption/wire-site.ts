/**
 * One bit of what a node sends: of a pack's frame, or of its records, on the way through the memory transport to a receiver that then
 * asks the next holder. TLS would notice too; nothing here counts on it. Many records of one transfer are hit, each by one fault of its
 * own; the frame of a transfer by one only, because everything else follows from it.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Member } from '../../../src/cluster/membership.ts';
import { Peers } from '../../../src/cluster/peers.ts';
import { nodeFileSystem } from '../../../src/filesystem.ts';
import { MIB } from '../../../src/limits.ts';
import { type Random, seededRandom } from '../../../src/random.ts';
import { servePull } from '../../../src/replication/pack-source.ts';
import { verifyPack } from '../../../src/replication/pack-tasks.ts';
import { parsePull } from '../../../src/replication/protocol.ts';
import { Receiver } from '../../../src/replication/receiver.ts';
import { endOf, PACK_HEADER_BYTES } from '../../../src/store/pack-format.ts';
import { recordsOfSealed, type SealedPack } from '../../../src/store/pack-writer.ts';
import { Store } from '../../../src/store/store.ts';
import { memoryNetwork } from '../../../src/transport/memory.ts';
import type { PeerId, Transport } from '../../../src/transport/transport.ts';
import { ByteBudget } from '../../../src/workers/byte-budget.ts';
import { buildPack, randomPayloads } from '../../store/packs.ts';
import type { Site, SiteOptions, Tally } from './tally.ts';
import { anyMask, type Engines, inlinePool, inlineWorker } from './worker.ts';

const RECORDS = 256;
const PAYLOAD_BYTES_MAX = 200;
/** One transfer in so many has a fault in its frame, the others have one in each record. */
const FRAME_EVERY = 4;

interface Flip {
  readonly at: number;
  readonly mask: number;
}

/** What the bad holder's wire does to the next stream of each kind: places within the stream. */
interface Wire {
  frame: readonly Flip[];
  ranges: readonly Flip[];
}

export async function wireSite(engines: Engines, { seed, isBlind }: SiteOptions): Promise<Site> {
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(tmpdir(), 'kwam-wire-'));
  const wire: Wire = { frame: [], ranges: [] };
  const { stores, receiver, transports, seen, pack } = await startNodes(
    engines,
    directory,
    random,
    wire,
    isBlind,
  );
  const [here] = stores;
  const good = readFileSync(stores[1]!.packFile(pack.id));
  const receive = () => receiver.receive(pack.id, ['n1', 'n2']);
  let transfers = 0;

  /** Brings the pack with these faults on its way, and looks at each place where one was. */
  async function transfer(flips: readonly Flip[], toFile: (at: number) => number): Promise<Tally> {
    seen.corrupt = 0;
    await receive();
    const got = readFileSync(here!.packFile(pack.id));
    const right = flips.filter(({ at }) => got[toFile(at)] === good[toFile(at)]).length;
    await here!.retirePack(pack.id);
    // Whatever is right here came from the other holder, because the first refusal was noticed; without one nothing was.
    const detected = seen.corrupt > 0 ? right : 0;
    return {
      injected: flips.length,
      detected,
      repaired: detected,
      harmless: 0,
      silent: flips.length - detected,
    };
  }

  await receive();
  if (seen.corrupt > 0) throw new Error('a healthy transfer is refused');
  await here!.retirePack(pack.id);
  return {
    async run(most) {
      if (transfers++ % FRAME_EVERY === 0) {
        const frame = [{ at: random.below(PACK_HEADER_BYTES + pack.index.length), mask: anyMask(random) }];
        wire.frame = frame;
        const indexAt = good.length - 64 - pack.index.length;
        return transfer(frame, (at) => (at < PACK_HEADER_BYTES ? at : indexAt + at - PACK_HEADER_BYTES));
      }
      const flips = recordsOfSealed(pack)
        .slice(0, most)
        .map((record) => ({
          at: record.offset + random.below(endOf(record) - record.offset) - PACK_HEADER_BYTES,
          mask: anyMask(random),
        }));
      wire.ranges = flips;
      return transfer(flips, (at) => at + PACK_HEADER_BYTES);
    },
    async close() {
      for (const transport of transports) await transport.close();
      for (const store of stores) await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

async function startNodes(engines: Engines, directory: string, random: Random, wire: Wire, isBlind: boolean) {
  const network = memoryNetwork();
  const worker = inlineWorker(engines, nodeFileSystem, isBlind);
  const stores: Store[] = [];
  const transports: Transport[] = [];
  const members: Member[] = [];
  const payloads = randomPayloads(random, RECORDS, PAYLOAD_BYTES_MAX);
  let pack: SealedPack | undefined;
  for (const name of ['n0', 'n1', 'n2']) {
    const store = await Store.open({ directory: join(directory, name) });
    stores.push(store);
    const spiffe = `spiffe://kwam.test/node/${name}` as PeerId;
    const transport = network.transport(spiffe);
    transports.push(transport);
    const { address } = await transport.listen('127.0.0.1:0', {
      async *call() {
        yield {};
      },
      pull: (request) => {
        const wanted = parsePull(request);
        if (wanted.what === 'partial') throw new Error('expected the receiver to pull packs, not sums');
        const stream = servePull(store, wanted);
        return name === 'n1' ? flipped(stream, takeFlips(wire, wanted.what)) : stream;
      },
    });
    members.push({ name, spiffe, address, state: 'up' } as unknown as Member);
    if (name === 'n0') continue;
    if (pack === undefined) pack = await buildPack(nodeFileSystem, store.layout, payloads);
    else cpSync(stores[1]!.packFile(pack.id), store.packFile(pack.id));
    await store.commitPack(pack);
  }
  // A blind engine has to have seen it once.
  worker.run(verifyPack, { path: stores[1]!.packFile(pack!.id), id: pack!.id });
  const seen = { corrupt: 0 };
  const receiver = new Receiver({
    store: stores[0]!,
    peers: new Peers('n0', transports[0]!, { members: async () => members }),
    pool: inlinePool(worker),
    budget: new ByteBudget(64 * MIB),
    observer: {
      corruptReceived: (_pack, _from, records) => {
        seen.corrupt += records;
      },
      verified: () => undefined,
      timeSpent: () => undefined,
    },
    onCommitted: () => undefined,
  });
  return { stores, receiver, transports, seen, pack: pack! };
}

function takeFlips(wire: Wire, what: 'frame' | 'ranges'): readonly Flip[] {
  const flips = wire[what];
  wire[what] = [];
  return flips;
}

async function* flipped(
  stream: AsyncIterable<Uint8Array>,
  flips: readonly Flip[],
): AsyncGenerator<Uint8Array> {
  let start = 0;
  for await (const part of stream) {
    const copy = new Uint8Array(part);
    for (const { at, mask } of flips) {
      if (at >= start && at < start + copy.length) copy[at - start]! ^= mask;
    }
    start += copy.length;
    yield copy;
  }
}
