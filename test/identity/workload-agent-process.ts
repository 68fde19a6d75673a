/**
 * A SPIFFE Workload API agent as a process of its own, on a Unix socket.
 * In: the socket's path; over IPC what to say from now on. Out: `ready` over IPC, then how many streams are open, whenever that changes.
 * Source: SPIFFE Workload API standard. Requests without `workload.spiffe.io: true` get INVALID_ARGUMENT, as the standard asks.
 */

import { join } from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { AgentOrder, AgentState } from './workload-agent.ts';

type Stream = ServerWritableStream<object, object>;

const proto = join(import.meta.dirname, '../../src/identity/workload-api.proto');
const definition = loadPackageDefinition(loadSync(proto)) as unknown as {
  SpiffeWorkloadAPI: { service: Parameters<Server['addService']>[0] };
};
const streams = new Set<Stream>();
let order: AgentOrder = { refuse: 'PERMISSION_DENIED' };

/** Whoever started us may be gone by now; then nobody needs to know. */
function tell(message: object): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64');

function messageOf({ svids, federated }: AgentState): object {
  return {
    svids: svids.map(({ spiffeId, chain, key, bundle }) => ({
      spiffeId,
      x509Svid: bytes(chain),
      x509SvidKey: bytes(key),
      bundle: bytes(bundle),
    })),
    federatedBundles: Object.fromEntries(
      Object.entries(federated ?? {}).map(([id, bundle]) => [id, bytes(bundle)]),
    ),
  };
}

function refuse(stream: Stream, code: 'PERMISSION_DENIED' | 'INVALID_ARGUMENT' | 'UNAVAILABLE'): void {
  stream.emit('error', { code: status[code], details: `the agent says ${code}` });
}

function follow(stream: Stream): void {
  if ('refuse' in order) refuse(stream, order.refuse);
  else stream.write(messageOf(order.state));
}

function fetch(stream: Stream): void {
  if (stream.metadata.get('workload.spiffe.io')[0] !== 'true') {
    refuse(stream, 'INVALID_ARGUMENT');
    return;
  }
  streams.add(stream);
  tell({ streams: streams.size });
  stream.on('close', () => {
    streams.delete(stream);
    tell({ streams: streams.size });
  });
  follow(stream);
}

const server = new Server();
server.addService(definition.SpiffeWorkloadAPI.service, { fetchX509Svid: fetch, FetchX509SVID: fetch });
process.on('message', (next: AgentOrder) => {
  order = next;
  for (const stream of streams) {
    if ('state' in next && next.end === true) stream.end();
    else follow(stream);
  }
});
process.on('disconnect', () => process.exit());
server.bindAsync(`unix:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  tell({ ready: true });
});
