/**
 * Prometheus recording and alert rules of objectives.
 * In: objectives. Out: the document of a rule file, as data: `groups`, one an objective.
 * Source: Google SRE Workbook, "Alerting on SLOs", multiwindow multi-burn-rate alerts: 2 % of a 30-day budget in 1 h and 5 % in 6 h page, 10 % in
 *   1 d and in 3 d make a ticket, each only while a window of a twelfth burns as well. Names of ratio records as Sloth writes them
 *   (slo:sli_error:ratio_rate5m …), so that its dashboards work.
 * Traps, each with a test that promtool runs: increase() does not see a counter that is born at 1, so events have a second arm; no data is an
 *   alert of its own, and no other rule has a value then, so that it never looks like health.
 */
import { type CountObjective, durationText, type Objective, type RatioObjective } from './objective.ts';

export interface RecordRule {
  readonly record: string;
  readonly labels: Labels;
  readonly expr: string;
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Labels;
  readonly annotations: { readonly summary: string; readonly description: string };
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly (RecordRule | AlertRule)[] }[];
}

type Labels = Readonly<Record<string, string>>;
type Severity = 'page' | 'ticket';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The shortest window that is looked at: at least four scrapes of a minute. */
const SHORT_MS = 5 * MINUTE;
/** Nodes are scraped every minute or more often; ten missed scrapes are no accident. */
const NO_DATA_FOR = '10m';

interface Burn {
  readonly severity: Severity;
  readonly longMs: number;
  readonly shortMs: number;
  /** How many times faster than allowed the budget burns. */
  readonly factor: number;
}

/** For a window of 30 days the factors spend 2, 5, 10 and 10 % of the budget within the long window. */
const BURNS: readonly Burn[] = [
  { severity: 'page', longMs: HOUR, shortMs: 5 * MINUTE, factor: 14.4 },
  { severity: 'page', longMs: 6 * HOUR, shortMs: 30 * MINUTE, factor: 6 },
  { severity: 'ticket', longMs: DAY, shortMs: 2 * HOUR, factor: 3 },
  { severity: 'ticket', longMs: 3 * DAY, shortMs: 6 * HOUR, factor: 1 },
];

export function ruleFile(objectives: readonly Objective[]): RuleFile {
  return {
    groups: objectives.map((objective) => ({
      name: `kwam-slo-${objective.name}`,
      rules: [...rulesOf(objective), noData(objective)],
    })),
  };
}

function rulesOf(objective: Objective): (RecordRule | AlertRule)[] {
  const records = [eventsIn(objective, SHORT_MS), eventsIn(objective, objective.windowMs), target(objective)];
  switch (objective.kind) {
    case 'any-event':
      return [...records, violated(objective), exhausted(objective)];
    case 'count':
      return [...records, ...burnAlerts(objective, countBurns), exhausted(objective)];
    case 'ratio':
      return [
        ...records,
        ...ratioRecords(objective),
        ...burnAlerts(objective, ratioBurns),
        exhausted(objective),
      ];
  }
}

const labelsOf = ({ name }: Objective): Labels => ({ kwam_slo: name });

/**
 * Events of all nodes within `ms`: what each counter rose by, and what it began with when it was born within that time. Nothing at
 * all, rather than 0, while no node reports.
 */
function events({ series }: Objective, ms: number): string {
  const window = durationText(ms);
  const rose = `sum(increase(${series}[${window}])) or vector(0)`;
  const born = `sum(min_over_time(${series}[${window}]) unless ${series} offset ${window}) or vector(0)`;
  return `(((${rose}) + (${born})) and on() count(${series}))`;
}

function eventsIn(objective: Objective, ms: number): RecordRule {
  return {
    record: `kwam:slo_events:increase${durationText(ms)}`,
    labels: labelsOf(objective),
    expr: events(objective, ms),
  };
}

function target(objective: Objective): RecordRule {
  const allowed = objective.kind === 'any-event' ? 0 : objective.allowed;
  return {
    record: `kwam:slo_target:${objective.kind === 'ratio' ? 'ratio' : 'events'}`,
    labels: labelsOf(objective),
    expr: `vector(${allowed})`,
  };
}

/** `integrity_slo` → `IntegritySlo` */
function pascal(name: string): string {
  return name.replace(/(?:^|_)([a-zA-Z0-9])/g, (_, first: string) => first.toUpperCase());
}

function alert(
  objective: Objective,
  suffix: string,
  severity: Severity,
  expr: string,
  description: string,
): AlertRule {
  const { name } = objective;
  return {
    alert: `Kwam${pascal(name)}${suffix}`,
    expr,
    labels: { severity, ...labelsOf(objective) },
    annotations: { summary: `${name}: ${SUMMARIES[suffix]!}`, description },
  };
}

