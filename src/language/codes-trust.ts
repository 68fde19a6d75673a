/**
 * Pages of the codes KW301x and KW302x: sandboxes, images, identities, grants, signers, the negotiator.
 */
import { type CodePages, program } from './code-page.ts';

const client = (sandbox: string): string =>
  program(`policy p { … sandbox_floor gvisor }\nclient c { … sandbox ${sandbox} }`);
const image = (written: string): string => program(`client c { … image "${written}" }`);
const server = (identity: string): string => program(`server seed { … identity ${identity} }`);
const grants = (pattern: string, grant: string): string =>
  program(`policy p {\n  …\n  grants {\n    "${pattern}" { ${grant} }\n  }\n}`);
const grant = (attributes: string): string =>
  grants('spiffe://kwam/acme/*/seed', `${attributes} signed_by "acme-prod"`);
const signers = (signedBy: string, keys: readonly string[]): string => {
  const written = keys
    .map((each) => each.split(' '))
    .map(([name, person]) => `"${name}" "keys/${name}.pem" { person "${person}" }`);
  return program(`policy p {
  …
  grants { "spiffe://kwam/acme/*/seed" { caps [deploy] signed_by "${signedBy}" dual_control true } }
  trusted_keys {
    ${written.join('\n    ')}
  }
}`);
};
const negotiator = (attributes: string): string =>
  program(`discovery d {\n  strategy gossip\n  fanout 8x\n  negotiator { ${attributes} }\n}`);

const digest = '9f3a7c0d21'.repeat(6).slice(0, 60).concat('0d21');
const id = 'spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed';

