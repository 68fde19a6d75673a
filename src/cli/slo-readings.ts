/**
 * What was observed of objectives: by a Prometheus that has recorded their rules, or by the nodes themselves.
 * In: objectives. Out: for each, events and, of a share, all there were; undefined when nothing is known.
 */
import { KwamError } from '../errors.ts';
import { httpGet } from '../http-get.ts';
import { MIB } from '../limits.ts';
import type { Observed } from '../slo/budget.ts';
import { sumOf } from '../slo/exposition.ts';
import { durationText, type Objective } from '../slo/objective.ts';
import { type Cluster, type ClusterOptions, type NodeName, withCluster } from './cluster-client.ts';
import type { Shell } from './shell.ts';

type Readings = readonly (Observed | undefined)[];

const PAGE_BYTES_MAX = 16 * MIB;
const TIMEOUT_MS = 5_000;

/** The counters of every node; one of which nothing is known makes the sum unknown. They count from the node's start. */
export async function readNodes(
  shell: Shell,
  options: ClusterOptions,
  objectives: readonly Objective[],
): Promise<Readings> {
  const pages = await withCluster(shell, options, async (cluster) =>
    Promise.all((await cluster.members()).map((node) => pageOf(shell, cluster, node))),
  );
  return readingsOf(objectives, async (series) => sumOfPages(pages, series));
}

/** What the recording rules say of the whole window. */
export async function readPrometheus(server: string, objectives: readonly Objective[]): Promise<Readings> {
  if (!URL.canParse(server)) {
    throw new KwamError(
      'USAGE',
      `expected --prometheus to be a URL such as http://127.0.0.1:9090, got ${JSON.stringify(server)}`,
    );
  }
  return readingsOf(objectives, async (series, objective) => {
    const window = durationText(objective.windowMs);
    if (series !== objective.series) return ask(server, `sum(increase(${series}[${window}]))`);
    return ask(server, `kwam:slo_events:increase${window}{kwam_slo="${objective.name}"}`);
  });
}

async function readingsOf(
  objectives: readonly Objective[],
  count: (series: string, objective: Objective) => Promise<number | undefined>,
): Promise<Readings> {
  const readings = objectives.map(async (objective) => {
    const events = await count(objective.series, objective);
    const total = objective.kind === 'ratio' ? await count(objective.totalSeries, objective) : undefined;
    if (events === undefined) return undefined;
    return total === undefined ? { events } : { events, total };
  });
  return Promise.all(readings);
}

/** By a call, which finds every node and proves who asks, wherever its metrics port listens. */
async function pageOf(
  shell: Shell,
  cluster: Cluster,
  { name, state }: NodeName,
): Promise<string | undefined> {
  if (state !== 'up') {
    shell.note(`kwam-dp: nothing is known of ${name}: it is ${state}`);
    return undefined;
  }
  try {
    return (await cluster.ask<{ text: string }>(name, 'node.metrics', {})).text;
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    shell.note(`kwam-dp: nothing is known of ${name}: ${error.message}`);
    return undefined;
  }
}

function sumOfPages(pages: readonly (string | undefined)[], series: string): number | undefined {
  let sum = 0;
  for (const page of pages) {
    const one = page === undefined ? undefined : sumOf(page, series);
    if (one === undefined) return undefined;
    sum += one;
  }
  return sum;
}

async function ask(server: string, query: string): Promise<number | undefined> {
  const url = new URL('/api/v1/query', server);
  url.searchParams.set('query', query);
  const text = await textAt(url);
  try {
    const answer = JSON.parse(text) as { data: { result: readonly { value: readonly [number, string] }[] } };
    const value = answer.data.result[0]?.value[1];
    return value === undefined ? undefined : Number(value);
  } catch (cause) {
    throw new KwamError(
      'PROTOCOL',
      `expected an answer of Prometheus' API from ${url.origin}, got ${JSON.stringify(text.slice(0, 80))}; is it a Prometheus?`,
      { cause },
    );
  }
}

async function textAt(url: URL): Promise<string> {
  const { status, body } = await httpGet(url, { bytesMax: PAGE_BYTES_MAX, timeoutMs: TIMEOUT_MS });
  if (status === 200) return new TextDecoder().decode(body);
  throw new KwamError('UNAVAILABLE', `expected ${url.origin} to answer with 200, got ${status}`, {
    retryable: true,
  });
}
