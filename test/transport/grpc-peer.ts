/**
 * A server in a process of its own, for tests that kill it and for the benchmark.
 * argv: identity directory, name, optionally how often (ms) to look for a renewed SVID, which it then says. Prints its address. Pull request: number of bytes to send, zeros in 1 MiB pieces;
 * 0 means without end. Call: answers the method.
 */
import { systemClock } from '../../src/clock.ts';
import { loadIdentity } from '../../src/identity/identity-files.ts';
import { pollIdentity } from '../../src/identity/polled-identity.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import type { Handler } from '../../src/transport/transport.ts';

const [, , directory, name, everyMs] = process.argv as [string, string, string, string, string?];
const PIECE_BYTES = 1 << 20;

const handler: Handler = {
  async *call(method) {
    yield method;
  },
  async *pull(request) {
    const piece = new Uint8Array(PIECE_BYTES);
    let left = request === 0 ? Number.POSITIVE_INFINITY : Number(request);
    for (; left > 0; left -= PIECE_BYTES) yield piece.subarray(0, Math.min(left, PIECE_BYTES));
  },
};

const load = () => loadIdentity(directory, name, Date.now(), console.error);
const credentials =
  everyMs === undefined
    ? load()
    : await pollIdentity({
        origin: directory,
        load,
        everyMs: Number(everyMs),
        clock: systemClock,
        watcher: { renewed: () => void process.stdout.write('renewed\n') },
      });
const listener = await grpcTransport({ credentials }).listen('127.0.0.1:0', handler);
process.stdout.write(`${listener.address}\n`);
