/**
 * The vocabulary of KWAM 0.2 as data: every block and attribute, its type, whether it is required, what holds without it, and
 * a sentence about it. Checking, completion, hover, holes and the reference page all read this table: a new attribute is
 * one row. What values mean beyond their type (floors, capabilities, nines) is the rules' business.
 * Source: LANGUAGE.md "Blocks".
 */
import { MODULE_BODIES } from './schema-modules.ts';
import {
  choice,
  duration,
  either,
  host,
  integer,
  list,
  quantity,
  record,
  reference,
  required,
  secret,
  size,
  text,
  word,
} from './schema-rows.ts';
import type { AttributeRow, BlockKind, BlockRow, BodyRow, ExpectedType } from './schema-types.ts';

const pem = text('a path of a PEM file', '"keys/ca.pem"');
const spiffeId: ExpectedType = {
  kind: 'uri',
  noun: 'a SPIFFE ID',
  schemes: ['spiffe'],
  example: 'spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed',
};
const spiffePattern: ExpectedType = {
  kind: 'uri',
  noun: 'a SPIFFE pattern',
  schemes: ['spiffe'],
  example: 'spiffe://kwam/acme/cl-7/*/*/*/node',
};
/** Ports are checked as numbers here; their range and collisions are a rule's. */
const port = integer('a port number', -(2 ** 31), 2 ** 31 - 1);

const profile = record({
  hardware: {
    required,
    type: word('hardware', '"h100"', true),
    doc: 'The accelerator: it decides which native telemetry answers the portable health signals.',
  },
  interconnect: {
    required,
    type: word('interconnect', '"nvlink+ib"', true),
    doc: 'The latency and bandwidth model within a node, a rack, a spine, an az and beyond.',
  },
  health: {
    required,
    type: list(word('health hook', 'dcgm')),
    doc: 'The telemetry hooks that the devices offer. Telemetry only: nothing runs inside kernels.',
  },
  fanout: {
    required,
    type: quantity('count', { min: 1, max: 64 }),
    doc: 'How many peers one node feeds at a time, 1x to 64x.',
  },
  cache_size: { required, type: size, doc: 'The dedup cache, off-heap and reclaimable.' },
});

const grant: AttributeRow = {
  name: 'grant',
  required: false,
  doc: 'What the identities that match this pattern may do.',
  body: record({
    caps: {
      required,
      type: list(word('capability', 'discover')),
      doc: 'The capabilities that the pattern grants.',
    },
    signed_by: {
      required,
      type: text('the name of a signer', '"acme-prod"'),
      doc: 'The signer that a consent token must carry.',
    },
    discover_scope: {
      type: list({ kind: 'cidr' }),
      doc: 'The networks in which `discover` may look; needed where `discover` is granted.',
    },
    dual_control: {
      type: { kind: 'boolean' },
      default: 'false',
      doc: 'Destructive capabilities need two people.',
    },
  }),
};

const trustedKey: AttributeRow = {
  name: 'trusted key',
  required: false,
  type: either(pem, secret),
  doc: 'A public key whose signatures are trusted under this name.',
  body: record({
    person: {
      type: text('the name of a person', '"Ada Lovelace"'),
      doc: 'Who holds the key: two people are two persons, not two keys.',
    },
    not_before: { type: { kind: 'date' }, doc: 'The first day on which its signatures count.' },
    not_after: {
      type: { kind: 'date' },
      doc: 'The last day on which they count. To renew a key, let the old one and the new one overlap.',
    },
    revoked: {
      type: { kind: 'boolean' },
      default: 'false',
      doc: 'Its signatures count no more, whenever they were made.',
    },
  }),
};

