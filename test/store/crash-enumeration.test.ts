/**
 * Every workload of at most so many store operations, a power failure after every prefix of its disk operations, and every subset of what was not
 * synced: reopened, nothing acknowledged is lost, nothing torn is served, nothing in quarantine is back.
 * Bounds, said out loud: three operations; names are lost from the end of each directory's changes
 * (FaultyFileSystem's model), writes are lost or whole, and with KWAM_CAMPAIGN=1 also torn at their beginning, middle and end. A failure inside an
 * earlier operation is a failure inside a shorter workload, so only the last operation of each is cut short. What reopening does with files is what is
 * looked at; the index is made anew from them after any crash (store/index-seal.ts).
 */
import { expect, test, vi } from 'vitest';
import type { DigestHex } from '../../src/digest.ts';
import { seededRandom } from '../../src/random.ts';
import { layoutOf, packPath } from '../../src/store/layout.ts';
import { getNote, putNote } from '../../src/store/notes.ts';
import { verifyPackFile } from '../../src/store/pack-verify.ts';
import { quarantineFile, scanStore, settleEvidence } from '../../src/store/recovery.ts';
import { AllChoices } from '../faults/all-choices.ts';
import { FaultyFileSystem, PowerLoss } from '../faults/faulty-filesystem.ts';
import { buildPack, CAMPAIGN, hashRunsIn, type Payload, randomPayloads } from './packs.ts';

vi.setConfig({ testTimeout: 1_800_000 }); // the campaign takes minutes
const layout = layoutOf('/store');
const buffer = new Uint8Array(4096);
const OPERATIONS_MAX = 3;
const [DURABLE, LOOSE] = ['durable', 'loose'] as const;
/** Of the three fates of a write. */
const TORN = 1;

/** What the caller was told so far, and what it asked for without an answer. */
class Caller {
  readonly payloads = new Map<DigestHex, readonly Payload[]>();
  readonly present = new Set<DigestHex>();
  /** Asked to leave packs/, not confirmed. */
  readonly leaving = new Set<DigestHex>();
  readonly quarantined = new Set<DigestHex>();
  /** Asked back from quarantine, not confirmed. */
  readonly returning = new Set<DigestHex>();
  /** Put so far, the newest last; of the durable one only what was confirmed and what came after it. */
  readonly notes: Record<typeof DURABLE | typeof LOOSE, string[]> = { durable: [], loose: [] };
  isDurableNoted = false;
  made = 0;
}

type Act = (disk: FaultyFileSystem, caller: Caller) => Promise<void> | void;

interface StoreOperation {
  readonly isPossible: (caller: Caller) => boolean;
  readonly act: Act;
}

const oldest = (ids: ReadonlySet<DigestHex>): DigestHex => [...ids][0]!;
const hasPack = ({ present }: Caller): boolean => present.size > 0;
const hasQuarantine = ({ quarantined }: Caller): boolean => quarantined.size > 0;

async function seal(
  disk: FaultyFileSystem,
  caller: Caller,
  payloads: readonly Payload[],
): Promise<DigestHex> {
  const { id } = await buildPack(disk, layout, payloads, `p${caller.made}`);
  caller.payloads.set(id, payloads);
  caller.present.add(id);
  return id;
}

function retire(disk: FaultyFileSystem, { present, leaving }: Caller, id: DigestHex): void {
  present.delete(id);
  leaving.add(id);
  disk.remove(packPath(layout.packs, id));
  disk.syncDirectory(layout.packs);
}

function note(disk: FaultyFileSystem, { notes, made }: Caller, key: typeof DURABLE | typeof LOOSE): void {
  const text = `value ${made}`;
  notes[key].push(text);
  putNote(disk, layout.notes, key, text, { durable: key === DURABLE });
}

const OPERATIONS: Readonly<Record<string, StoreOperation>> = {
  put: {
    isPossible: () => true,
    async act(disk, caller) {
      await seal(disk, caller, randomPayloads(seededRandom(caller.made), 2, 40));
    },
  },
  retire: { isPossible: hasPack, act: (disk, caller) => retire(disk, caller, oldest(caller.present)) },
  quarantine: {
    isPossible: hasPack,
    act(disk, { present, leaving, quarantined }) {
      const id = oldest(present);
      present.delete(id);
      leaving.add(id);
      quarantineFile(disk, layout, { id, reason: 'test', atMs: 0 });
      quarantined.add(id);
    },
  },
  repair: {
    isPossible: hasQuarantine,
    async act(disk, caller) {
      const id = oldest(caller.quarantined);
      caller.quarantined.delete(id);
      caller.returning.add(id);
      await seal(disk, caller, caller.payloads.get(id)!);
    },
  },
  settle: {
    isPossible: hasQuarantine,
    act: (disk, { quarantined }) => settleEvidence(disk, layout, oldest(quarantined)),
  },
  compact: {
    isPossible: hasPack,
    async act(disk, caller) {
      const old = oldest(caller.present);
      await seal(disk, caller, caller.payloads.get(old)!.slice(0, 1));
      retire(disk, caller, old);
    },
  },
  note: { isPossible: () => true, act: (disk, caller) => note(disk, caller, LOOSE) },
  durableNote: {
    isPossible: () => true,
    act(disk, caller) {
      note(disk, caller, DURABLE);
      caller.notes.durable.splice(0, caller.notes.durable.length - 1);
      caller.isDurableNoted = true;
    },
  },
};

