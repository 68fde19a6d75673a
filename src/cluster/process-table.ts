/**
 * The file that remembers which processes a development cluster consists of: D/processes.json.
 * In: names, pids and start times. Out: the same, after any crash either the old or the new list.
 * Holds: a pid is ours only together with its start time and this boot, so a recycled pid is never taken for ours.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { KwamError } from '../errors.ts';
import { canonicalJson } from '../manifest/canonical-json.ts';
import { pidSpace, processStartTicks } from './process-identity.ts';

export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks since boot (proc(5)); with `pidSpace` unique. */
  readonly startTicks: number;
  readonly pidSpace: string;
  readonly logFile: string;
  /** RFC 3339. */
  readonly startedAt: string;
}

interface ProcessFile {
  readonly schema: 'kwam.processes/v1';
  readonly processes: readonly ProcessRecord[];
}

export function processFile(directory: string): string {
  return path.join(directory, 'processes.json');
}

export function isRunning({ pid, startTicks, pidSpace: space }: ProcessRecord): boolean {
  return space === pidSpace() && processStartTicks(pid) === startTicks;
}

function isRecord(value: unknown): value is ProcessRecord {
  const record = value as Partial<Record<keyof ProcessRecord, unknown>> | null;
  return (
    typeof record === 'object' &&
    Number.isSafeInteger(record?.pid) &&
    (record?.pid as number) > 1 &&
    Number.isSafeInteger(record?.startTicks) &&
    (['name', 'pidSpace', 'logFile', 'startedAt'] as const).every((key) => typeof record?.[key] === 'string')
  );
}

export function readProcesses(directory: string): readonly ProcessRecord[] {
  const file = processFile(directory);
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(file, String(cause), cause);
  }
  try {
    const { schema, processes } = JSON.parse(text) as ProcessFile;
    if (schema === 'kwam.processes/v1' && Array.isArray(processes) && processes.every(isRecord))
      return processes;
  } catch (cause) {
    throw unreadable(file, 'something that is not JSON', cause);
  }
  throw unreadable(file, 'other fields');
}

function unreadable(file: string, found: string, cause?: unknown): KwamError {
  return new KwamError(
    'ENVIRONMENT',
    `expected the list of this cluster's processes in ${file}, got ${found}; stop its node processes by hand and remove the file`,
    { cause, context: { file } },
  );
}

/** Atomic and durable: written aside, synced, renamed. */
export function writeProcesses(directory: string, processes: readonly ProcessRecord[]): void {
  const file = processFile(directory);
  const aside = `${file}.${process.pid}.new`;
  const content: ProcessFile = { schema: 'kwam.processes/v1', processes };
  const fd = fs.openSync(aside, 'w');
  try {
    fs.writeSync(fd, `${canonicalJson(content)}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(aside, file);
}
