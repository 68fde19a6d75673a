/**
 * What this node has seen of failures: nodes lost, domains down and back, and how long data lacked redundancy until it was restored.
 * In: at each tick the members and who of them is away; at each look whether packs lack something. Out: an Outages value for `kwam-dp slo`,
 * which compares it with what the program declares. Kept in a note of the store; a crash costs what was not kept, a minute at most.
 * Counts a node as lost while it is believed to be gone for good, and takes that back should it return. Counts as a domain that was down two nodes
 * or more with the same label, all away at once. Does not know what happened while no node ran.
 */
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import type { DomainOutage, Loss, Outages } from '../guard/outages.ts';
import { outagesKeptMax } from '../limits.ts';
import { DOMAINS, type Domain } from '../plan.ts';
import type { Store } from '../store/store.ts';
import type { Absence, WatchedMember } from './watch.ts';

interface Noted extends Outages {
  readonly openRestore?: { readonly fromMs: number; readonly isWorked: boolean };
}

const NOTE = 'outages';
const KEEP_EVERY_MS = 60_000;
/** More likely than not. */
const LOST = 0.5;
const NOTHING: Noted = { memberMs: 0, losses: [], domains: [], restores: [] };

export class OutageRecord {
  readonly #store: Pick<Store, 'getNote' | 'putDurableNote'>;
  readonly #clock: Clock;
  readonly #onUnnoted: (error: KwamError) => void;
  #noted: Noted;
  #tickedAtMs: number | undefined;
  #keptAtMs: number;
  /** Domains that are down now, and since when. */
  readonly #down = new Map<string, number>();

  /** @param onUnnoted  told when a note could not be written: a restart forgets then what it says, and nothing else fails for it. */
  constructor(
    store: Pick<Store, 'getNote' | 'putDurableNote'>,
    clock: Clock,
    onUnnoted: (error: KwamError) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#onUnnoted = onUnnoted;
    const text = store.getNote(NOTE);
    this.#noted = text === undefined ? NOTHING : { ...NOTHING, ...(JSON.parse(text) as Noted) };
    this.#keptAtMs = clock.now();
  }

  get outages(): Outages {
    const { memberMs, losses, domains, restores } = this.#noted;
    return { memberMs, losses, domains, restores };
  }

  tick(members: readonly WatchedMember[], absences: readonly Absence[]): void {
    const nowMs = this.#clock.now();
    const sinceMs = this.#tickedAtMs ?? nowMs;
    this.#tickedAtMs = nowMs;
    const away = new Map(absences.map((absence) => [absence.node, absence]));
    this.#change({
      memberMs: this.#noted.memberMs + members.length * Math.max(0, nowMs - sinceMs),
      losses: lossesNow(this.#noted.losses, members, away, nowMs),
      domains: [...this.#noted.domains, ...this.#domainsBack(members, away, nowMs)],
    });
    if (nowMs - this.#keptAtMs >= KEEP_EVERY_MS) this.#keep();
  }

  /** After a look at the packs that this node is responsible for. */
  looked(lacking: number, restored: number): void {
    const { openRestore, restores } = this.#noted;
    const nowMs = this.#clock.now();
    const isWorked = restored > 0 || openRestore?.isWorked === true;
    if (lacking > 0) this.#open({ fromMs: openRestore?.fromMs ?? nowMs, isWorked });
    if (lacking > 0 || openRestore === undefined) return;
    const { openRestore: _, ...closed } = this.#noted;
    this.#noted = closed;
    if (isWorked) this.#change({ restores: [...restores, { fromMs: openRestore.fromMs, toMs: nowMs }] });
    this.#keep();
  }

  #open(openRestore: NonNullable<Noted['openRestore']>): void {
    const isNews = this.#noted.openRestore === undefined;
    this.#noted = { ...this.#noted, openRestore };
    if (isNews) this.#keep();
  }

  #change(what: Partial<Outages>): void {
    const { losses, domains, restores, ...rest } = { ...this.#noted, ...what };
    this.#noted = {
      ...rest,
      losses: losses.slice(-outagesKeptMax),
      domains: domains.slice(-outagesKeptMax),
      restores: restores.slice(-outagesKeptMax),
    };
  }

  #domainsBack(
    members: readonly WatchedMember[],
    away: ReadonlyMap<string, Absence>,
    nowMs: number,
  ): DomainOutage[] {
    const back: DomainOutage[] = [];
    for (const { domain, value, nodes } of domainsOf(members)) {
      const key = `${domain} ${value}`;
      const fromMs = this.#down.get(key);
      const absent = nodes.flatMap((name) => away.get(name) ?? []);
      if (nodes.length >= 2 && absent.length === nodes.length) {
        // Down since the last of them went.
        this.#down.set(key, fromMs ?? nowMs - Math.min(...absent.map(({ absentMs }) => absentMs)));
      } else if (fromMs !== undefined && absent.length === 0) {
        this.#down.delete(key);
        back.push({ domain, value, fromMs, toMs: nowMs });
      }
    }
    return back;
  }

  #keep(): void {
    this.#keptAtMs = this.#clock.now();
    try {
      this.#store.putDurableNote(NOTE, JSON.stringify(this.#noted));
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      this.#onUnnoted(error);
    }
  }
}

/** Those that came back were not lost; those that are no members any more stay lost. */
function lossesNow(
  known: readonly Loss[],
  members: readonly WatchedMember[],
  away: ReadonlyMap<string, Absence>,
  nowMs: number,
): readonly Loss[] {
  const present = new Set(members.map(({ name }) => name).filter((name) => !away.has(name)));
  const stay = known.filter(({ node }) => !present.has(node));
  const isKnown = new Set(stay.map(({ node }) => node));
  const fresh = [...away.values()].filter(
    ({ node, belief }) => belief.permanent >= LOST && !isKnown.has(node),
  );
  if (fresh.length === 0 && stay.length === known.length) return known;
  return [...stay, ...fresh.map(({ node, absentMs }) => ({ node, atMs: nowMs - absentMs }))];
}

function* domainsOf(
  members: readonly WatchedMember[],
): Generator<{ readonly domain: Domain; readonly value: string; readonly nodes: readonly string[] }> {
  for (const domain of DOMAINS) {
    const groups = Map.groupBy(members, ({ labels }) => labels[domain]);
    // A cluster that lies in one domain sees nothing from inside when that is down.
    if (groups.size < 2) continue;
    for (const [value, group] of groups) yield { domain, value, nodes: group.map(({ name }) => name) };
  }
}
