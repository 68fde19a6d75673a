/**
 * Each block of a program as its part of the Plan; one function a block.
 * In: a block of a program without errors. Out: plain JSON, defaults of LANGUAGE.md filled in. What needs more than the block itself (nodes, the
 * mathematics, the digest) is to-plan.ts' business.
 */
import {
  chunkBytesMaxDefault,
  chunkBytesMinDefault,
  chunkBytesTargetDefault,
  packBytesTarget,
} from '../limits.ts';
import type {
  ChunkerSizes,
  ClientPlan,
  DeployPlan,
  DiscoveryPlan,
  Domain,
  GrantPlan,
  GuardPlan,
  MetricPlan,
  MtbfRow,
  NegotiatorPlan,
  PolicyPlan,
  ProfilePlan,
  ReplicatePlan,
  ServerPlan,
  TrustedKeyPlan,
} from '../plan.ts';
import { attributeOf, bodyOf, itemsOf, schemeIn, valueIn } from './access.ts';
import type { StandardTables } from './check-context.ts';
import type { AttributeIr, BlockIr, BodyIr } from './ir.ts';
import {
  amountIn,
  amountOf,
  cidrText,
  hostText,
  innerBody,
  keyOf,
  optional,
  plainTextIn,
  plainTextOf,
  referenceOf,
  textOf,
  wordOf,
  wordsOf,
} from './plan-values.ts';
import { exactText } from './program-digest.ts';

/** @param signals  what the clients ask for */
export function profilePlan(
  { name, body }: BlockIr,
  { hardware, interconnects }: StandardTables,
  signals: readonly string[],
): ProfilePlan {
  const machine = wordOf(body, 'hardware');
  const interconnect = wordOf(body, 'interconnect');
  const sources = hardware.get(machine)!.signals;
  return {
    name,
    hardware: machine,
    interconnect: { name: interconnect, links: interconnects.get(interconnect)!.links },
    fanout: amountOf(body, 'fanout'),
    cacheBytes: amountOf(body, 'cache_size'),
    health: wordsOf(body, 'health'),
    signals: Object.fromEntries(signals.map((signal) => [signal, sources.get(signal) ?? null])),
  };
}

export function policyPlan({ name, body }: BlockIr): PolicyPlan {
  return {
    name,
    ca: keyOf(attributeOf(body, 'ca')?.value, 'ca'),
    sandboxFloor: wordOf(body, 'sandbox_floor'),
    grants: byKey(innerBody(body, 'grants').attributes).map(grantPlan),
    trustedKeys: byKey(bodyOf(body, 'trusted_keys')?.attributes ?? []).map(trustedKeyPlan),
  };
}

