/**
 * Opens the control store that a cluster's directory belongs to.
 * In: the directory for control state (D/control) and, optionally, where else that state is. Out: the store and its name for people.
 *   sqlite         D/control/control.sqlite, the default
 *   etcd[s]://…    etcd-url.ts says how; noted in D/control/etcd.json, so that later commands find it without being told
 * Refuses to take a directory from one store to another. Other addresses of the same etcd are fine. Whether what is found there knows the
 * packs here is each node's affair (replication/lineage.ts). Does not move control state.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
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
/** Reading it shows that an etcd answers, before it is noted. */
const ANY_KEY = 'identity';

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
}

async function openEtcd(
  directory: string,
  note: Note | undefined,
  place: EtcdPlace,
  clock: Clock,
): Promise<OpenedControl> {
  // Its protocol code takes 80 ms to load, which commands of a cluster without etcd do not pay.
  const { EtcdControlStore } = await import('./etcd.ts');
  const url = formatEtcdUrl(place);
  const store = new EtcdControlStore({ ...place, clock });
  try {
    await store.get(ANY_KEY);
    if (note?.url !== url) writeNote(directory, { url });
    return { store, name: url.split('?')[0]! };
  } catch (error) {
    await store.close();
    throw error;
  }
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
    if (typeof note.url === 'string') return { url: note.url };
  } catch (cause) {
    throw unreadable(file, cause);
  }
  throw unreadable(file);
}

function unreadable(file: string, cause?: unknown): KwamError {
  return new KwamError(
    'INTEGRITY',
    `expected ${file} to name the etcd of this cluster, got something else; write {"url": "etcd://…"} as on another node`,
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
