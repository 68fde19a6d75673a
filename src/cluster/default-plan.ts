/**
 * The Plan of a development cluster, until a compiled program gives one.
 * In: how many nodes and which scheme. Out: a Plan whose nodes spread over three availability zones, each node with a rack
 * and a PDU of its own, so that three copies never share a domain and 4 + 2 shards put at most two in one zone.
 */
import { KwamError } from '../errors.ts';
import {
  chunkBytesMaxDefault,
  chunkBytesMinDefault,
  chunkBytesTargetDefault,
  MIB,
  packBytesTarget,
} from '../limits.ts';
import type { ErasureScheme, Plan, PlanNode } from '../plan.ts';

export const TRUST_DOMAIN = 'kwam';
const ZONES = 3;
const NODES_MAX = 64;
const FACTOR = 3;

export interface DefaultPlanOptions {
  readonly nodes: number;
  readonly factor?: number;
  readonly erasure?: ErasureScheme;
  readonly memoryBytes?: number;
}

export function defaultPlan(options: DefaultPlanOptions): Plan {
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > NODES_MAX) {
    throw new KwamError('USAGE', `expected --nodes from 1 to ${NODES_MAX}, got ${options.nodes}`);
  }
  const factor = options.factor ?? Math.min(FACTOR, options.nodes);
  const { erasure } = options;
  return {
    schema: 'kwam.plan/v1',
    program: { apiVersion: 'kwam.dev/v0.2', digest: '', imports: [] },
    trustDomain: TRUST_DOMAIN,
    pools: [],
    servers: [],
    discoveries: [],
    clients: [],
    metrics: [],
    deploys: [],
    nodes: Array.from({ length: options.nodes }, (_, i) => defaultNode(i)),
    replicate: {
      factor,
      antiAffinity: ['rack', 'pdu', 'spine', 'az'],
      ...(erasure === undefined ? {} : { erasure }),
      chunker: {
        chunkBytesMin: chunkBytesMinDefault,
        chunkBytesTarget: chunkBytesTargetDefault,
        chunkBytesMax: chunkBytesMaxDefault,
      },
      packBytesTarget,
      repair: { delayMs: 0, lazy: false },
    },
    scrub: { bytesPerSecondMax: 200 * MIB, intervalMs: 7 * 24 * 3600 * 1000 },
    memoryBytes: options.memoryBytes ?? 512 * MIB,
  };
}

/** Node `index` counts from 0; names count from 1. */
export function defaultNode(index: number): PlanNode {
  const name = `n${String(index + 1).padStart(4, '0')}`;
  const az = `az${(index % ZONES) + 1}`;
  const unit = Math.floor(index / ZONES) + 1;
  return {
    name,
    spiffe: `spiffe://${TRUST_DOMAIN}/dev/local/${az}/pod${unit}/${name}/node`,
    labels: { az, spine: `${az}-spine1`, pdu: `${az}-pdu${unit}`, rack: `${az}-rack${unit}` },
    weight: 1,
    listen: '127.0.0.1:0',
    metricsListen: '127.0.0.1:0',
  };
}
