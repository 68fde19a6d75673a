/**
 * Opens the control store that a cluster's directory belongs to.
 * In: the directory for control state (D/control) and, optionally, where else that state is. Out: the store and its name for people.
 *   sqlite         D/control/control.sqlite, the default
 *   etcd[s]://…    etcd-url.ts says how; noted in D/control/etcd.json, so that later commands find it without being told
 * Refuses to take a directory from one store to another, and an etcd that is not the one noted, emptied or restored to before the
 * note included: the packs here would be unknown there and be removed as orphans. Other addresses of the same etcd are fine.
 * Does not move control state.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import type { ControlStore } from './control-store.ts';
import { controlFile, EmbeddedControlStore } from './embedded.ts';
import { type EtcdPlace, formatEtcdUrl, parseEtcdUrl } from './etcd-url.ts';

export interface OpenControlOptions {
  readonly directory: string;
  /** Where the directory's note says, if left out. */
  readonly url?: string | undefined;
  readonly clock: Clock;
}

export interface OpenedControl {
  readonly store: ControlStore;
  /** Without the files of its TLS. */
  readonly name: string;
}

const SQLITE = 'sqlite';
/** A key of every etcd store: which one it is. */
const IDENTITY = 'identity';

/** Throws USAGE for text that names no control store. */
export function checkControlUrl(url: string): string {
  if (url !== SQLITE) parseEtcdUrl(url);
  return url;
}

export async function openControl(options: OpenControlOptions): Promise<OpenedControl> {
  const { directory, clock } = options;
  const note = readNote(directory);
  const url = options.url ?? note?.url ?? SQLITE;
  const place = url === SQLITE ? undefined : parseEtcdUrl(url);
  refuseMove(directory, note, place);
  if (place === undefined) return { store: EmbeddedControlStore.open({ directory, clock }), name: SQLITE };
  return openEtcd(directory, note, place, clock);
}

interface Note {
  readonly url: string;
  /** The value of the store's own key `identity`. */
  readonly identity: string;
}

async function openEtcd(
  directory: string,
  note: Note | undefined,
  place: EtcdPlace,
  clock: Clock,
): Promise<OpenedControl> {
  // Its protocol code takes 80 ms to load, which commands of a cluster without etcd do not pay.
  const { EtcdControlStore } = await import('./etcd.ts');
  const store = new EtcdControlStore({ ...place, clock });
  try {
    const url = formatEtcdUrl(place);
    const identity = await identityOf(store, note, url);
    if (note?.url !== url) writeNote(directory, { url, identity });
    return { store, name: url.split('?')[0]! };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Whoever comes first to a new store names it. */
async function identityOf(store: ControlStore, note: Note | undefined, url: string): Promise<string> {
  const found = (await store.get(IDENTITY))?.value;
  const identity = found && new TextDecoder().decode(found);
  if (note === undefined) {
    if (identity !== undefined) return identity;
    const name = Buffer.from(systemRandom.fill(new Uint8Array(16))).toString('hex');
    const value = Buffer.from(name);
    await store.transact([{ key: IDENTITY, modRevision: 0 }], [{ kind: 'put', key: IDENTITY, value }]);
    return identityOf(store, note, url);
  }
  if (identity === note.identity) return identity;
  throw new KwamError(
    'INTEGRITY',
    `expected the control store ${note.identity}, which knows the packs here, at ${url.split('?')[0]}, got ` +
      `${identity ?? 'an empty one'}; point --control at the right etcd, or restore it from its snapshot`,
  );
}

function refuseMove(directory: string, note: Note | undefined, asked: EtcdPlace | undefined): void {
  const here = whereItIs(directory, note);
  const there = asked === undefined ? SQLITE : `etcd, cluster ${asked.cluster}`;
  if (here === undefined || here === there) return;
  throw new KwamError(
    'USAGE',
    `expected the control store of ${directory} to stay what it is (${here}), got ${there}; what is stored here would be ` +
      'unknown there: leave --control and KWAM_CONTROL out, or choose another --dir',
    { context: { directory } },
  );
}

function whereItIs(directory: string, note: Note | undefined): string | undefined {
  if (note !== undefined) return `etcd, cluster ${parseEtcdUrl(note.url).cluster}`;
  return fs.existsSync(controlFile(directory)) ? SQLITE : undefined;
}

const noteFile = (directory: string): string => join(directory, 'etcd.json');

function readNote(directory: string): Note | undefined {
  const file = noteFile(directory);
  if (!fs.existsSync(file)) return undefined;
  const text = fs.readFileSync(file, 'utf8');
  try {
    const note = JSON.parse(text) as Partial<Note>;
    if (typeof note.url === 'string' && typeof note.identity === 'string') return note as Note;
  } catch (cause) {
    throw unreadable(file, cause);
  }
  throw unreadable(file);
}

function unreadable(file: string, cause?: unknown): KwamError {
  return new KwamError(
    'INTEGRITY',
    `expected ${file} to name the etcd of this cluster, got something else; write {"url": "etcd://…", "identity": "…"} as on another node`,
    { cause },
  );
}

/** The nodes of one machine may start at the same time. */
function writeNote(directory: string, note: Note): void {
  fs.mkdirSync(directory, { recursive: true });
  const aside = `${noteFile(directory)}.${process.pid}.new`;
  fs.writeFileSync(aside, `${JSON.stringify({ schema: 'kwam.control/v1', ...note })}\n`);
  fs.renameSync(aside, noteFile(directory));
}