const SUMMARIES: Readonly<Record<string, string>> = {
  Violated: 'an event that must never happen has happened',
  Exhausted: 'nothing is left of the error budget',
  BurnsFast: 'the error budget will be gone within days',
  BurnsSlowly: 'the error budget will be gone before its window is over',
  NoData: 'nobody reports; that is not health',
};

function violated(objective: Objective): AlertRule {
  return alert(
    objective,
    'Violated',
    'page',
    `${events(objective, SHORT_MS)} > 0`,
    `${objective.series} rose. Run \`kwam-dp status\` and \`kwam-dp scrub\`; no rollout starts while the window holds it.`,
  );
}

function exhausted(objective: Objective): AlertRule {
  const window = durationText(objective.windowMs);
  const limit = objective.kind === 'any-event' ? 0 : objective.allowed;
  const spent =
    objective.kind === 'ratio' ? ratio(objective, objective.windowMs) : events(objective, objective.windowMs);
  return alert(
    objective,
    'Exhausted',
    'ticket',
    `${spent} > ${limit}`,
    `More than ${limit} within ${window}. Rollouts are refused until the window has passed, or by a token with override_budget.`,
  );
}

function ratio(objective: RatioObjective, ms: number): string {
  const total = `sum(increase(${objective.totalSeries}[${durationText(ms)}]))`;
  return `(${events(objective, ms)} / (${total} > 0))`;
}

/** Sloth's set. */
function ratioRecords(objective: RatioObjective): RecordRule[] {
  const { name, windowMs } = objective;
  const labels = { ...labelsOf(objective), sloth_id: `kwam-${name}`, sloth_service: 'kwam', sloth_slo: name };
  const windows = [...new Set(burnsWithin(windowMs).flatMap(({ longMs, shortMs }) => [shortMs, longMs]))];
  const rates = [...windows, windowMs].sort((a, b) => a - b);
  const allowed = { record: 'slo:error_budget:ratio', labels, expr: `vector(${objective.allowed})` };
  return [
    ...rates.map((ms) => ({
      record: `slo:sli_error:ratio_rate${durationText(ms)}`,
      labels: { ...labels, sloth_window: durationText(ms) },
      expr: ratio(objective, ms),
    })),
    { record: 'slo:objective:ratio', labels, expr: `vector(${1 - objective.allowed})` },
    allowed,
    { record: 'slo:time_period:days', labels, expr: `vector(${windowMs / DAY})` },
    {
      record: 'slo:current_burn_rate:ratio',
      labels,
      expr: `${ratio(objective, SHORT_MS)} / ${objective.allowed}`,
    },
    {
      record: 'slo:period_error_budget_remaining:ratio',
      labels,
      expr: `1 - ${ratio(objective, windowMs)} / ${objective.allowed}`,
    },
  ];
}

/** A look that is longer than the window would speak of another objective. */
function burnsWithin(windowMs: number): readonly Burn[] {
  return BURNS.filter(({ longMs }) => longMs < windowMs);
}

function burnAlerts<O extends CountObjective | RatioObjective>(
  objective: O,
  burns: (objective: O, ms: number, factor: number) => string,
): AlertRule[] {
  return (['page', 'ticket'] as const).flatMap((severity) => {
    const rows = burnsWithin(objective.windowMs).filter((burn) => burn.severity === severity);
    if (rows.length === 0) return [];
    const arms = rows.map(
      ({ longMs, shortMs, factor }) =>
        `(${burns(objective, longMs, factor)} and ${burns(objective, shortMs, factor)})`,
    );
    const suffix = severity === 'page' ? 'BurnsFast' : 'BurnsSlowly';
    const description = `${objective.series} rises faster than ${objective.allowed} in ${durationText(objective.windowMs)} allows.`;
    return [alert(objective, suffix, severity, arms.join(' or '), description)];
  });
}

function ratioBurns(objective: RatioObjective, ms: number, factor: number): string {
  return `${ratio(objective, ms)} > ${factor * objective.allowed}`;
}

/** So many events in `ms` as burn the whole budget `factor` times too fast. */
function countBurns(objective: CountObjective, ms: number, factor: number): string {
  return `${events(objective, ms)} > ${(factor * objective.allowed * ms) / objective.windowMs}`;
}

function noData(objective: Objective): AlertRule {
  const { series } = objective;
  const description = `${series} is absent: no node is scraped. Every node exports it from its start.`;
  return { ...alert(objective, 'NoData', 'page', `absent(${series})`, description), for: NO_DATA_FOR };
}