const policy = record({
  ca: {
    required,
    type: either(pem, secret),
    doc: 'The root that identities chain to: a PEM file, or a secret.',
  },
  sandbox_floor: {
    required,
    type: word('sandbox', 'gvisor'),
    doc: 'No client may ask for a weaker sandbox than this.',
  },
  grants: {
    required,
    doc: 'Who may do what, by SPIFFE pattern.',
    body: { kind: 'map', key: 'text', keyNoun: 'a SPIFFE pattern in quotes', entry: grant },
  },
  trusted_keys: {
    doc: 'The keys whose signatures count, each with the person who holds it.',
    body: { kind: 'map', key: 'either', keyNoun: 'the name of a key', entry: trustedKey },
  },
});

const server = record({
  identity: { required, type: spiffeId, doc: 'The SPIFFE ID that the server proves with its certificate.' },
  transport: {
    required,
    type: choice('quic', 'grpc'),
    doc: 'The primary transport; the other one is its fallback.',
  },
  ports: {
    required,
    doc: 'The listening ports, each behind mTLS.',
    body: record({
      control: { required, type: port, example: '7400', doc: 'Calls between nodes.' },
      data: { required, type: port, example: '7401', doc: 'Packs.' },
      metrics: { required, type: port, example: '7402', doc: 'Metrics, health and readiness.' },
    }),
  },
  seeds: { required, type: list(host), doc: 'Where a new node finds the cluster.' },
  trust: { required, type: reference('policy'), doc: 'The policy that decides who may do what here.' },
  llm: { type: reference('discovery'), doc: 'A discovery whose negotiator may re-rank paths.' },
});

const negotiator = record({
  task: {
    required,
    type: text('the one task', '"next-hop-path"'),
    doc: 'Its only job: to re-rank candidates that were enumerated without it.',
  },
  fallback: {
    required,
    type: word('fallback', 'deterministic'),
    doc: 'The primary path: the model is never on the critical one.',
  },
  model: { type: text('the name of a model', '"ranker-0.5b"'), doc: 'The model that is asked.' },
  endpoint: {
    type: either(
      { kind: 'uri', noun: 'a URL', schemes: ['http', 'https'], example: 'https://ranker.internal/v1' },
      host,
    ),
    doc: 'Where the model answers.',
  },
  output_schema: {
    type: text('the name of a schema', '"kwam.ranking/v1"'),
    doc: 'The form that an answer must have; anything else is discarded.',
  },
  max_tokens: {
    type: integer('a number of tokens', 1, 1_000_000),
    example: '256',
    doc: 'The longest answer.',
  },
  timeout: { type: duration, doc: 'After this the fallback decides.' },
});

const discovery = record({
  strategy: { required, type: choice('gossip'), doc: 'How nodes learn of each other.' },
  fanout: {
    required,
    type: quantity('count', { min: 1, max: 64 }),
    doc: 'How many peers hear a rumour at a time.',
  },
  negotiator: { doc: 'A small model that may re-rank paths, and nothing else.', body: negotiator },
});

const client = record({
  image: { required, type: { kind: 'digest' }, doc: 'The image by content: tags can move, digests cannot.' },
  registry: {
    type: either(host, text('a registry', '"registry.internal/kwam"')),
    doc: 'Where the image is fetched from.',
  },
  sandbox: {
    required,
    type: word('sandbox', 'gvisor'),
    doc: 'What contains the client; never weaker than the floor of the policy.',
  },
  health: {
    required,
    type: list(word('health signal', 'dcgm.gpu_health')),
    doc: 'The signals that decide whether a node is well.',
  },
  safepoint: {
    required,
    type: choice('cooperative', 'reexec'),
    doc: 'Where new code takes over: at a point that the client offers, or at once by executing anew.',
  },
});

