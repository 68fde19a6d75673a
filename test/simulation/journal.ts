/**
 * What happened in a simulated run, in order: its hash says whether two runs were the same, its last lines what led to a violation.
 * In: who, what. Out: SHA-256 over every line; the newest lines; faults by kind.
 */
import { createHash } from 'node:crypto';
import { type FaultKind, noFaults } from './faults.ts';

const LINES_KEPT = 400;

export class Journal {
  readonly #hash = createHash('sha256');
  readonly #root: string;
  readonly #nowMs: () => number;
  readonly #lines: string[] = [];
  readonly faults = noFaults();
  readonly #onLine: ((line: string) => void) | undefined;
  events = 0;

  /** @param root  a directory whose name differs from run to run. */
  constructor(root: string, nowMs: () => number, onLine?: (line: string) => void) {
    this.#root = root;
    this.#nowMs = nowMs;
    this.#onLine = onLine;
  }

  /** @param isDetail  counted in the hash, not kept as a line. */
  note(who: string, what: string, isDetail = false): void {
    const line = `${this.#nowMs()} ${who} ${what.replaceAll(this.#root, '')}`;
    this.events++;
    this.#hash.update(`${line}\n`);
    if (isDetail) return;
    this.#onLine?.(line);
    this.#lines.push(line);
    if (this.#lines.length > 2 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT);
  }

  fault(kind: FaultKind, who: string, detail = ''): void {
    this.faults[kind]++;
    this.note(who, `fault ${kind} ${detail}`);
  }

  /** One of those that strike all the time: in the count, not in what happened. */
  tally(kind: FaultKind): void {
    this.faults[kind]++;
  }

  get recent(): readonly string[] {
    return this.#lines.slice(-LINES_KEPT);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
