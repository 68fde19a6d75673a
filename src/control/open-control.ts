/**
 * Opens the control store that a cluster's directory belongs to.
 * In: the directory for control state (D/control) and, optionally, where else that state is. Out: the store and its name for people.
 *   sqlite         D/control/control.sqlite, the default
 *   etcd[s]://…    etcd-url.ts says how; noted in D/control/url, so that later commands find it without being told
 * Refuses to take a directory from one store to another: the packs in it would be unknown there, and would be removed as
 * orphans. Other addresses of the same etcd are fine. Does not move control state.
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

/** Throws USAGE for text that names no control store. */
export function checkControlUrl(url: string): string {
  if (url !== SQLITE) parseEtcdUrl(url);
  return url;
}

export async function openControl({ directory, url, clock }: OpenControlOptions): Promise<OpenedControl> {
  const noted = readNote(directory);
  const chosen = url ?? noted ?? SQLITE;
  const place = chosen === SQLITE ? undefined : parseEtcdUrl(chosen);
  refuseMove(directory, noted, place);
  if (place === undefined) return { store: EmbeddedControlStore.open({ directory, clock }), name: SQLITE };
  const note = formatEtcdUrl(place);
  if (note !== noted) writeNote(directory, note);
  // Its protocol code takes 80 ms to load, which commands of a cluster without etcd do not pay.
  const { EtcdControlStore } = await import('./etcd.ts');
  return { store: new EtcdControlStore({ ...place, clock }), name: note.split('?')[0]! };
}

function refuseMove(directory: string, noted: string | undefined, asked: EtcdPlace | undefined): void {
  const here = whereItIs(directory, noted);
  const there = asked === undefined ? SQLITE : `etcd, cluster ${asked.cluster}`;
  if (here === undefined || here === there) return;
  throw new KwamError(
    'USAGE',
    `expected the control store of ${directory} to stay what it is (${here}), got ${there}; what is stored here would be ` +
      'unknown there: leave --control and KWAM_CONTROL out, or choose another --dir',
    { context: { directory } },
  );
}

function whereItIs(directory: string, noted: string | undefined): string | undefined {
  if (noted !== undefined) return `etcd, cluster ${parseEtcdUrl(noted).cluster}`;
  return fs.existsSync(controlFile(directory)) ? SQLITE : undefined;
}

const noteFile = (directory: string): string => join(directory, 'url');

function readNote(directory: string): string | undefined {
  const file = noteFile(directory);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : undefined;
}

/** The nodes of one machine may start at the same time. */
function writeNote(directory: string, url: string): void {
  fs.mkdirSync(directory, { recursive: true });
  const aside = `${noteFile(directory)}.${process.pid}.new`;
  fs.writeFileSync(aside, `${url}\n`);
  fs.renameSync(aside, noteFile(directory));
}
