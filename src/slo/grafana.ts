/**
 * A Grafana dashboard of objectives.
 * In: objectives. Out: the dashboard's JSON as data: a row an objective with events in the window against the target, what is left, and the course
 *   of events by node.
 * Source: Grafana dashboard JSON model, schema version 39; queries as the rule file records them (prometheus-rules.ts).
 */
import { durationText, type Objective } from './objective.ts';

type Panel = Readonly<Record<string, unknown>>;

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
const SCHEMA_VERSION = 39;
const ROW_HEIGHT = 7;

export function grafanaDashboard(objectives: readonly Objective[]): Readonly<Record<string, unknown>> {
  return {
    uid: 'kwam-slo',
    title: 'KWAM objectives',
    tags: ['kwam', 'slo'],
    schemaVersion: SCHEMA_VERSION,
    editable: false,
    timezone: 'utc',
    refresh: '1m',
    time: { from: 'now-30d', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', current: {} },
      ],
    },
    panels: objectives.flatMap(panelsOf).map((panel, i) => ({ ...panel, id: i + 1 })),
  };
}

function panelsOf(objective: Objective, row: number): Panel[] {
  const y = row * (ROW_HEIGHT + 1);
  const at = (x: number, w: number): Panel => ({ gridPos: { x, y: y + 1, w, h: ROW_HEIGHT } });
  const window = durationText(objective.windowMs);
  const recorded = `kwam:slo_events:increase${window}{kwam_slo="${objective.name}"}`;
  return [
    { type: 'row', title: objective.name, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } },
    { ...at(0, 4), ...stat(`Events, ${window}`, recorded, redFrom(limitOfEvents(objective))) },
    { ...at(4, 4), ...stat('Left of the budget', leftExpression(objective, recorded), redBelowZero) },
    { ...at(8, 4), ...stat('Time since the last event', sinceExpression(objective), [], 's') },
    { ...at(12, 12), ...course(objective) },
  ];
}

/** More events than this are red; of a share, the number of events alone says nothing. */
function limitOfEvents(objective: Objective): number | undefined {
  if (objective.kind === 'ratio') return undefined;
  return objective.kind === 'count' ? objective.allowed : 0;
}

function leftExpression(objective: Objective, recorded: string): string {
  if (objective.kind === 'ratio')
    return `slo:period_error_budget_remaining:ratio{kwam_slo="${objective.name}"}`;
  return objective.kind === 'count' ? `${objective.allowed} - ${recorded}` : `0 - ${recorded}`;
}

function sinceExpression({ series, windowMs }: Objective): string {
  const changed = `(changes(${series}[5m]) > 0)`;
  return `time() - max(max_over_time(timestamp(${changed})[${durationText(windowMs)}:5m]))`;
}

type Steps = readonly { readonly color: string; readonly value: number | null }[];

function redFrom(limit: number | undefined): Steps {
  if (limit === undefined) return [];
  return [
    { color: 'green', value: null },
    { color: 'red', value: limit + 1e-9 },
  ];
}

const redBelowZero: Steps = [
  { color: 'red', value: null },
  { color: 'green', value: 0 },
];

/** "No data" in its own colour: it is not health. */
const NO_DATA = [
  { type: 'special', options: { match: 'null', result: { text: 'no data', color: 'purple' } } },
];

function stat(title: string, expr: string, steps: Steps, unit = 'none'): Panel {
  return {
    type: 'stat',
    title,
    datasource: DATASOURCE,
    targets: [{ refId: 'A', expr, instant: true, datasource: DATASOURCE }],
    fieldConfig: {
      defaults: { unit, mappings: NO_DATA, noValue: 'no data', thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    options: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background' },
  };
}

function course({ series }: Objective): Panel {
  return {
    type: 'timeseries',
    title: 'Events by node',
    datasource: DATASOURCE,
    targets: [
      {
        refId: 'A',
        expr: `sum by (node) (increase(${series}[$__rate_interval]))`,
        legendFormat: '{{node}}',
        datasource: DATASOURCE,
      },
    ],
    fieldConfig: { defaults: { unit: 'none', min: 0 }, overrides: [] },
  };
}
