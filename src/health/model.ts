/**
 * The numbers of the joint hidden Markov model over the health of domains and nodes: states, how they change within one tick, and
 * how likely each symbol of evidence is in each.
 * Out: tables of probabilities. Each row sums to one; a test holds that. belief.ts reads them.
 * Source: yearly rates and dwell times as noted beside each; probabilities of symbols are ours, chosen by order of magnitude.
 *   The source text names a "JHMM reconstruction orchestrator" and does not define it: this is our reading.
 * Holds: only + − × ÷, so that every machine computes the same beliefs from the same evidence (IEEE 754 fixes these four exactly;
 *   exp and log it does not). A restart lasts minutes, not any time: its three stages give it a most likely length, which one state
 *   of a Markov chain cannot (geometric dwell).
 */
import type { Domain } from '../plan.ts';
import type { DeviceReport, Evidence, Heartbeat } from './evidence.ts';

/** Beliefs move in steps of this length; evidence of one step is gathered into one symbol a node. */
export const beliefTickMs = 10_000;
const ticksPerYear = (365 * 24 * 3_600_000) / beliefTickMs;
const perYear = (count: number): number => count / ticksPerYear;
/** Chance per tick of leaving a state that lasts `ms` on average. */
const after = (ms: number): number => beliefTickMs / ms;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What a domain is in itself; it is effectively at least as bad as the domain around it. */
export const DOMAIN_STATES = ['ok', 'degraded', 'down'] as const;
/**
 * away: longer than a restart, but it will be back: a drain, maintenance, a restart that hangs.
 * disk lost: the host answers, the data is gone. lost: host and data are gone. The two are "permanent".
 */
export const NODE_STATES = [
  'ok',
  'suspect',
  'restart 1',
  'restart 2',
  'restart 3',
  'away',
  'disk lost',
  'lost',
] as const;
export type NodeState = (typeof NODE_STATES)[number];
type DomainStateName = (typeof DOMAIN_STATES)[number];

/** matrix[from][to] */
type Matrix = readonly (readonly number[])[];
type Changes<State extends string> = Readonly<Record<State, Readonly<Partial<Record<State, number>>>>>;

/** In: the chances to leave each state. What is left of one is the chance to stay. */
function matrixOf<State extends string>(states: readonly State[], changes: Changes<State>): Matrix {
  return states.map((from) => {
    const row = states.map((to) => changes[from][to] ?? 0);
    row[states.indexOf(from)] = 1 - row.reduce((sum, chance) => sum + chance, 0);
    return row;
  });
}

interface DomainRates {
  /** Outages a year of one domain of this kind, and how long one lasts. */
  readonly downPerYear: number;
  readonly downMs: number;
  /** Times a year that it loses part of its traffic. */
  readonly degradedPerYear: number;
}

/**
 * Source: J. Dean's account of a cluster's first year (2008; some 1,800 servers): 20 rack failures of 1–6 h, 5 racks with half of their
 * packets lost, one power unit of 500–1000 machines for 6 h, 3 router failures of an hour and 12 reloads of minutes. Taken for 33
 * racks, 3 power units, 4 spines. A whole zone: once in ten years (ours).
 */
const DOMAIN_RATES: Readonly<Record<Domain, DomainRates>> = {
  rack: { downPerYear: 0.6, downMs: 3.5 * HOUR, degradedPerYear: 0.15 },
  pdu: { downPerYear: 0.35, downMs: 6 * HOUR, degradedPerYear: 0.01 },
  spine: { downPerYear: 3.75, downMs: 20 * MINUTE, degradedPerYear: 0.5 },
  az: { downPerYear: 0.1, downMs: 6 * HOUR, degradedPerYear: 0.1 },
};
const DEGRADED_MS = 12 * HOUR;

function domainMatrix({ downPerYear, downMs, degradedPerYear }: DomainRates): Matrix {
  return matrixOf<DomainStateName>(DOMAIN_STATES, {
    ok: { degraded: perYear(degradedPerYear), down: perYear(downPerYear) },
    degraded: { ok: after(DEGRADED_MS), down: after(DAY) },
    down: { ok: after(downMs) },
  });
}

export const DOMAIN_CHANGE: Readonly<Record<Domain, Matrix>> = {
  rack: domainMatrix(DOMAIN_RATES.rack),
  pdu: domainMatrix(DOMAIN_RATES.pdu),
  spine: domainMatrix(DOMAIN_RATES.spine),
  az: domainMatrix(DOMAIN_RATES.az),
};

/** Unannounced restarts of one node a year. Same account: 1000 machine failures among 1,800 servers. */
const RESTARTS_PER_YEAR = 0.56;
/** Long absences a year: 47 planned interruptions on 2,048 hosts in 54 days (Llama-3 training, 2024), and drains of as many. */
const AWAYS_PER_YEAR = 0.3;
/** Hosts destroyed or taken away a year: 14 of 419 interruptions there were the host's own hardware, 3 of them SSDs. */
const HOSTS_LOST_PER_YEAR = 0.036;
const DISKS_LOST_PER_YEAR = 0.01;
/** Episodes a year in which a node misbehaves before anything comes of it (ours). */
const SUSPICIONS_PER_YEAR = 1;
/**
 * Three stages of 100 s: a restart takes 5 min on average, and one in sixteen takes more than ten. One in twelve hangs and becomes
 * a longer absence, so that about one absence in ten lasts more than 15 min, as Ford et al. report (OSDI 2010).
 */