function byKey(entries: readonly AttributeIr[]): readonly AttributeIr[] {
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function grantPlan({ name, body }: AttributeIr): GrantPlan {
  return {
    pattern: name,
    caps: wordsOf(body!, 'caps'),
    signedBy: textOf(body!, 'signed_by'),
    discoverScope: itemsOf(body!, 'discover_scope', 'cidr').map(cidrText),
    dualControl: valueIn(body!, 'dual_control', 'boolean')?.value ?? false,
  };
}

function trustedKeyPlan({ name, value, body }: AttributeIr): TrustedKeyPlan {
  const textIn = (attribute: string) => body && valueIn(body, attribute, 'text')?.text;
  const [from, until] = [textIn('not_before'), textIn('not_after')];
  const isRevoked = body && valueIn(body, 'revoked', 'boolean')?.value;
  return {
    name,
    key: keyOf(value, name),
    ...optional('person', textIn('person')),
    ...optional('notBefore', from && `${from}T00:00:00.000Z`),
    ...optional('notAfter', until && `${until}T23:59:59.999Z`),
    ...optional('revoked', isRevoked || undefined),
  };
}

export function serverPlan({ name, body }: BlockIr): ServerPlan {
  const ports = innerBody(body, 'ports');
  return {
    name,
    identity: plainTextOf(body, 'identity'),
    transport: wordOf(body, 'transport') as ServerPlan['transport'],
    ports: {
      control: amountOf(ports, 'control'),
      data: amountOf(ports, 'data'),
      metrics: amountOf(ports, 'metrics'),
    },
    seeds: itemsOf(body, 'seeds', 'host').map(hostText),
    trust: referenceOf(body, 'trust'),
    ...optional('llm', valueIn(body, 'llm', 'reference')?.name),
  };
}

export function discoveryPlan({ name, body }: BlockIr): DiscoveryPlan {
  const negotiator = bodyOf(body, 'negotiator');
  return {
    name,
    strategy: wordOf(body, 'strategy') as DiscoveryPlan['strategy'],
    fanout: amountOf(body, 'fanout'),
    ...optional('negotiator', negotiator && negotiatorPlan(negotiator)),
  };
}

function negotiatorPlan(body: BodyIr): NegotiatorPlan {
  return {
    task: textOf(body, 'task'),
    fallback: wordOf(body, 'fallback'),
    ...optional('model', plainTextIn(body, 'model')),
    ...optional('endpoint', plainTextIn(body, 'endpoint')),
    ...optional('outputSchema', plainTextIn(body, 'output_schema')),
    ...optional('maxTokens', amountIn(body, 'max_tokens')),
    ...optional('timeoutMs', amountIn(body, 'timeout')),
  };
}

export function clientPlan({ name, body }: BlockIr): ClientPlan {
  return {
    name,
    image: valueIn(body, 'image', 'digest')!.digest,
    ...optional('registry', plainTextIn(body, 'registry')),
    sandbox: wordOf(body, 'sandbox'),
    health: wordsOf(body, 'health'),
    safepoint: wordOf(body, 'safepoint') as ClientPlan['safepoint'],
  };
}

export function replicatePlan({ body }: BlockIr): ReplicatePlan {
  const repair = bodyOf(body, 'repair');
  return {
    factor: amountOf(body, 'factor'),
    antiAffinity: [...new Set(wordsOf(body, 'anti_affinity'))] as Domain[],
    ...optional('erasure', schemeIn(body)),
    ...optional('coldAfterMs', amountIn(body, 'cold_after')),
    chunker: chunkerPlan(bodyOf(body, 'chunker')),
    packBytesTarget,
    repair: {
      delayMs: (repair && amountIn(repair, 'delay')) ?? 0,
      ...optional('bitsPerSecondMax', repair && amountIn(repair, 'bandwidth')),
      lazy: (repair && valueIn(repair, 'lazy', 'boolean')?.value) ?? false,
    },
  };
}

function chunkerPlan(body: BodyIr | undefined): ChunkerSizes {
  const size = (name: string): number | undefined => body && amountIn(body, name);
  return {
    chunkBytesMin: size('min') ?? chunkBytesMinDefault,
    chunkBytesTarget: size('target') ?? chunkBytesTargetDefault,
    chunkBytesMax: size('max') ?? chunkBytesMaxDefault,
  };
}

export function guardPlan({ name, body }: BlockIr, supportedNines: number): GuardPlan {
  const budget = bodyOf(body, 'error_budget');
  const rows = innerBody(body, 'mtbf').attributes.map((row) => [row.name, mtbfRow(row)]);
  return {
    name,
    declaredNines: amountOf(body, 'durability'),
    supportedNines,
    mttrRestoreMs: amountOf(body, 'mttr_restore'),
    recoveryTimeMs: amountOf(body, 'recovery_time'),
    integrity: wordOf(body, 'integrity') as GuardPlan['integrity'],
    onViolation: wordOf(body, 'on_violation') as GuardPlan['onViolation'],
    mtbf: Object.fromEntries(rows),
    ...optional('errorBudget', budget && errorBudget(budget)),
  };
}

function mtbfRow({ value, body }: AttributeIr): MtbfRow {
  return {
    ms: value?.kind === 'quantity' ? value.amount : Number.NaN,
    source: textOf(body!, 'source'),
    auditedBy: textOf(body!, 'audited_by'),
    auditedOn: textOf(body!, 'audited_on'),
  };
}

function errorBudget(body: BodyIr): NonNullable<GuardPlan['errorBudget']> {
  return { allow: exactText(valueIn(body, 'allow', 'quantity')!.exact), windowMs: amountOf(body, 'window') };
}

export function metricPlan({ name, body }: BlockIr): MetricPlan {
  const count = valueIn(body, 'target', 'number');
  return {
    name,
    observe: wordOf(body, 'observe'),
    target: exactText((count ?? valueIn(body, 'target', 'quantity')!).exact),
    targetKind: count === undefined ? 'ratio' : 'count',
    windowMs: amountOf(body, 'window'),
  };
}

export function deployPlan({ name, body }: BlockIr): DeployPlan {
  const consent = innerBody(body, 'consent');
  const onFailure = valueIn(body, 'on_failure', 'word')?.word ?? 'rollback';
  return {
    name,
    server: referenceOf(body, 'server'),
    client: referenceOf(body, 'client'),
    pool: referenceOf(body, 'to'),
    strategy: wordOf(body, 'strategy') as DeployPlan['strategy'],
    waves: itemsOf(body, 'waves', 'quantity').map(({ exact }) => exactText(exact)),
    bakeMs: amountOf(body, 'bake'),
    onFailure: onFailure as DeployPlan['onFailure'],
    consent: { grantRef: plainTextOf(consent, 'grant_ref'), scope: wordOf(consent, 'scope') },
  };
}
