/**
 * The sending process of transport.bench.ts. argv: identity directory.
 * Serves the same bytes two ways: as a pull of our transport, and over a bare TLS 1.3 socket to whoever connects and
 * names a number of bytes in a line. Prints both addresses as JSON.
 */
import { once } from 'node:events';
import { createServer, type TLSSocket } from 'node:tls';
import { loadIdentity } from '../src/identity/identity-files.ts';
import { MIB } from '../src/limits.ts';
import { seededRandom } from '../src/random.ts';
import { grpcTransport } from '../src/transport/grpc.ts';
import type { Handler } from '../src/transport/transport.ts';

const identity = loadIdentity(process.argv[2]!, 'server', Date.now(), console.error);
const piece = seededRandom(20261122).fill(new Uint8Array(MIB));

function* pieces(bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= piece.length)
    yield piece.subarray(0, Math.min(left, piece.length));
}

const handler: Handler = {
  async *call() {},
  async *pull(request) {
    yield* pieces(Number(request));
  },
};

async function sendAll(socket: TLSSocket): Promise<void> {
  const [line] = (await once(socket, 'data')) as [Buffer];
  for (const bytes of pieces(Number(line))) if (!socket.write(bytes)) await once(socket, 'drain');
  socket.end();
}

const tls = createServer(
  {
    cert: identity.certificateChainPem,
    key: identity.privateKeyPem,
    ca: identity.bundlePem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  },
  (socket) => void sendAll(socket.setNoDelay(true)),
);
tls.listen(0, '127.0.0.1');
await once(tls, 'listening');
const { port } = tls.address() as { port: number };
const listener = await grpcTransport({ credentials: identity }).listen('127.0.0.1:0', handler);
process.stdout.write(`${JSON.stringify({ grpc: listener.address, port })}\n`);
