import { beforeEach, describe, expect, it } from 'vitest';
import type { Member } from '../../src/cluster/membership.ts';
import type { DigestHex } from '../../src/digest.ts';
import type { NodeBelief } from '../../src/health/belief.ts';
import type { Absence } from '../../src/health/watch.ts';
import { place } from '../../src/placement/placement.ts';
import { Orchestrator, patienceOf, type Shortage } from '../../src/repair/orchestrator.ts';
import type { PackRecordEntry } from '../../src/replication/catalog.ts';
import { smallPlan } from '../faults/small-plan.ts';

const PACK = 'ab'.repeat(32) as DigestHex;
const UNKNOWN: NodeBelief = { ok: 0, suspect: 0, transient: 0.9, permanent: 0.1, domainDown: 0 };
const patience = { delayMs: 600_000, urgentMs: 60_000, domainWaitMs: 3_600_000, freshMs: 20_000 };

let nowMs: number;
let absences: Map<string, Absence>;
let members: Member[];
let orchestrator: Orchestrator;

function down(name: string, absentMs: number, belief: Partial<NodeBelief> = {}): void {
  members = members.map((one) => (one.name === name ? { ...one, state: 'down' } : one));
  absences.set(name, { node: name, absentMs, aloneMs: absentMs, belief: { ...UNKNOWN, ...belief } });
  orchestrator.answered(
    members,
    members.filter(({ state }) => state === 'up'),
  );
}

/** The nodes where placement wants the pack, best first, and those where it does not. */
function homes(pieces: number): { wanted: readonly string[]; others: readonly string[] } {
  const wanted = place(PACK, members, pieces, ['rack']).nodes;
  return { wanted, others: members.map(({ name }) => name).filter((name) => !wanted.includes(name)) };
}

function copiesOn(...holders: string[]): Shortage {
  const entry = { id: PACK, bytes: 1, records: 1, copies: 3 } as PackRecordEntry;
  return { entry, missing: 3 - holders.length, spare: holders.length - 1, holders: new Set(holders) };
}

beforeEach(() => {
  nowMs = 1_000_000;
  absences = new Map();
  members = Array.from({ length: 6 }, (_, i) => ({
    name: `n${i}`,
    weight: 1,
    labels: { az: `a${i % 3}`, spine: `s${i}`, pdu: `p${i}`, rack: `r${i}` },
    state: 'up',
  })) as unknown as Member[];
  orchestrator = new Orchestrator({
    watch: { absence: (node) => absences.get(node)!, unreachable: () => undefined },
    clock: { now: () => nowMs, monotonic: () => nowMs, sleep: async () => undefined },
    antiAffinity: ['rack'],
    patience,
  });
});

describe('orchestrator', () => {
  it('waits for a home that has been away for a moment, and not for ever', () => {
    const [a, b, c] = homes(3).wanted as [string, string, string];
    down(c, 30_000);
    expect(orchestrator.judge(copiesOn(a, b), members)).toMatchObject({ waits: 1, isFresh: false });
    down(c, 600_000);
    expect(orchestrator.judge(copiesOn(a, b), members)).toMatchObject({
      waits: 0,
      verdicts: [{ reason: 'overdue' }],
    });
  });

  it('waits for nobody when the next loss would lose data', () => {
    const [a, b, c] = homes(3).wanted as [string, string, string];
    down(b, 61_000, { domainDown: 1 });
    down(c, 61_000, { domainDown: 1 });
    const { waits, verdicts } = orchestrator.judge(copiesOn(a), members);
    expect(waits).toBe(0);
    expect(verdicts.map(({ reason }) => reason)).toEqual(['nearly gone', 'nearly gone']);
  });

  it('restores the piece of a lost node and waits for that of another', () => {
    const [a, b, c] = homes(3).wanted as [string, string, string];
    down(b, 61_000, { permanent: 0.9 });
    down(c, 30_000);
    const shortage = { ...copiesOn(a), spare: 1 };
    expect(orchestrator.judge(shortage, members).waits).toBe(1);
  });

  it('restores what no absent node explains, at the second look', () => {
    const { wanted, others } = homes(3);
    down(others[0]!, 30_000);
    const shortage = copiesOn(wanted[0]!, wanted[1]!);
    expect(orchestrator.judge(shortage, members)).toMatchObject({ waits: 1, isFresh: true, verdicts: [] });
    nowMs += patience.freshMs;
    expect(orchestrator.judge(shortage, members)).toMatchObject({ waits: 0, isFresh: false });
    orchestrator.settled(PACK);
    expect(orchestrator.judge(shortage, members).isFresh).toBe(true);
  });

  it('can be asked without being moved', () => {
    const { wanted } = homes(3);
    const shortage = copiesOn(wanted[0]!, wanted[1]!);
    orchestrator.look(shortage, members);
    nowMs += patience.freshMs;
    expect(orchestrator.look(shortage, members).isFresh).toBe(true);
  });

  it('takes shards as a set: any missing one may be the one of an absent home', () => {
    const { wanted } = homes(4);
    const shards = ['1', '2', '3', '4'].map((digit) => digit.repeat(64) as DigestHex);
    const stripe = { dataShards: 3, parityShards: 1, matrix: 'vandermonde', shards };
    const entry = { id: PACK, bytes: 1, records: 1, stripe } as unknown as PackRecordEntry;
    down(wanted[2]!, 30_000);
    const holders = new Set(wanted.filter((name) => name !== wanted[2]));
    expect(orchestrator.judge({ entry, missing: 1, spare: 1, holders }, members).waits).toBe(1);
  });
});

describe('patience', () => {
  it('follows the program: its delay, and half of what its guard gives the loss of a domain', () => {
    const plan = smallPlan({ nodes: 3 });
    const repair = { ...plan.replicate.repair, delayMs: 300_000 };
    const replicate = { ...plan.replicate, repair };
    expect(patienceOf({ replicate })).toMatchObject({ delayMs: 300_000, urgentMs: 60_000 });
    const guard = { recoveryTimeMs: 7_200_000 } as never;
    expect(patienceOf({ replicate, guard }).domainWaitMs).toBe(3_600_000);
    const hasty = { ...replicate, repair: { ...repair, delayMs: 10_000 } };
    expect(patienceOf({ replicate: hasty })).toMatchObject({ delayMs: 10_000, urgentMs: 10_000 });
  });
});
