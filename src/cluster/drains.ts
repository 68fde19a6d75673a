/**
 * Nodes that are being emptied: they get no new packs and what they hold counts as missing, while it is still served.
 * In: a control store. Out: drains/<node> → who began it, when and why; kept after its end, because the node learns from it that the damage up
 * to then is answered for. Every change also writes drains/epoch, so that two nodes that drain themselves at once see each other.
 * Decides nothing, except that it holds a node back where too few others would be left.
 */
import type { ControlEntry, ControlStore } from '../control/control-store.ts';
import { KwamError } from '../errors.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import { checkNodeName, epochName } from './node-name.ts';

export interface Drain {
  readonly schema: 'kwam.drain/v1';
  readonly node: string;
  /** The guard's rule about storage, or the SPIFFE ID of whoever asked for it. */
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly since: string;
  /** RFC 3339; absent while it goes on. */
  readonly endedAt?: string;
}

export const DRAINS = 'drains/';
const EPOCH = DRAINS + epochName;
const keyOf = (node: string): string => DRAINS + node;

/** Every lost race is another drain's beginning or end. */
const ATTEMPTS_MAX = 16;

export function decodeDrain({ key, value }: Pick<ControlEntry, 'key' | 'value'>): Drain | undefined {
  if (key === EPOCH) return undefined;
  const parsed = JSON.parse(new TextDecoder().decode(value)) as Drain;
  if (parsed.schema === 'kwam.drain/v1' && keyOf(parsed.node) === key) return parsed;
  throw new KwamError(
    'INTEGRITY',
    `expected a drain (kwam.drain/v1) under ${key}, got another document; remove that key`,
    {
      context: { key },
    },
  );
}

/**
 * @param mayBegin  asked with the nodes that are being drained now; false leaves everything as it is.
 * @returns whether the node is being drained now.
 */
export async function beginDrain(
  control: ControlStore,
  drain: Omit<Drain, 'schema' | 'endedAt'>,
  mayBegin: (draining: ReadonlySet<string>) => boolean = () => true,
): Promise<boolean> {
  checkNodeName(drain.node);
  return change(control, drain.node, (now, draining) => {
    if (now !== undefined && now.endedAt === undefined) return true;
    return mayBegin(draining) && { schema: 'kwam.drain/v1', ...drain };
  });
}

/** @returns false when the node was not being drained. */
export async function endDrain(control: ControlStore, node: string, endedAt: string): Promise<boolean> {
  checkNodeName(node);
  return change(
    control,
    node,
    (now) => now !== undefined && now.endedAt === undefined && { ...now, endedAt },
  );
}

/** @param next  what to write, or the answer when nothing is to be written. */
async function change(
  control: ControlStore,
  node: string,
  next: (now: Drain | undefined, draining: ReadonlySet<string>) => Drain | boolean,
): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const epoch = (await control.get(EPOCH))?.modRevision ?? 0;
    const drains = (await control.list(DRAINS)).flatMap((entry) => decodeDrain(entry) ?? []);
    const draining = drains.filter(({ endedAt }) => endedAt === undefined).map((one) => one.node);
    const wanted = next(
      drains.find((one) => one.node === node),
      new Set(draining),
    );
    if (typeof wanted === 'boolean') return wanted;
    const { committed } = await control.transact(
      [{ key: EPOCH, modRevision: epoch }],
      [
        { kind: 'put', key: keyOf(node), value: canonicalBytes(wanted) },
        { kind: 'put', key: EPOCH, value: canonicalBytes(draining.length) },
      ],
    );
    if (committed) return true;
  }
  throw new KwamError(
    'UNAVAILABLE',
    `expected to note the drain of ${node}, others changed drains meanwhile; try again`,
    {
      retryable: true,
    },
  );
}
