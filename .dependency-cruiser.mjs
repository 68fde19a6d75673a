/**
 * The layer table. A folder or file may import only from rows above its own; folders of one row do not know each other.
 * The forbidden rules below are derived from it.
 */
const LAYERS = [
  ['errors', 'digest', 'clock', 'random', 'filesystem', 'plan', 'limits', 'metrics'],
  ['wasm'],
  ['hashing', 'chunking', 'dedup', 'erasure', 'placement', 'manifest', 'guard'],
  ['language'],
  ['editor'],
  ['slo'],
  ['http-get'],
  ['workers', 'store', 'control', 'identity', 'transport', 'images', 'secrets', 'audit'],
  ['cluster', 'health'],
  ['replication'],
  ['repair', 'workload', 'rollout'],
  ['pipeline'],
  ['service', 'worker', 'background', 'observers', 'metrics-server'],
  ['data-plane'],
  ['node'],
  ['verify'],
  ['cli'],
  ['main'],
];

/** The same within `language`, which is one folder of many files: its stages from the ground up, each with the names of its files. */
const LANGUAGE_STAGES = {
  words:
    'source written diagnostic nearest-name size-limits quantity secret capability person counters cidr glob-.* spiffe-pattern code-page codes.*',
  schema: 'schema.*',
  syntax: 'generated/.* token-slips token-repair parser lower syntax-errors parse format.*',
  meaning:
    'ir literals normalize describe fit.* names omissions declaration-order module-resolver resolve.* holes access suggestions',
  rules: 'inventory pools check-context check-version rules-.* guard-verdict check vocabulary',
  modules: 'modules.* lockfile check-module',
  plan: 'plan-.* program-digest to-plan',
  doors: 'compile render-.*',
};

const pathOf = (name) => `^src/${name}(/|\\.ts$)`;
const BASE = LAYERS[0].map(pathOf).join('|');

const upward = LAYERS.flatMap((row, level) => {
  const allowed = LAYERS.slice(0, level).flat();
  return row.map((name) => ({
    name: `layer-${name}`,
    comment: `${name} may import only from the layers below it`,
    severity: 'error',
    from: { path: pathOf(name) },
    to: { path: '^src/', pathNot: level === 0 ? BASE : [...allowed, name].map(pathOf).join('|') },
  }));
});

const STAGES = Object.entries(LANGUAGE_STAGES);
const stagePath = (stages) =>
  `^src/language/(${stages.map(([, files]) => files.replaceAll(' ', '|')).join('|')})\\.ts$`;

const upwardInLanguage = STAGES.map((stage, level) => ({
  name: `layer-language-${stage[0]}`,
  comment: 'a file of the language may import only from its own stage and those before it',
  severity: 'error',
  from: { path: stagePath([stage]) },
  to: { path: '^src/language/', pathNot: stagePath(STAGES.slice(0, level + 1)) },
}));

const unknownInLanguage = {
  name: 'layer-language-unknown',
  comment: 'each file of the language belongs to a stage',
  severity: 'error',
  from: { path: '^src/language/', pathNot: stagePath(STAGES) },
  to: {},
};

export default {
  forbidden: [
    ...upward,
    ...upwardInLanguage,
    unknownInLanguage,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-attics',
      comment: 'no barrels, no noun attics: a thing lives with the noun it serves',
      severity: 'error',
      from: {},
      to: { path: '/(index|utils?|common|helpers?|types|misc)\\.ts$' },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs'] },
  },
};