const replicate = record({
  factor: {
    required,
    type: integer('a number of copies', 1, 16),
    example: '3',
    doc: 'Full copies of each pack, 1 to 16.',
  },
  anti_affinity: {
    required,
    type: list(word('domain', 'rack'), 0),
    doc: 'No two copies share one of these fault domains until domains run out.',
  },
  erasure: {
    type: { kind: 'erasure' },
    doc: 'Cold packs are striped into k data and m parity shards, `rs(k, m)`; or with a parity shard for each of l groups beside, `lrc(k, l, m)`, so that one lost shard is made from k/l others.',
  },
  cold_after: {
    type: duration,
    doc: 'Packs stay full copies until no object that needs them was put for so long. Without it they are striped from the start.',
  },
  chunker: {
    doc: 'How content is cut into chunks.',
    body: record({
      profile: {
        type: text('the name of a cut rule', '"kwam-window34-v1"'),
        doc: 'The rule that finds the cuts.',
      },
      min: { type: size, default: '16kib', doc: 'No chunk is shorter, except the last one of a stream.' },
      target: { type: size, default: '64kib', doc: 'The usual length of a chunk.' },
      max: { type: size, default: '256kib', doc: 'No chunk is longer.' },
    }),
  },
  repair: {
    doc: 'How lost redundancy is restored.',
    body: record({
      delay: {
        type: quantity('duration', { min: 0 }),
        doc: 'How long a silent node is waited for before its data is rebuilt.',
      },
      bandwidth: { type: quantity('bandwidth'), doc: 'What repair may take of the network.' },
      lazy: {
        type: { kind: 'boolean' },
        default: 'false',
        doc: 'Rebuild a stripe only when it has lost more than one shard.',
      },
    }),
  },
});

const mtbf: AttributeRow = {
  name: 'mtbf',
  required: false,
  type: duration,
  example: '5y',
  doc: 'The mean time between permanent losses, and who vouches for it.',
  body: record({
    source: {
      required,
      type: text('where the figure comes from', '"fleet records 2025"'),
      doc: 'The records that the figure comes from.',
    },
    audited_by: {
      required,
      type: text('the name of an auditor', '"Ada Lovelace"'),
      doc: 'Who checked the figure.',
    },
    audited_on: { required, type: { kind: 'date' }, doc: 'The day of the check.' },
  }),
};

const guard = record({
  durability: {
    required,
    type: quantity('nines', { min: 1, max: 18 }),
    doc: 'The yearly loss that is promised: N nines are at most 10^-N. Refused when the mathematics does not support it.',
  },
  mttr_restore: { required, type: duration, doc: 'From the loss of one node to restored redundancy.' },
  recovery_time: {
    required,
    type: duration,
    doc: 'From the loss of a whole domain to restored redundancy: the correlated tail.',
  },
  integrity: { required, type: choice('sha256'), doc: 'What proves each byte.' },
  on_violation: {
    required,
    type: choice('quarantine'),
    doc: 'What happens to a copy that fails its proof: it is kept as evidence and never served.',
  },
  mtbf: {
    required,
    doc: 'Audited loss rates: one row for `node` and one for every domain of the anti-affinity.',
    body: {
      kind: 'map',
      key: 'word',
      keyNoun: '`node` or a fault domain',
      known: { vocabulary: 'domain', beside: ['node'] },
      entry: mtbf,
    },
  },
  error_budget: {
    doc: 'How much may go wrong before rollouts stop.',
    body: record({
      allow: {
        required,
        type: quantity('ratio', { min: 0, max: 1 }),
        doc: 'The share of operations that may fail.',
      },
      window: { required, type: duration, doc: 'Over which time it is counted.' },
    }),
  },
  covers: {
    type: reference('replicate'),
    default: 'the only `replicate` of the program',
    doc: 'What this guard promises for.',
  },
});

const metric = record({
  observe: {
    required,
    type: word('counter', 'silent_corruption_count'),
    doc: 'The counter that is watched.',
  },
  target: {
    required,
    type: either(
      { kind: 'number', noun: 'a number', min: 0, max: Number.MAX_SAFE_INTEGER, whole: false },
      quantity('ratio', { min: 0, max: 1 }),
    ),
    doc: 'What it may reach within the window; 0 makes any event an alert.',
  },
  window: { required, type: duration, doc: 'Over which time it is counted.' },
});

