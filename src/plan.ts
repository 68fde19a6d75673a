/**
 * The Plan: the one typed value at which the language and the data plane meet. Everything a node does follows from it.
 * The compiler produces it; until then `defaultPlan` does. Pure data, JSON throughout.
 */
export type Domain = 'rack' | 'pdu' | 'spine' | 'az';
/** From the widest to the narrowest: placement walks down this list. */
export const DOMAINS: readonly Domain[] = ['az', 'spine', 'pdu', 'rack'];

export type Labels = Readonly<Record<Domain, string>>;
export type MatrixName = 'vandermonde' | 'cauchy1';

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
  readonly parityShards: number;
  readonly matrix: MatrixName;
}

export interface Plan {
  readonly schema: 'kwam.plan/v1';
  readonly trustDomain: string;
  readonly nodes: readonly PlanNode[];
  readonly replicate: {
    readonly factor: number;
    readonly antiAffinity: readonly Domain[];
    readonly erasure?: ErasureScheme;
    readonly chunker: ChunkerSizes;
    readonly packBytesTarget: number;
  };
  readonly scrub: { readonly bytesPerSecondMax: number; readonly intervalMs: number };
  readonly memoryBytes: number;
}
