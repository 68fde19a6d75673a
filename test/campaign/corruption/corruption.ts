/**
 * The corruption campaign: single bits flipped at every site where data lies or travels, each into healthy data.
 * In: how many faults, a seed, and for the canary a site whose verification is off. Out: what became of them, by site.
 * Claims: with no silent fault among n the 95 % upper bound of their share is 3/n ("rule of three"), of faults like these: one bit,
 * evenly over the bytes of a site. It says nothing of how often such faults happen, nor of bits that flip before bytes are hashed.
 */
import { cacheSite } from './cache-site.ts';
import { indexSite } from './index-site.ts';
import { journalSite } from './journal-site.ts';
import { manifestSite } from './manifest-site.ts';
import { packSite } from './pack-site.ts';
import { paritySite } from './parity-site.ts';
import { sourceSite } from './source-site.ts';
import { addTally, emptyTally, type Site, type SiteOptions, type Tally } from './tally.ts';
import { wireSite } from './wire-site.ts';
import { type Engines, loadEngines } from './worker.ts';

interface Plan {
  /** Of the faults. */
  readonly share: number;
  readonly open: (engines: Engines, options: SiteOptions) => Site | Promise<Site>;
}

export const SITES = {
  source: { share: 0.14, open: sourceSite },
  wire: { share: 0.1, open: wireSite },
  pack: { share: 0.2, open: packSite },
  index: { share: 0.16, open: (_, options) => indexSite(options) },
  parity: { share: 0.1, open: paritySite },
  journal: { share: 0.1, open: (_, options) => journalSite(options) },
  manifest: { share: 0.1, open: (_, options) => manifestSite(options) },
  cache: { share: 0.1, open: (_, options) => cacheSite(options) },
} as const satisfies Record<string, Plan>;

export type SiteName = keyof typeof SITES;

/** Sites whose verification can be switched off: those that hash in a worker. */
export const CANARIES = ['source', 'wire', 'pack', 'parity'] as const satisfies readonly SiteName[];

export const isCanary = (name: string): name is (typeof CANARIES)[number] =>
  CANARIES.some((one) => one === name);

export interface CorruptionRequest {
  readonly faults: number;
  readonly seed: number;
  /** This site's verification repeats what it said before the fault. */
  readonly canary?: SiteName;
  readonly sites?: readonly SiteName[];
  readonly onProgress?: (site: SiteName, done: number, total: number) => void;
}

export interface CorruptionReport extends Tally {
  readonly schema: 'kwam.corruption/v1';
  readonly seed: number;
  readonly bySite: Partial<Record<SiteName, Tally & { readonly wallSeconds: number }>>;
  /** Upper bound of the share of silent faults, 95 %; null when there were any. */
  readonly bound95: number | null;
  readonly wallSeconds: number;
}

export async function runCorruption(request: CorruptionRequest): Promise<CorruptionReport> {
  const { faults, seed, canary, onProgress = () => undefined } = request;
  const sites = request.sites ?? (Object.keys(SITES) as SiteName[]);
  const shares = sites.reduce((sum, name) => sum + SITES[name].share, 0);
  const engines = await loadEngines();
  const started = performance.now();
  const secondsSince = (since: number): number => Number(((performance.now() - since) / 1000).toFixed(1));
  const total = emptyTally();
  const bySite: CorruptionReport['bySite'] = {};
  for (const name of sites) {
    const siteStarted = performance.now();
    const wanted = Math.ceil((faults * SITES[name].share) / shares);
    const plan: Plan = SITES[name];
    const site = await plan.open(engines, { seed, isBlind: canary === name });
    const tally = emptyTally();
    while (tally.injected < wanted) {
      addTally(tally, await site.run(wanted - tally.injected));
      onProgress(name, tally.injected, wanted);
    }
    await site.close?.();
    bySite[name] = { ...tally, wallSeconds: secondsSince(siteStarted) };
    addTally(total, tally);
  }
  const bound95 = total.silent === 0 ? 3 / total.injected : null;
  return {
    schema: 'kwam.corruption/v1',
    ...total,
    bySite,
    bound95,
    seed,
    wallSeconds: secondsSince(started),
  };
}
