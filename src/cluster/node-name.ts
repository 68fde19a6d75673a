/** What a node may be called. */
import { KwamError } from '../errors.ts';

/** Lies among the nodes' names in the control store, so no node may have it. */
export const epochName = 'epoch';

/** As a DNS label, since the node's SVID carries a DNS name made from it. */
const nodeName = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function checkNodeName(name: string): void {
  if (nodeName.test(name) && name !== epochName) return;
  throw new KwamError(
    'USAGE',
    `expected a node name of 1 to 63 lower-case letters, digits and inner hyphens other than "${epochName}", got ${JSON.stringify(name)}`,
  );
}