const pool = record({
  select: { type: spiffePattern, doc: 'The nodes whose identities match this pattern.' },
  inventory: {
    type: text('a path of an inventory', '"fleet/h100.json"'),
    doc: 'The file that lists the nodes.',
  },
});

const deploy = record({
  server: { required, type: reference('server'), doc: 'Who runs the rollout.' },
  client: { required, type: reference('client'), doc: 'What is rolled out.' },
  to: { required, type: reference('pool'), doc: 'Where to: a pool of this program or of the inventory.' },
  strategy: { required, type: choice('canary'), doc: 'How it advances.' },
  waves: {
    required,
    type: list(quantity('ratio', { max: 1 })),
    example: '[1percent, 5percent, 25percent, 50percent, 100percent]',
    doc: 'The share of the pool that runs the new code after each wave.',
  },
  bake: { required, type: duration, doc: 'How long a wave must stay healthy before the next one.' },
  on_failure: {
    type: choice('pause', 'abort', 'rollback'),
    default: 'rollback',
    doc: 'What a failed wave leads to.',
  },
  consent: {
    required,
    doc: 'The signed permission, made outside this program.',
    body: record({
      grant_ref: {
        required,
        type: either(text('a path of a consent token', '"consent/rollout.json"'), {
          kind: 'uri',
          noun: 'a URI of a consent token',
          schemes: ['file', 'https'],
          example: 'https://consent.internal/42',
        }),
        doc: 'Where the token is: minted elsewhere, signed, usable once.',
      },
      scope: {
        required,
        type: { kind: 'scope' },
        doc: 'What the rollout touches; it must lie within what the token covers.',
      },
    }),
  },
});

function row(kind: BlockKind, doc: string, body: BodyRow, moduleOnly = false): [BlockKind, BlockRow] {
  return [kind, { kind, doc, body, moduleOnly }];
}

export const BLOCKS: ReadonlyMap<string, BlockRow> = new Map<string, BlockRow>([
  row('profile', 'The hardware, its interconnect and its health hooks.', profile),
  row('policy', 'Who may do what, and the floor that nobody may drop below.', policy),
  row('server', 'A seed: identity, transport, ports and the policy that it trusts.', server),
  row('discovery', 'How nodes find each other and choose paths.', discovery),
  row('client', 'The code that runs on the nodes: image, sandbox, health.', client),
  row('replicate', 'How many copies, spread over which fault domains.', replicate),
  row('guard', 'The promises that the mathematics must support.', guard),
  row('metric', 'A counter with a target.', metric),
  row('pool', 'A set of nodes.', pool),
  row('deploy', 'A rollout: what, where to, in which waves, by whose consent.', deploy),
  row('domains', 'Fault domains and how they nest.', MODULE_BODIES.domains, true),
  row('hardware', 'Accelerators and the native sources of their telemetry.', MODULE_BODIES.hardware, true),
  row('interconnects', 'Latency and bandwidth by distance.', MODULE_BODIES.interconnects, true),
  row('sandboxes', 'Sandboxes by strength.', MODULE_BODIES.sandboxes, true),
]);

let names: ReadonlySet<string> | undefined;

/** Of all blocks and of what they hold. */
export function attributeNames(): ReadonlySet<string> {
  names ??= new Set([...BLOCKS.values()].flatMap(({ body }) => namesIn(body)));
  return names;
}

function namesIn(body: BodyRow | undefined): readonly string[] {
  if (body === undefined) return [];
  if (body.kind === 'map') return namesIn(body.entry.body);
  return body.attributes.flatMap((each) => [each.name, ...namesIn(each.body)]);
}

/** The row of an attribute in a body, or of a map's entry under the name that the author chose. */
export function attributeRow(body: BodyRow, name: string): AttributeRow | undefined {
  if (body.kind === 'map') return { ...body.entry, name };
  return body.attributes.find((each) => each.name === name);
}
