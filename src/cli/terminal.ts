/**
 * What commands print: results on stdout, progress and errors on stderr.
 * Progress (bytes, rate, time left) is drawn on a terminal only; a pipe gets none. `--json` prints one document.
 */
import { KwamError } from '../errors.ts';
import { redacted } from '../secrets/redaction.ts';
import { showBytes, showSeconds } from './quantity.ts';

export interface Output {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
}

export function printJson(output: Output, schema: string, value: object): void {
  output.stdout.write(`${JSON.stringify({ schema, ...value }, undefined, 2)}\n`);
}

export function printLine(output: Output, line: string): void {
  output.stdout.write(`${line}\n`);
}

/** Results are coloured on a terminal, unless NO_COLOR (no-color.org) says otherwise; never in a pipe or a file. */
export function isColoured({ stdout }: Output, environment: NodeJS.ProcessEnv): boolean {
  return stdout.isTTY === true && (environment['NO_COLOR'] ?? '') === '';
}

/** Names may hold anything: one with unusual characters is quoted, so that it stays on its line and moves no cursor. */
export function showName(name: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(name) && !/["\\]/.test(name) ? name : JSON.stringify(name);
}

/** Columns aligned to their widest cell; numbers to the right. */
export function printTable(output: Output, rows: readonly (readonly (string | number)[])[]): void {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, String(cell).length);
  }
  for (const row of rows) {
    const cells = row.map((cell, i) =>
      typeof cell === 'number' ? String(cell).padStart(widths[i]!) : cell.padEnd(widths[i]!),
    );
    printLine(output, cells.join('  ').trimEnd());
  }
}

export function printError(output: Output, error: unknown): void {
  if (error instanceof KwamError) {
    output.stderr.write(`kwam-dp: ${redacted(error.message)}\n`);
    return;
  }
  // Not one of ours: a bug. The stack is what whoever reports it should send.
  const stack = (error as Error).stack ?? String(error);
  output.stderr.write(`kwam-dp: internal error, please report it\n${redacted(stack)}\n`);
}

export interface Progress {
  /** `total` 0 when it is not known yet. */
  update(what: string, done: number, total: number): void;
  end(): void;
}

const DRAW_EVERY_MS = 100;

export type ProgressUnit = 'bytes' | 'packs' | 'years';

export function startProgress(output: Output, unit: ProgressUnit = 'bytes'): Progress {
  if (output.stderr.isTTY !== true) return { update: () => undefined, end: () => undefined };
  const started = performance.now();
  let drawnAt = Number.NEGATIVE_INFINITY;
  return {
    update(what, done, total) {
      const now = performance.now();
      if (now - drawnAt < DRAW_EVERY_MS) return;
      drawnAt = now;
      const line = progressLine(what, unit, { done, total, seconds: (now - started) / 1000 });
      output.stderr.write(`\r\x1b[2K${line.slice(0, (output.stderr.columns || 80) - 1)}`);
    },
    end() {
      output.stderr.write('\r\x1b[2K');
    },
  };
}

interface Pace {
  readonly done: number;
  readonly total: number;
  readonly seconds: number;
}

function progressLine(what: string, unit: ProgressUnit, { done, total, seconds }: Pace): string {
  const show = unit === 'bytes' ? showBytes : (count: number) => `${Math.round(count)} ${unit}`;
  const rate = done / Math.max(seconds, 0.001);
  const parts = [what, show(done)];
  if (total > 0) parts.push(`of ${show(total)} (${Math.floor((100 * done) / total)} %)`);
  if (unit === 'bytes') parts.push(`${showBytes(rate)}/s`);
  if (total > done && rate > 0) parts.push(`${showSeconds((total - done) / rate)} left`);
  return parts.join('  ');
}
