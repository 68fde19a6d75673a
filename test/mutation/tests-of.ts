/**
 * Which tests can kill a mutant of a source, quick ones first.
 * In: a path of the repository. Out: stages, each what vitest is to run (files, and `-t NAME` for a part of them); a later stage runs only
 * when the ones before it stayed green.
 */
interface Row {
  readonly source: string;
  readonly stages: readonly (readonly string[])[];
}

const REFUSALS = 'test/refusals/refusals.test.ts';
/** One area of the refusal table. */
const area = (name: string): readonly string[] => [REFUSALS, '-t', `^${name} `];
const WORKLOAD = 'test/identity/workload-identity.test.ts';
const SOURCES = 'test/cli/identity-sources.test.ts';
const SVID = 'test/identity/svid.test.ts';
const FILES = 'test/identity/identity-files.test.ts';
const MANIFEST = 'test/identity/manifest-trust.test.ts';
const ACCESS = 'test/cluster-runs/access.test.ts';
const ROTATION = 'test/transport/rotation.test.ts';

/** The first row whose `source` the path begins with. */
const ROWS: readonly Row[] = [
  {
    source: 'src/identity/workload-',
    stages: [['test/identity/workload-api.test.ts'], [WORKLOAD], area('workload API'), [SOURCES]],
  },
  { source: 'src/identity/der', stages: [['test/identity/der.test.ts'], [WORKLOAD]] },
  { source: 'src/identity/polled-', stages: [['test/identity/polled-identity.test.ts'], [ROTATION]] },
  { source: 'src/identity/metadata-', stages: [['test/identity/metadata-reflection.test.ts'], [FILES]] },
  { source: 'src/identity/manifest-', stages: [[MANIFEST]] },
  {
    source: 'src/identity/grants',
    stages: [['test/identity/grants.test.ts'], area('grants'), area('consent'), [ACCESS]],
  },
  {
    source: 'src/identity/spiffe-id',
    stages: [['test/identity/spiffe-id.test.ts'], area('identity'), [SVID]],
  },
  { source: 'src/identity/svid', stages: [area('identity'), [SVID], [FILES]] },
  { source: 'src/identity/certificate', stages: [area('identity'), [SVID], [FILES]] },
  {
    source: 'src/identity/',
    stages: [
      ['test/identity/identity.test.ts', 'test/identity/identity-durability.test.ts'],
      [FILES],
      ['test/cli/identity.test.ts', MANIFEST, SVID],
      [ROTATION, ACCESS],
    ],
  },
  {
    source: 'src/rollout/ledger',
    stages: [['test/rollout/redeem.test.ts'], area('consent'), ['test/rollout/image-release.test.ts']],
  },
  {
    source: 'src/rollout/image-',
    stages: [['test/rollout/image-release.test.ts'], area('consent')],
  },
  { source: 'src/rollout/used-', stages: [['test/rollout/used-tokens.test.ts']] },
  {
    source: 'src/rollout/',
    stages: [
      area('consent'),
      [
        'test/rollout/redeem.test.ts',
        'test/rollout/consent-desk.test.ts',
        'test/rollout/image-release.test.ts',
        'test/rollout/public-keys.test.ts',
        'test/cli/consent.test.ts',
      ],
      [ACCESS],
    ],
  },
  { source: 'src/language/person', stages: [area('consent')] },
  { source: 'src/cluster/access', stages: [area('grants'), ['test/cluster/access.test.ts'], [ACCESS]] },
  { source: 'src/cluster/own-files', stages: [['test/cluster/own-files.test.ts']] },
  { source: 'src/cluster/audit-anchor', stages: [['test/audit/audit-log.test.ts']] },
  {
    source: 'src/images/',
    stages: [
      area('images'),
      [
        'test/images/bundle-oracle.test.ts',
        'test/images/image-source.test.ts',
        'test/images/registry.test.ts',
        'test/images/verify-image.test.ts',
        'test/cli/image.test.ts',
      ],
    ],
  },
  { source: 'src/secrets/', stages: [['test/secrets/secrets.test.ts'], area('secrets'), [SOURCES]] },
];

/** Directories and files. */
export const SOURCES_COVERED: readonly string[] = [
  'src/identity',
  'src/rollout',
  'src/language/person.ts',
  'src/cluster/access.ts',
  'src/cluster/own-files.ts',
  'src/cluster/audit-anchor.ts',
  'src/images',
  'src/secrets',
];

export function stagesOf(source: string): Row['stages'] {
  return ROWS.find((row) => source.startsWith(row.source))?.stages ?? [];
}
