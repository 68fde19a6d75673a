/**
 * The Plan: the one typed value at which the language and the data plane meet. Everything a node does follows from it.
 * `language/to-plan.ts` makes it of a program and an inventory. Pure data, plain JSON throughout: lists that a program may write
 * in any order are sorted by name, shares are exact fractions, a secret is its `secret://…` reference and never what it opens.
 */
export type Domain = 'rack' | 'pdu' | 'spine' | 'az';
/** From the widest to the narrowest: placement walks down this list. */
export const DOMAINS: readonly Domain[] = ['az', 'spine', 'pdu', 'rack'];

export type Labels = Readonly<Record<Domain, string>>;
/** `lrc` has a parity shard for each of several groups of data shards, and the others over all of them. */
export type MatrixName = 'vandermonde' | 'cauchy1' | 'lrc';
/** An exact number, numerator/denominator in lowest terms: `1/100`, `0/1`. */
export type Fraction = string;
/** Where a key is kept. A path is as the program writes it, relative to the program's file. */
export type KeyReference = { readonly pem: string } | { readonly secret: string };

export interface PlanNode {
  readonly name: string;
  /** SPIFFE ID of the node, for example spiffe://kwam.dev/node/n0001. */
  readonly spiffe: string;
  readonly labels: Labels;
  /** Share of the data relative to other nodes; 0 stores nothing. */
  readonly weight: number;
  /** HOST:PORT to listen on; port 0 picks a free one, which the node then publishes in the control store. */
  readonly listen: string;
  /** HOST:PORT of /metrics, /healthz and /readyz. */
  readonly metricsListen: string;
}

export interface ChunkerSizes {
  readonly chunkBytesMin: number;
  readonly chunkBytesTarget: number;
  readonly chunkBytesMax: number;
}

export interface ErasureScheme {
  readonly dataShards: number;
  /** All shards that hold no data; those of local groups are among them. */
  readonly parityShards: number;
  readonly matrix: MatrixName;
  /** Present exactly with the matrix `lrc`: how many groups of equally many data shards there are. */
  readonly localGroups?: number;
}

export interface ReplicatePlan {
  readonly factor: number;
  readonly antiAffinity: readonly Domain[];
  readonly erasure?: ErasureScheme;
  /** Only with `erasure`: packs are full copies until no object that lists them is younger; absent: striped from the start. */
  readonly coldAfterMs?: number;
  readonly chunker: ChunkerSizes;
  readonly packBytesTarget: number;
  readonly repair: {
    /** How long a silent node is waited for. */
    readonly delayMs: number;
    /** What repair may take of the network; absent: no bound. */
    readonly bitsPerSecondMax?: number;
    /** Rebuild a stripe only when it has lost more than one shard. */
    readonly lazy: boolean;
  };
}

/** Between two nodes, by the narrowest thing that both are in. */
export type Tier = 'node' | 'rack' | 'spine' | 'az' | 'beyond';

export interface ProfilePlan {
  readonly name: string;
  readonly hardware: string;
  readonly interconnect: {
    readonly name: string;
    readonly links: Readonly<Record<Tier, { readonly bitsPerSecond: number; readonly latencyMs: number }>>;
  };
  /** How many peers a node feeds at a time. */
  readonly fanout: number;
  /** Bound of the dedup index. */
  readonly cacheBytes: number;
  readonly health: readonly string[];
  /** Each signal that a client asks for, and where this hardware reports it; null: nowhere, so it stays unknown. */
  readonly signals: Readonly<Record<string, string | null>>;
}

export interface GrantPlan {
  /** SPIFFE pattern */
  readonly pattern: string;
  readonly caps: readonly string[];
  readonly signedBy: string;
  /** CIDRs */
  readonly discoverScope: readonly string[];
  readonly dualControl: boolean;
}