const RESTART_STAGE_MS = 100_000;
const RESTART_HANGS = 1 / 12;
const AWAY_MS = HOUR;

export const NODE_CHANGE: Matrix = matrixOf<NodeState>(NODE_STATES, {
  ok: {
    suspect: perYear(SUSPICIONS_PER_YEAR),
    'restart 1': perYear(RESTARTS_PER_YEAR),
    away: perYear(AWAYS_PER_YEAR),
    'disk lost': perYear(DISKS_LOST_PER_YEAR),
    lost: perYear(HOSTS_LOST_PER_YEAR),
  },
  suspect: {
    ok: after(6 * HOUR),
    'restart 1': after(DAY),
    away: after(4 * DAY),
    'disk lost': after(40 * DAY),
    lost: after(13 * DAY),
  },
  'restart 1': { 'restart 2': after(RESTART_STAGE_MS) },
  'restart 2': { 'restart 3': after(RESTART_STAGE_MS) },
  'restart 3': {
    ok: after(RESTART_STAGE_MS) * (1 - RESTART_HANGS),
    away: after(RESTART_STAGE_MS) * RESTART_HANGS,
  },
  away: { ok: after(AWAY_MS), lost: after(40 * DAY) },
  // A node that was thought lost and answers with its data was not lost.
  'disk lost': { ok: after(365 * DAY) },
  lost: { ok: after(365 * DAY) },
});

type Row<Symbol extends string> = Readonly<Record<Symbol, number>>;

const DOWN: Row<Heartbeat> = { seen: 0.0005, refused: 0.0005, silent: 0.999 };
/** Half of the packets are lost (the "wonky" racks of the account above). */
const DEGRADED: Row<Heartbeat> = { seen: 0.5, refused: 0.01, silent: 0.49 };
/** In a domain that is ok. */
const HEARTBEAT: Readonly<Record<NodeState, Row<Heartbeat>>> = {
  ok: { seen: 0.999, refused: 0.0001, silent: 0.0009 },
  suspect: { seen: 0.8, refused: 0.01, silent: 0.19 },
  'restart 1': { seen: 0.0005, refused: 0.01, silent: 0.9895 },
  'restart 2': { seen: 0.0005, refused: 0.03, silent: 0.9695 },
  // The host is up again and the sidecar recovers its store.
  'restart 3': { seen: 0.001, refused: 0.4, silent: 0.599 },
  away: { seen: 0.0001, refused: 0.001, silent: 0.9989 },
  'disk lost': { seen: 0.9, refused: 0.05, silent: 0.05 },
  lost: { seen: 0.0001, refused: 0.001, silent: 0.9989 },
};

/**
 * Devices report also through the host's own controller, so a silent node can still be known to be lost. That they report nothing
 * is equally likely in all the states of absence: it would otherwise count again in every tick.
 */
const DEVICE: Readonly<Record<NodeState, Row<DeviceReport>>> = {
  ok: { quiet: 0.99989, warning: 1e-4, failing: 9.9e-6, lost: 1e-7 },
  suspect: { quiet: 0.9, warning: 0.09, failing: 0.00999, lost: 1e-5 },
  'restart 1': { quiet: 0.98, warning: 0.015, failing: 0.00499, lost: 1e-5 },
  'restart 2': { quiet: 0.98, warning: 0.015, failing: 0.00499, lost: 1e-5 },
  'restart 3': { quiet: 0.98, warning: 0.015, failing: 0.00499, lost: 1e-5 },
  away: { quiet: 0.98, warning: 0.015, failing: 0.00499, lost: 1e-5 },
  'disk lost': { quiet: 0.2, warning: 0.1, failing: 0.2, lost: 0.5 },
  lost: { quiet: 0.98, warning: 0.002, failing: 0.008, lost: 0.01 },
};

/** That it said in this tick that it leaves. That it did not say so tells nothing: a node that is away cannot. */
const LEAVING: Readonly<Record<NodeState, number>> = {
  ok: 1e-6,
  suspect: 1e-6,
  'restart 1': 0.05,
  'restart 2': 1e-6,
  'restart 3': 1e-6,
  away: 0.05,
  'disk lost': 1e-6,
  lost: 1e-6,
};

/** A node's answer in a domain that is not ok: the domain decides, whatever the node would do. */
function heartbeatRow(state: NodeState, domain: DomainStateName): Row<Heartbeat> {
  if (domain === 'ok') return HEARTBEAT[state];
  if (domain === 'down') return DOWN;
  // A node that is well is heard half of the time; one that is not is no better for it.
  return HEARTBEAT[state].seen > 0.5 ? DEGRADED : HEARTBEAT[state];
}

/** How likely this evidence is: by state of the domain, then by state of the node. */
export function likelihoodsOf(evidence: Evidence): Matrix {
  const { heartbeat, device, leaving } = evidence;
  const key = `${heartbeat} ${device} ${leaving}`;
  const known = LIKELIHOODS.get(key);
  if (known !== undefined) return known;
  const says = (state: NodeState): number => (leaving ? LEAVING[state] : 1);
  const made = DOMAIN_STATES.map((domain) =>
    NODE_STATES.map((state) => heartbeatRow(state, domain)[heartbeat] * DEVICE[state][device] * says(state)),
  );
  LIKELIHOODS.set(key, made);
  return made;
}

/** There are 24 kinds of evidence; each is computed once. */
const LIKELIHOODS = new Map<string, Matrix>();

/** No state is ever impossible: what was believed too firmly can be unlearned. */
export const beliefFloor = 1e-9;
