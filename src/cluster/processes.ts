/**
 * The processes of a development cluster: started so that they outlive the command, found again, and stopped, exactly those.
 * In: a directory and what to run. Out: running processes, each with a log file of its own, listed in D/processes.json.
 * Holds: a process is named in the list before it is waited for, so that a crash while waiting leaves none unknown; signals
 * go only to a pid whose start time is still the recorded one. Does not restart what dies and knows nothing of nodes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Clock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { pidSpace, processStartTicks } from './process-identity.ts';
import { isRunning, type ProcessRecord, readProcesses, writeProcesses } from './process-table.ts';

/** How a process shows that it is ready: a line in its log, a file it makes, or a URL that answers 2xx. */
export type ReadySign =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string };

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly ready: ReadySign;
}

export interface ProcessStatus extends ProcessRecord {
  readonly state: 'running' | 'dead';
}

export interface StartOptions {
  readonly clock: Clock;
  readonly readyMsMax?: number;
}

export interface StopOptions {
  readonly clock: Clock;
  /** How long a process may take to end after SIGTERM before SIGKILL. */
  readonly graceMs?: number;
}

/** A node opens its store and checks its workers; on a busy machine of two cores that took up to 5 s for ten of them. */
const readyMsDefault = 60_000;
const graceMsDefault = 10_000;
/** SIGKILL is not instantaneous: the kernel may have to finish a write first. */
const killMsMax = 10_000;
const pollMs = 20;
const logTailBytes = 4096;
const probeMsMax = 2000;

export function status(directory: string): ProcessStatus[] {
  return readProcesses(directory).map((one) => ({ ...one, state: isRunning(one) ? 'running' : 'dead' }));
}

/**
 * Starts all and returns when all are ready; when one fails, stops those that this call started.
 * Names that are in the list but dead are started again; processes of other names stay listed.
 * @throws KwamError ALREADY_EXISTS  one of the names is running.
 * @throws KwamError ENVIRONMENT     one could not be started, ended early or was not ready in time; with the end of its log.
 */
export async function start(
  directory: string,
  specs: readonly ProcessSpec[],
  options: StartOptions,
): Promise<ProcessStatus[]> {
  fs.mkdirSync(directory, { recursive: true });
  const names = new Set(specs.map(({ name }) => name));
  refuseRunning(directory, names);
  const started: ProcessRecord[] = [];
  try {
    for (const spec of specs) {
      started.push(await launch(spec, options.clock));
      const others = readProcesses(directory).filter(({ name }) => !started.some((one) => one.name === name));
      writeProcesses(directory, [...others, ...started]);
    }
    await Promise.all(specs.map((spec, i) => untilReady(spec, started[i]!, options)));
  } catch (error) {
    await end(directory, started, { clock: options.clock });
    throw error;
  }
  return status(directory).filter(({ name }) => names.has(name));
}

/** Stops the named processes of this list, or all; returns those that were running. The list keeps the others. */
export async function stop(
  directory: string,
  options: StopOptions & { readonly names?: readonly string[] },
): Promise<ProcessRecord[]> {
  const listed = readProcesses(directory);
  const unknown = options.names?.find((name) => !listed.some((one) => one.name === name));
  if (unknown !== undefined) {
    const known = listed.map(({ name }) => name).join(', ') || 'none';
    throw new KwamError('NOT_FOUND', `expected a process of this cluster (${known}), got ${unknown}`);
  }
  const chosen = listed.filter(({ name }) => options.names?.includes(name) ?? true);
  const running = chosen.filter(isRunning);
  await end(directory, chosen, options);
  return running;
}

/** At once, as a power cut would: for tests and demonstrations of loss. The process stays listed, as dead. */
export async function kill(directory: string, name: string, clock: Clock): Promise<void> {
  const found = readProcesses(directory).find((one) => one.name === name);
  if (found === undefined || !isRunning(found)) {
    throw new KwamError('NOT_FOUND', `expected process ${name} of this cluster to be running, it is not`);
  }
  signal(found, 'SIGKILL');
  await untilDead(found, killMsMax, clock);
}

function refuseRunning(directory: string, names: ReadonlySet<string>): void {
  const running = readProcesses(directory).filter((one) => names.has(one.name) && isRunning(one));
  if (running.length === 0) return;
  const list = running.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw new KwamError(
    'ALREADY_EXISTS',
    `expected no running cluster in ${directory}, got ${list}; use it as it is or stop it first`,
  );
}