/** Undefined when the power failed before the end; else whether an operation had nothing to act on. */
async function run(names: readonly string[], disk: FaultyFileSystem, caller: Caller, failAt: number) {
  for (const [i, name] of names.entries()) {
    const { isPossible, act } = OPERATIONS[name]!;
    if (!isPossible(caller)) return 'impossible';
    caller.made++;
    const before = disk.operationCount;
    if (i === names.length - 1)
      disk.schedule = (_, count) => (count - before === failAt ? 'crash' : undefined);
    try {
      await act(disk, caller);
    } catch (error) {
      if (!isPowerLoss(error)) throw error;
      return 'cut short';
    }
  }
  return 'finished';
}

/** Code that cleans up after a failure fails again: the power stays off. */
function isPowerLoss(error: unknown): boolean {
  return error instanceof AggregateError ? error.errors.every(isPowerLoss) : error instanceof PowerLoss;
}

function problemAfter(disk: FaultyFileSystem, caller: Caller): string | undefined {
  const { packs, incomingDropped: _ } = scanStore(disk, layout);
  for (const id of caller.present) if (!packs.has(id)) return `acknowledged pack ${id} is lost`;
  for (const id of caller.quarantined) if (packs.has(id)) return `${id} is back from quarantine`;
  for (const id of packs) {
    const { ok, problem } = verifyPackFile(disk, packPath(layout.packs, id), id, buffer, hashRunsIn(buffer));
    if (!ok) return `${id} is torn: ${problem}`;
  }
  if (disk.list(layout.incoming).length > 0) return 'something is left in incoming';
  return noteProblem(disk, caller);
}

function noteProblem(disk: FaultyFileSystem, { notes, isDurableNoted }: Caller): string | undefined {
  const read = (key: string): string | undefined => getNote(disk, layout.notes, key, () => undefined);
  const [loose, durable] = [read(LOOSE), read(DURABLE)];
  if (loose !== undefined && !notes.loose.includes(loose)) return `a note says ${loose}, which nobody put`;
  if (durable === undefined ? isDurableNoted : !notes.durable.includes(durable))
    return `the durable note says ${durable}, expected one of ${notes.durable.join(', ')}`;
  return undefined;
}

function* workloads(most: number): Generator<readonly string[]> {
  if (most === 0) return;
  const shorter: (readonly string[])[] = most === 1 ? [[]] : [[], ...workloads(most - 1)];
  for (const start of shorter) {
    if (start.length !== most - 1 && most > 1) continue;
    for (const name of Object.keys(OPERATIONS)) yield [...start, name];
  }
}

interface Counts {
  workloads: number;
  prefixes: number;
  outcomes: number;
}

/** @returns what was wrong first, undefined when nothing was. */
async function enumerate(
  names: readonly string[],
  counts: Counts,
  meddle: (disk: FaultyFileSystem) => void = () => undefined,
): Promise<string | undefined> {
  for (let failAt = 0; ; failAt++) {
    const [disk, caller] = [new FaultyFileSystem(seededRandom(1)), new Caller()];
    meddle(disk);
    const end = await run(names, disk, caller, failAt);
    if (end === 'impossible') return undefined;
    if (failAt === 0) counts.workloads++;
    counts.prefixes++;
    const choices = new AllChoices(8, (bound, value) => !CAMPAIGN && bound === 3 && value === TORN);
    do {
      counts.outcomes++;
      const problem = problemAfter(disk.crash(choices), caller);
      if (problem !== undefined) return `${names.join(', ')}, power off after ${failAt}: ${problem}`;
    } while (choices.next());
    if (end === 'finished') return undefined;
  }
}

test(`every workload of up to ${OPERATIONS_MAX} operations, every prefix, every subset of what was not synced`, async () => {
  const counts: Counts = { workloads: 0, prefixes: 0, outcomes: 0 };
  for (let length = 1; length <= OPERATIONS_MAX; length++)
    for (const names of workloads(length)) expect(await enumerate(names, counts)).toBeUndefined();
  const { workloads: all, prefixes, outcomes } = counts;
  console.log(`${all} workloads, ${prefixes} prefixes, ${outcomes} outcomes`);
  // Fewer would mean that operations have become impossible, or that nothing is unsynced any more.
  expect(all).toBeGreaterThanOrEqual(71);
  expect(outcomes).toBeGreaterThan(3 * prefixes);
});

test.each([
  ['sync', 'put', 'is torn'],
  ['sync', 'durableNote', 'the durable note says undefined'],
  ['syncDirectory', 'put', 'is lost'],
] as const)('canary: without %s, a %s is found', async (operation, name, problem) => {
  const counts: Counts = { workloads: 0, prefixes: 0, outcomes: 0 };
  const found = await enumerate([name], counts, (disk) =>
    Object.assign(disk, { [operation]: () => undefined }),
  );
  expect(found).toContain(problem);
});
