/**
 * Paths that a node opens on its own machine: they mean something only when that machine is ours.
 */
import { KwamError } from '../errors.ts';
import { parseAddress } from '../transport/address.ts';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i;

/** @throws KwamError USAGE  `address`, given by --connect, is another machine's. */
export function requireLocal(command: string, address: string | undefined): void {
  if (address === undefined || LOOPBACK.test(parseAddress(address).host)) return;
  throw new KwamError(
    'USAGE',
    `expected ${command} to go to a sidecar on this machine, got ${address}: the node opens the path on its own disk; ` +
      `run it there, or against the local sidecar with --dir or --connect 127.0.0.1:PORT`,
    { context: { address } },
  );
}
