/**
 * The gate in front of a node's calls: which capability each of them needs, who has it, and a record of every decision.
 * In: a method and the caller as the transport has proven it. Out: nothing, or KwamError PERMISSION_DENIED with the rule. A method that is
 * not in the table cannot be called, and one that is not called by anyone does not compile (service.ts).
 * Destructive capabilities (language/capability.ts) need more than a grant: their methods take a consent token and count people. No call about
 * objects is one of them. `object.remove` and a `put` under the same name are the same act, a training job does it every few minutes, and
 * it takes away a name, not evidence; `node.compact` and `pack.retire` free only what no object needs; `node.drain` copies before anything goes.
 * Calls that name a path are for callers on this machine: the node opens it with its own rights, and a peer elsewhere would read the node's keys or
 * put its own in their place.
 */
import type { AuditLog } from '../audit/audit-log.ts';
import { KwamError } from '../errors.ts';
import { type AccessRequest, type Decision, decide, type Grant } from '../identity/grants.ts';
import type { Capability } from '../language/capability.ts';
import { networkContains, parseNetwork } from '../language/cidr.ts';

export const METHODS = {
  'pack.receive': 'replicate',
  'pack.have': 'replicate',
  'pack.suspect': 'replicate',
  'pack.verify': 'replicate',
  'pack.retire': 'replicate',
  'pack.list': 'replicate',
  'shard.rebuild': 'replicate',
  'object.put': 'replicate',
  'object.get': 'replicate',
  'object.verify': 'replicate',
  'object.damage': 'replicate',
  'object.list': 'discover',
  'object.remove': 'replicate',
  'node.status': 'discover',
  'node.metrics': 'discover',
  'node.scrub': 'replicate',
  'node.repair': 'replicate',
  'node.explain': 'discover',
  'node.compact': 'replicate',
  'node.orphans': 'replicate',
  'node.adopt': 'replicate',
  'node.names': 'replicate',
  'node.outages': 'discover',
  'node.drain': 'replicate',
  'node.undrain': 'replicate',
  'cluster.status': 'discover',
  'consent.redeem': 'deploy',
  'consent.resume': 'deploy',
} as const satisfies Readonly<Record<string, Capability>>;

export type MethodName = keyof typeof METHODS;

/** These open a path. */
const LOCAL_METHODS: ReadonlySet<string> = new Set<MethodName>(['object.put', 'object.get']);
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map((network) => parseNetwork(network)!);

/** A pull has no name on the wire; this is what the audit log calls it. */
export const PULL = 'pull';
const PULL_CAPABILITY: Capability = 'replicate';

/** A look at the metrics port, likewise. */
const METRICS = 'metrics';
const METRICS_CAPABILITY: Capability = 'discover';

export interface Caller {
  readonly peer: string;
  readonly address: string | undefined;
}

export interface AccessParts {
  readonly grants: readonly Grant[];
  readonly audit: Pick<AuditLog, 'append'>;
}

const METHOD_CHARACTERS_MAX = 100;

export class Access {
  readonly #grants: readonly Grant[];
  readonly #audit: Pick<AuditLog, 'append'>;

  constructor({ grants, audit }: AccessParts) {
    this.#grants = grants;
    this.#audit = audit;
  }

  /** The method, once its caller may call it. */
  admit(method: string, caller: Caller): MethodName {
    if (!isMethod(method)) throw this.#unknown(method, caller);
    this.#decide(method, METHODS[method], caller);
    return method;
  }

  admitPull(caller: Caller): void {
    this.#decide(PULL, PULL_CAPABILITY, caller);
  }

  admitMetrics(caller: Caller): void {
    this.#decide(METRICS, METRICS_CAPABILITY, caller);
  }

  /** Recorded first: what cannot be recorded is not allowed. */
  #decide(method: string, capability: Capability, caller: Caller): void {
    const decision = decideHere(this.#grants, method, { ...caller, capability });
    const outcome = decision.allowed ? { grant: decision.grant } : { rule: decision.rule };
    const { allowed } = decision;
    this.#audit.append({ kind: 'decision', method, capability, ...whoOf(caller), allowed, ...outcome });
    if (!decision.allowed) throw denied(method, caller, decision);
  }

  #unknown(method: string, caller: Caller): KwamError {
    const shown = method.toWellFormed().slice(0, METHOD_CHARACTERS_MAX);
    const rule = 'unknown-method';
    this.#audit.append({ kind: 'decision', method: shown, ...whoOf(caller), allowed: false, rule });
    return new KwamError(
      'PROTOCOL',
      `expected a method that this node knows, got ${JSON.stringify(shown)}; is it of another version?`,
      { context: { rule } },
    );
  }
}

type Judgement =
  | Decision
  | {
      readonly allowed: false;
      readonly rule: 'local-path';
      readonly expected: string;
      readonly actual: string;
    };

function decideHere(grants: readonly Grant[], method: string, request: AccessRequest): Judgement {
  const decision = decide(grants, request);
  const { address } = request;
  if (!decision.allowed || !LOCAL_METHODS.has(method) || isLocal(address)) return decision;
  const expected = 'a caller on this machine, whose path is opened here';
  return { allowed: false, rule: 'local-path', expected, actual: address ?? 'an unknown address' };
}

function isLocal(address: string | undefined): boolean {
  return address !== undefined && LOOPBACK.some((network) => networkContains(network, address));
}

function isMethod(method: string): method is MethodName {
  return Object.hasOwn(METHODS, method);
}

function whoOf({ peer, address }: Caller): { readonly [member: string]: string } {
  return { peer, ...(address === undefined ? {} : { address }) };
}

type Refusal = Extract<Judgement, { allowed: false }>;

function denied(method: string, { peer }: Caller, { rule, expected, actual }: Refusal): KwamError {
  const remedy =
    rule === 'local-path'
      ? 'call the node of your own machine'
      : 'grant it in the policy of the program, or call as someone who has it';
  return new KwamError(
    'PERMISSION_DENIED',
    `${method} by ${peer}: expected ${expected}, got ${actual}; ${remedy}`,
    { context: { rule, expected, actual, method } },
  );
}