export interface TrustedKeyPlan {
  readonly name: string;
  readonly key: KeyReference;
  readonly person?: string;
  /** The time in which its signatures count, to the millisecond; absent: no bound. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly revoked?: true;
}

export interface PolicyPlan {
  readonly name: string;
  readonly ca: KeyReference;
  readonly sandboxFloor: string;
  readonly grants: readonly GrantPlan[];
  readonly trustedKeys: readonly TrustedKeyPlan[];
}

export interface ServerPlan {
  readonly name: string;
  /** SPIFFE ID */
  readonly identity: string;
  readonly transport: 'quic' | 'grpc';
  readonly ports: { readonly control: number; readonly data: number; readonly metrics: number };
  /** HOST or HOST:PORT */
  readonly seeds: readonly string[];
  /** Name of the policy. */
  readonly trust: string;
  /** Name of a discovery whose negotiator may re-rank paths. */
  readonly llm?: string;
}

export interface NegotiatorPlan {
  readonly task: string;
  readonly fallback: string;
  readonly model?: string;
  readonly endpoint?: string;
  readonly outputSchema?: string;
  readonly maxTokens?: number;
  readonly timeoutMs?: number;
}

export interface DiscoveryPlan {
  readonly name: string;
  readonly strategy: 'gossip';
  readonly fanout: number;
  readonly negotiator?: NegotiatorPlan;
}

export interface ClientPlan {
  readonly name: string;
  /** sha256:<64 hex> */
  readonly image: string;
  readonly registry?: string;
  readonly sandbox: string;
  readonly health: readonly string[];
  readonly safepoint: 'cooperative' | 'reexec';
}

export interface MtbfRow {
  readonly ms: number;
  readonly source: string;
  readonly auditedBy: string;
  /** YYYY-MM-DD */
  readonly auditedOn: string;
}

export interface GuardPlan {
  readonly name: string;
  readonly declaredNines: number;
  /** What the mathematics supports on these nodes; less than declared only where a development cluster was overridden. */
  readonly supportedNines: number;
  readonly mttrRestoreMs: number;
  readonly recoveryTimeMs: number;
  readonly integrity: 'sha256';
  readonly onViolation: 'quarantine';
  readonly mtbf: Readonly<Partial<Record<'node' | Domain, MtbfRow>>>;
  readonly errorBudget?: { readonly allow: Fraction; readonly windowMs: number };
}

export interface MetricPlan {
  readonly name: string;
  /** The counter that is watched. */
  readonly observe: string;
  readonly target: Fraction;
  /** A count within the window, or a share of all. */
  readonly targetKind: 'count' | 'ratio';
  readonly windowMs: number;
}

export interface PoolPlan {
  readonly name: string;
  /** Names of its nodes. */
  readonly nodes: readonly string[];
}

export interface DeployPlan {
  readonly name: string;
  readonly server: string;
  readonly client: string;
  readonly pool: string;
  readonly strategy: 'canary';
  /** The share of the pool after each wave; the last one is 1/1. */
  readonly waves: readonly Fraction[];
  readonly bakeMs: number;
  readonly onFailure: 'pause' | 'abort' | 'rollback';
  readonly consent: {
    /** A path relative to the program's file, or a URI. */
    readonly grantRef: string;
    readonly scope: string;
  };
}

export interface ProgramReference {
  readonly apiVersion: string;
  /** `sha256:<64 hex>` of what the program means; layout and comments do not change it. */
  readonly digest: string;
  readonly imports: readonly { readonly module: string; readonly digest: string }[];
}

export interface Plan {
  readonly schema: 'kwam.plan/v1';
  readonly program: ProgramReference;
  readonly trustDomain: string;
  readonly nodes: readonly PlanNode[];
  readonly pools: readonly PoolPlan[];
  readonly profile?: ProfilePlan;
  readonly policy?: PolicyPlan;
  readonly servers: readonly ServerPlan[];
  readonly discoveries: readonly DiscoveryPlan[];
  readonly clients: readonly ClientPlan[];
  readonly replicate: ReplicatePlan;
  readonly guard?: GuardPlan;
  readonly metrics: readonly MetricPlan[];
  readonly deploys: readonly DeployPlan[];
  readonly scrub: { readonly bytesPerSecondMax: number; readonly intervalMs: number };
  readonly memoryBytes: number;
}
