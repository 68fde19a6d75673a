/**
 * Pages of the codes KW40xx: domains, pools, and the mathematics of guards.
 * KW4003, KW4012, KW4018 and KW4024 need an inventory; their examples stand beside the ones that the tests use: pool `small` with two nodes, pool
 * `wide` with sixteen, a rack each and all under one spine, and pool `crossed`, whose one rack hangs on two power units.
 * KW4020 and KW4021 are `plan`'s: a program that is right may still be no cluster. Their examples name the pool that they are planned onto.
 */
import { type CodePages, program } from './code-page.ts';

const scope = 'import "std/faultdomains" as fd digest "sha256:DIGEST"\nuse fd.h100\n';
const replicate = (attributes: string): string => program(`${scope}replicate data { ${attributes} }`);
const audited = '{ source "fleet records" audited_by "Ada Steiner" audited_on "2026-09-30" }';

const domains = (rows: string): string =>
  `apiVersion "kwam.dev/v0.2"\nmodule "acme/domains"\nexport domains site { ${rows} }\n`;

interface GuardParts {
  readonly nines?: number;
  readonly restore?: string;
  readonly recovery?: string;
  readonly rows?: string;
  readonly domains?: string;
}

function guard({
  nines = 6,
  restore = '30m',
  recovery = '12h',
  rows = 'node 5y, rack 50y',
  domains = 'rack',
}: GuardParts): string {
  const written = rows.split(', ').map((row) => `    ${row} ${audited}`);
  return program(
    `${scope}replicate data { factor 3 anti_affinity [${domains}] repair { delay 5m bandwidth 25gbps } }
guard sla {
  durability ${nines}nines
  mttr_restore ${restore}
  recovery_time ${recovery}
  integrity sha256
  on_violation quarantine
  mtbf {
${written.join('\n')}
  }
}`,
  );
}