export const TRUST_CODES: CodePages = {
  KW3010: {
    title: 'A sandbox that std/sandbox does not know',
    why: 'Only a sandbox of the table has a strength, so only such a one can be compared with the floor.',
    failing: client('gvisr'),
    passing: client('gvisor'),
  },
  KW3011: {
    title: 'No sandbox at all',
    why: 'A floor of `none` is no floor, and a client without a sandbox can read what every other one writes. `none` stands in the table only to be named here.',
    failing: client('none'),
    passing: client('kata'),
  },
  KW3012: {
    title: 'A sandbox below the floor of the policy',
    why: 'The floor is what the owner of the policy has promised; a client cannot lower it for itself. Strengths are those of std/sandbox.',
    failing: client('runc'),
    passing: client('gvisor'),
  },
  KW3013: {
    title: 'An image by name or tag',
    why: 'A tag can point to other code a minute after it was approved. A digest is the code.',
    failing: image('registry.internal/kwam:latest'),
    passing: image(`sha256:${digest}`),
  },
  KW3014: {
    title: 'A digest of the wrong length or spelling',
    why: 'A shortened digest fits many images. SHA-256 has 64 hexadecimal digits, in small letters.',
    failing: image('sha256:9f3a7c0d21'),
    passing: image(`sha256:${digest}`),
  },
  KW3015: {
    title: 'A rollout by a server that trusts no policy',
    why: 'Without a policy there is nobody whom the server could refuse, and a consent token would mean nothing.',
    failing: program(
      `server seed { identity ${id} transport quic ports { control 7400 data 7401 metrics 7402 } seeds [seed.internal] }\ndeploy d { … server seed }`,
    ),
    passing: program(
      `policy p { … }\nserver seed { identity ${id} transport quic ports { control 7400 data 7401 metrics 7402 } seeds [seed.internal] trust p }\ndeploy d { … server seed }`,
    ),
  },
  KW3016: {
    title: 'An identity that is no SPIFFE ID',
    why: 'The strict rules of the standard leave one spelling for each identity: no port, no user, no percent-encoding, no empty or dotted segments, a trust domain in small letters, and a path.',
    failing: server('spiffe://Kwam/acme//seed'),
    passing: server(id),
  },
  KW3017: {
    title: 'A pattern where one identity is due',
    why: 'A server proves one identity with its certificate. A pattern would let it pass as its neighbours.',
    failing: server('spiffe://kwam/acme/cl-7/*/seed'),
    passing: server(id),
  },
  KW3018: {
    title: 'One identity where a pattern is due',
    why: 'Grants are for roles. One that names a machine is forgotten when the machine is replaced, and stays valid for whoever gets its name.',
    failing: grants(id, '…'),
    passing: grants('spiffe://kwam/acme/cl-7/*/*/*/seed', '…'),
  },
  KW3019: {
    title: 'A SPIFFE pattern that is none',
    why: '`*` stands for a segment of the path or a run inside one, `**` alone in its place for any number of segments. The trust domain is never a pattern: it would trust strangers.',
    failing: grants('spiffe://*/acme/seed', '…'),
    passing: grants('spiffe://kwam/acme/**', '…'),
  },
  KW3020: {
    title: 'A capability that does not exist',
    why: 'A misspelt capability grants nothing now and something else in a later version.',
    failing: grant('caps [replicat]'),
    passing: grant('caps [replicate]'),
  },
  KW3021: {
    title: '`discover` without a scope',
    why: 'Discovery looks at networks. Which ones is a decision, and "all of them" is not offered.',
    failing: grant('caps [discover]'),
    passing: grant('caps [discover] discover_scope [10.40.0.0/16]'),
  },
  KW3022: {
    title: 'A destructive capability in one pair of hands',
    why: '`deploy`, `quarantine` and `override_budget` can take a service or its evidence away. A stolen key or a slip of one person must not be enough.',
    failing: grant('caps [deploy]'),
    passing: grant('caps [deploy] dual_control true'),
  },
  KW3023: {
    title: 'A network that is not in its canonical form',
    why: '`10.40.1.7/16` reads like a machine and means 65,536 of them. Bits beyond the prefix are zero, numbers have no leading zeros, IPv6 is written as RFC 5952 says.',
    failing: grant('caps [discover] discover_scope [10.40.1.7/16]'),
    passing: grant('caps [discover] discover_scope [10.40.0.0/16]'),
  },
  KW3024: {
    title: 'A negotiator with another task',
    why: 'The model may put candidates in another order, and nothing else. Each further task would be a further way in.',
    failing: negotiator('task "choose-peers" fallback deterministic'),
    passing: negotiator('task "next-hop-path" fallback deterministic'),
  },
  KW3025: {
    title: 'A negotiator without a deterministic fallback',
    why: 'The deterministic path is the primary one: a model that is slow, wrong or gone changes nothing but an order.',
    failing: negotiator('task "next-hop-path" fallback retry'),
    passing: negotiator('task "next-hop-path" fallback deterministic'),
  },
  KW3026: {
    title: 'A model without limits',
    why: 'What a model answers is input from outside. A schema, a length and a time keep it from being more than a ranking.',
    failing: negotiator('task "next-hop-path" fallback deterministic model "ranker"'),
    passing: negotiator(
      'task "next-hop-path" fallback deterministic model "ranker" output_schema "kwam.ranking/v1" max_tokens 64 timeout 50ms',
    ),
  },
  KW3027: {
    title: '`llm` names a discovery without a negotiator',
    why: 'The attribute would promise a model that nobody described or limited.',
    failing: program('discovery d { strategy gossip fanout 8x }\nserver seed { … llm d }'),
    passing: program('discovery d { strategy gossip fanout 8x negotiator { … } }\nserver seed { … llm d }'),
  },
  KW3028: {
    title: 'A signer whose key is not trusted',
    why: 'Consent counts when the named signer is among the keys of the policy. One that is not could sign as much as they like: every token would be refused, when the rollout is due.',
    failing: signers('acme-prd', ['acme-prod Ada', 'acme-ops Reto']),
    passing: signers('acme-prod', ['acme-prod Ada', 'acme-ops Reto']),
  },
  KW3029: {
    title: 'Two people are asked for and there is one (warning)',
    why: '`dual_control` takes the signatures of two people. With the keys of one, nothing unsafe can happen and nothing else either: whoever adds the second key later removes the warning.',
    failing: signers('acme-prod', ['acme-prod Ada', 'acme-spare Ada']),
    passing: signers('acme-prod', ['acme-prod Ada', 'acme-ops Reto']),
  },
};