async function launch(spec: ProcessSpec, clock: Clock): Promise<ProcessRecord> {
  fs.mkdirSync(path.dirname(spec.logFile), { recursive: true });
  const log = fs.openSync(spec.logFile, 'w');
  try {
    const child = spawn(spec.command, spec.args, {
      detached: true,
      env: { ...process.env, ...spec.env },
      stdio: ['ignore', log, log],
    });
    const pid = await spawned(spec, child);
    child.unref();
    return {
      name: spec.name,
      pid,
      // An ended process has no start time any more; 0 is never one, and waiting for it then reports its log.
      startTicks: processStartTicks(pid) ?? 0,
      pidSpace: pidSpace(),
      logFile: spec.logFile,
      startedAt: new Date(clock.now()).toISOString(),
    };
  } finally {
    fs.closeSync(log);
  }
}

function spawned(spec: ProcessSpec, child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid!));
    child.once('error', (cause) => {
      const message = `could not start ${spec.name} (${spec.command}): ${cause.message}; check that the program is there`;
      reject(new KwamError('ENVIRONMENT', message, { cause, context: { name: spec.name } }));
    });
  });
}

async function untilReady(spec: ProcessSpec, record: ProcessRecord, options: StartOptions): Promise<void> {
  const { clock } = options;
  const readyMsMax = options.readyMsMax ?? readyMsDefault;
  const deadline = clock.monotonic() + readyMsMax;
  for (;;) {
    // Looked at before the sign, so that a process that ends right after it is not called ready.
    const alive = isRunning(record);
    if (alive && (await isReady(spec))) return;
    if (!alive) throw notReady(spec, 'it ended');
    if (clock.monotonic() >= deadline) throw notReady(spec, `it was not within ${readyMsMax} ms`);
    await clock.sleep(pollMs);
  }
}

async function isReady({ ready, logFile }: ProcessSpec): Promise<boolean> {
  switch (ready.kind) {
    case 'line':
      return fs.readFileSync(logFile, 'utf8').split('\n').slice(0, -1).includes(ready.text);
    case 'file':
      return fs.existsSync(ready.path);
    case 'url':
      return answers(ready.url);
  }
}

/** A refused connection or a slow answer means "not yet"; the deadline decides when that becomes an error. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(probeMsMax) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

function notReady(spec: ProcessSpec, what: string): KwamError {
  const tail = logTail(spec.logFile);
  const end = tail === '' ? 'its log is empty' : `its log ends:\n${tail}`;
  return new KwamError(
    'ENVIRONMENT',
    `expected ${spec.name} to get ready, but ${what}; ${end}\n(see ${spec.logFile})`,
    { context: { name: spec.name, logFile: spec.logFile } },
  );
}

function logTail(file: string): string {
  const bytes = fs.readFileSync(file);
  return bytes
    .subarray(Math.max(0, bytes.length - logTailBytes))
    .toString('utf8')
    .trim();
}

async function end(directory: string, chosen: readonly ProcessRecord[], options: StopOptions): Promise<void> {
  const running = chosen.filter(isRunning);
  for (const one of running) signal(one, 'SIGTERM');
  await Promise.all(running.map((one) => ended(one, options)));
  const gone = new Set(chosen.map(({ name }) => name));
  writeProcesses(
    directory,
    readProcesses(directory).filter(({ name }) => !gone.has(name)),
  );
}

async function ended(record: ProcessRecord, { clock, graceMs }: StopOptions): Promise<void> {
  if (await diesWithin(record, graceMs ?? graceMsDefault, clock)) return;
  signal(record, 'SIGKILL');
  await untilDead(record, killMsMax, clock);
}

async function untilDead(record: ProcessRecord, ms: number, clock: Clock): Promise<void> {
  if (await diesWithin(record, ms, clock)) return;
  throw new KwamError(
    'ENVIRONMENT',
    `expected process ${record.pid} (${record.name}) to end after SIGKILL, it still runs after ${ms} ms; a disk may be stuck`,
  );
}

async function diesWithin(record: ProcessRecord, ms: number, clock: Clock): Promise<boolean> {
  const deadline = clock.monotonic() + ms;
  while (isRunning(record)) {
    if (clock.monotonic() >= deadline) return false;
    await clock.sleep(pollMs);
  }
  return true;
}

/** Only ever to the very process that was recorded. */
function signal(record: ProcessRecord, name: 'SIGTERM' | 'SIGKILL'): void {
  if (!isRunning(record)) return;
  try {
    process.kill(record.pid, name);
  } catch (error) {
    // It ended between the look and the signal, which is what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
