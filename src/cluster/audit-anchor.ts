/**
 * Anchors: the newest durable record of each node's audit log, kept in the control store, out of reach of whoever can only write the log.
 * In: a log and the control store. Out: audit/<node> → {schema, seq, hash}; a log that is shorter than its anchor has lost its end, and one with
 * another record in its place was written anew from there on: its own chain can show neither. Whoever can write both can still forge both: copy
 * the log elsewhere where that matters.
 */
import { AUDIT_BEGINNING } from '../audit/audit-chain.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { AuditAnchor } from '../audit/audit-verify.ts';
import type { ControlStore } from '../control/control-store.ts';
import { KwamError } from '../errors.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';

const SCHEMA = 'kwam.audit-anchor/v1';

const anchorKey = (node: string): string => `audit/${node}`;

export async function readAnchor(control: ControlStore, node: string): Promise<AuditAnchor | undefined> {
  const entry = await control.get(anchorKey(node));
  if (entry === undefined) return undefined;
  const value = JSON.parse(Buffer.from(entry.value).toString('utf8')) as AuditAnchor & { schema: string };
  if (value.schema === SCHEMA) return { seq: value.seq, hash: value.hash };
  throw new KwamError(
    'INTEGRITY',
    `expected an anchor (${SCHEMA}) under ${anchorKey(node)}, got another document`,
  );
}

/** Tells the control store how far the log is durable. */
export async function writeAnchor(control: ControlStore, node: string, log: AuditLog): Promise<void> {
  const { seq, hash } = log.synced;
  const value = canonicalBytes({ schema: SCHEMA, seq, hash });
  await control.transact([], [{ kind: 'put', key: anchorKey(node), value }]);
}

/**
 * A node that found its log shorter than it had been, or rewritten, records that for good: the next anchor is of the log as it is.
 * Returns whether it did.
 */
export async function noteGap(
  control: ControlStore,
  node: string,
  log: Pick<AuditLog, 'found' | 'hashOf' | 'append'>,
): Promise<boolean> {
  const anchor = await readAnchor(control, node);
  if (anchor === undefined || anchor.seq === AUDIT_BEGINNING.seq) return false;
  if (log.hashOf(anchor.seq) === anchor.hash) return false;
  const kind = anchor.seq > log.found.seq ? 'gap' : 'altered';
  log.append({ kind, anchored: anchor.seq, hash: anchor.hash });
  return true;
}
