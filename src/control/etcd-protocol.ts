/**
 * etcd's messages as TypeScript sees them, and their codec.
 * In: etcd.proto. Out: one method description per call, for @grpc/grpc-js to send and receive; int64 are decimal strings there,
 * because lease ids use all 63 bits; revisions become numbers here, checked.
 * Source: etcd.proto names it. Does not connect or call anything.
 */
import { fileURLToPath } from 'node:url';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { KwamError } from '../errors.ts';

interface Header {
  readonly revision: string;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly value: Buffer;
  /** '0' = none. */
  readonly lease: string;
}

/** Everything from `key` up to and without `rangeEnd`; only `key` without it. Reads are linearizable unless asked otherwise. */
export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  readonly limit?: number;
  readonly revision?: number;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export type RequestOp =
  | { readonly requestRange: RangeRequest }
  | { readonly requestPut: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease?: string } }
  | { readonly requestDeleteRange: { readonly key: Uint8Array } };

export interface TxnRequest {
  readonly compare: readonly {
    readonly result: 'EQUAL';
    readonly target: 'MOD';
    readonly key: Uint8Array;
    readonly modRevision: number;
  }[];
  readonly success: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
}

export interface WatchRequest {
  readonly createRequest: {
    readonly key: Uint8Array;
    readonly rangeEnd: Uint8Array;
    readonly startRevision: number;
    readonly progressNotify: boolean;
    readonly fragment: boolean;
  };
}

export interface WatchResponse {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  /** '0' unless the watch was refused because changes from its start on are forgotten. */
  readonly compactRevision: string;
  readonly cancelReason: string;
  /** More of the same changes follow. */
  readonly fragment: boolean;
  readonly events: readonly { readonly type: 'PUT' | 'DELETE'; readonly kv: KeyValue }[];
}

interface LeaseId {
  readonly ID: string;
}

interface LeaseTtl {
  /** Seconds. */
  readonly TTL: number;
}

/** What grpc-js needs of a method. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

const definitions = loadSync(fileURLToPath(new URL('./etcd.proto', import.meta.url)), {
  longs: String,
  enums: String,
  defaults: true,
});

function method<Request, Response>(service: string, name: string): Method<Request, Response> {
  const definition = (definitions[`etcdserverpb.${service}`] as ServiceDefinition)[name]!;
  return definition as unknown as Method<Request, Response>;
}

export const METHODS = {
  range: method<RangeRequest, RangeResponse>('KV', 'Range'),
  txn: method<TxnRequest, TxnResponse>('KV', 'Txn'),
  leaseGrant: method<LeaseTtl, LeaseId>('Lease', 'LeaseGrant'),
  leaseRevoke: method<LeaseId, unknown>('Lease', 'LeaseRevoke'),
  leaseKeepAlive: method<LeaseId, { readonly TTL: string }>('Lease', 'LeaseKeepAlive'),
  watch: method<WatchRequest, WatchResponse>('Watch', 'Watch'),
} as const;

export function revisionOf(text: string): number {
  const revision = Number(text);
  if (Number.isSafeInteger(revision) && revision >= 0) return revision;
  throw new KwamError(
    'PROTOCOL',
    `expected a revision of etcd from 0 to 2^53 − 1, got ${text}; is this endpoint an etcd?`,
  );
}