export const PLACEMENT_CODES: CodePages = {
  KW4001: {
    title: 'A fault domain that is not in scope',
    why: '`use` brings a signed set of domains into scope. A domain outside it has no place in the nesting, so nothing could be kept apart in it.',
    failing: replicate('factor 3 anti_affinity [rak]'),
    passing: replicate('factor 3 anti_affinity [rack]'),
  },
  KW4002: {
    title: 'A fault domain that nodes are not labelled with',
    why: 'Placement knows where a node stands by its labels: rack, pdu, spine and az. A set of another kind of domain needs nodes that say where they are in it.',
    failing: program(
      'import "acme/domains" as own digest "sha256:DIGEST"\nuse own.site\nreplicate data { factor 3 anti_affinity [room] }',
    ),
    passing: replicate('factor 3 anti_affinity [rack]'),
  },
  KW4003: {
    title: 'More copies than nodes',
    why: 'Two copies on one node are lost together, so each copy and each shard has a node of its own. Nodes of weight 0 store nothing.',
    failing: program('replicate data { factor 3 anti_affinity [] }\ndeploy d { … to small }'),
    passing: program('replicate data { factor 2 anti_affinity [] }\ndeploy d { … to small }'),
  },
  KW4004: {
    title: 'A loss rate is missing',
    why: 'Nodes fail, and so does every domain that copies are spread over. A rate that is left out would count as "never", and correlated loss is what decides.',
    failing: guard({ rows: 'node 5y' }),
    passing: guard({}),
  },
  KW4005: {
    title: 'More nines than the mathematics supports',
    why: 'The bound counts every way in which more copies than tolerated are gone at once, domains included: losses a year ≤ n·C(n−1,m)·(Ln+ΣLd)·(Ln·tn+ΣLd·td)^m when no two copies share a domain. It is compared exactly. The note shows what each class costs and which single change would gain the most.',
    failing: guard({ nines: 11 }),
    passing: guard({ nines: 6 }),
  },
  KW4006: {
    title: 'A restore time that no repair can keep',
    why: 'A loss is noticed, then waited out, then data moves. `mttr_restore` enters the mathematics, so a wish in its place would buy nines with nothing.',
    failing: guard({ restore: '1m' }),
    passing: guard({ restore: '30m' }),
  },
  KW4007: {
    title: 'Loss rates and recovery times that do not fit together',
    why: 'Where things fail faster than they are recovered, some are always down, and a bound made of powers of that share says nothing.',
    failing: guard({ rows: 'node 5y, rack 1h', recovery: '12h' }),
    passing: guard({}),
  },
  KW4008: {
    title: 'A guard that does not say what it covers',
    why: 'A promise belongs to one `replicate`. With one in the program it is implied; with several, `covers` names it.',
    failing: program(
      'replicate a { factor 3 anti_affinity [] }\nreplicate b { factor 2 anti_affinity [] }\nguard sla { durability 1nines mttr_restore 30m recovery_time 12h integrity sha256 on_violation quarantine mtbf { … } }',
    ),
    passing: program(
      'replicate a { factor 3 anti_affinity [] }\nreplicate b { factor 2 anti_affinity [] }\nguard sla { durability 1nines mttr_restore 30m recovery_time 12h integrity sha256 on_violation quarantine mtbf { … } covers a }',
    ),
  },
  KW4009: {
    title: 'A loss rate of a domain that copies may share (warning)',
    why: 'A domain that is not in `anti_affinity` may hold all copies, and then its loss is the loss of everything. It is counted that way, which is hardly ever what was meant.',
    failing: guard({ nines: 1, rows: 'node 5y, rack 50y, az 1000y' }),
    passing: guard({ rows: 'node 5y, rack 50y, az 1000y', domains: 'rack, az' }),
  },
  KW4010: {
    title: 'A domain listed twice (warning)',
    why: 'Once is enough; the second one was probably meant to be another domain.',
    failing: replicate('factor 3 anti_affinity [rack, rack]'),
    passing: replicate('factor 3 anti_affinity [rack, pdu]'),
  },
  KW4011: {
    title: 'More shards than the code has',
    why: 'Shards are points of GF(2^8), which has 255 elements other than zero.',
    failing: replicate('factor 3 anti_affinity [] erasure rs(200, 100)'),
    passing: replicate('factor 3 anti_affinity [] erasure rs(6, 3)'),
  },
  KW4012: {
    title: 'A pool that nothing describes',
    why: 'A pool is a block of the program or stands in the inventory, and it has nodes.',
    failing: program('deploy d { … to smal }'),
    passing: program('deploy d { … to small }'),
  },
  KW4013: {
    title: 'A pool with two sources or none',
    why: 'Its nodes are those that match a pattern, or those of a file. Both could disagree.',
    failing: program('pool p { select spiffe://kwam/acme/*/node inventory "fleet.json" }'),
    passing: program('pool p { select spiffe://kwam/acme/*/node }'),
  },
  KW4014: {
    title: 'Chunk sizes that no kernel cuts by',
    why: 'A chunk is never shorter than `min` or longer than `max`, and usually about `target` long, each larger than the one before; between 1 KiB and 4 MiB. Sizes that are left out are 16, 64 and 256 KiB.',
    failing: replicate('factor 3 anti_affinity [] chunker { min 64kib }'),
    passing: replicate('factor 3 anti_affinity [] chunker { min 16kib target 64kib max 256kib }'),
  },
  KW4015: {
    title: 'What a durability rests on (note)',
    why: 'Without an inventory nobody knows how many domains there are, so one copy a domain is assumed, and said. With one, the real maximum per domain is used.',
    failing: guard({}),
    passing: replicate('factor 3 anti_affinity [rack]'),
  },
  KW4016: {
    title: 'A domain within one that the set does not have',
    why: '`within` names the wider domain that this one always lies in. One that is not in the set would leave the tree without its branch.',
    failing: domains('rack { within pud } pdu { }'),
    passing: domains('rack { within pdu } pdu { }'),
  },
  KW4017: {
    title: 'Domains that lie within each other in a circle',
    why: 'Placement walks down from the widest domain to the narrowest. In a circle none is the widest.',
    failing: domains('rack { within pdu } pdu { within rack }'),
    passing: domains('rack { within pdu } pdu { }'),
  },
  KW4018: {
    title: 'Labels that contradict the tree of domains',
    why: 'The set says that a narrower domain lies in one wider domain. A rack under two spines is a slip in the inventory or another kind of site: copies that look apart could be lost together.',
    failing: program(`${scope}replicate data { factor 2 anti_affinity [spine] }\ndeploy d { … to crossed }`),
    passing: program(`${scope}replicate data { factor 2 anti_affinity [] }\ndeploy d { … to small }`),
  },
  KW4020: {
    title: 'A cluster without one way to run',
    why: '`plan` makes one cluster of a program: one `replicate`, at most one `profile`, one `policy` and one `guard`. Of several, nobody could say which holds for a byte.',
    failing: program(`${scope}replicate data { factor 3 anti_affinity [rack] }
replicate code { factor 2 anti_affinity [rack] }
# planned onto small`),
    passing: program(`${scope}replicate data { factor 2 anti_affinity [rack] }
# planned onto small`),
  },
  KW4021: {
    title: 'Nodes that make no cluster',
    why: 'A plan needs nodes, and nodes trust each other by the one authority of their trust domain.',
    failing: program(`${scope}replicate data { factor 2 anti_affinity [rack] }
# planned onto foreign`),
    passing: program(`${scope}replicate data { factor 2 anti_affinity [rack] }
# planned onto small`),
  },
  KW4022: {
    title: 'A cut rule that there is not',
    why: 'The rule decides where chunks end, and so which data can be shared. Its name stands in every manifest; one that nobody knows could not be cut again.',
    failing: replicate('factor 3 anti_affinity [] chunker { profile "kwam-window34-v2" }'),
    passing: replicate('factor 3 anti_affinity [] chunker { profile "kwam-window34-v1" }'),
  },
  KW4023: {
    title: 'Local groups that the shards do not make',
    why: 'lrc(k, l, m) divides k data shards into l groups of equally many. GF(2^8) has room for 17 groups of up to 15; what wider codes and more parities lose has not been gone through.',
    failing: replicate('factor 3 anti_affinity [] erasure lrc(12, 5, 2)'),
    passing: replicate('factor 3 anti_affinity [] erasure lrc(12, 3, 2)'),
  },
  KW4024: {
    title: 'Local groups over too few domains',
    why: 'A code with local groups buys cheap repair with parity shards that survive less than as many of rs(k, m) would. That pays in wide stripes, with a domain for nearly every shard: from 12 domains on.',
    failing: program(
      `${scope}replicate data { factor 2 anti_affinity [spine] erasure lrc(12, 2, 2) }\ndeploy d { … to wide }`,
    ),
    passing: program(
      `${scope}replicate data { factor 2 anti_affinity [rack] erasure lrc(12, 2, 2) }\ndeploy d { … to wide }`,
    ),
  },
  KW4025: {
    title: 'Cold packs and no code to stripe them with (warning)',
    why: '`cold_after` says when full copies become stripes. Without `erasure` there are none, and the packs stay copies for ever.',
    failing: replicate('factor 3 anti_affinity [] cold_after 7d'),
    passing: replicate('factor 3 anti_affinity [] erasure rs(6, 3) cold_after 7d'),
  },
};
