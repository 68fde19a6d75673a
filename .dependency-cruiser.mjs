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
  ['service', 'worker', 'background', 'observers'],
  ['data-plane'],
  ['node'],
  ['verify'],
  ['cli'],
  ['main'],
];

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

export default {
  forbidden: [
    ...upward,
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
