/**
 * Whether a host lives whose node does not answer.
 * In: HOST:PORT. Out: "accepts", "refuses" (the host's kernel answers: it is up, the process is not), or "silent".
 * Opens a TCP connection and closes it; says nothing about who listens there.
 */
import { connect } from 'node:net';
import { parseAddress } from './address.ts';

export type ProbeAnswer = 'accepts' | 'refuses' | 'silent';

export function probe(address: string, timeoutMs: number): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = connect(parseAddress(address));
    const end = (answer: ProbeAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end('silent'));
    socket.once('connect', () => end('accepts'));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'refuses' : 'silent'),
    );
  });
}
