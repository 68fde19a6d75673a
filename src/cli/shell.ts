/**
 * What every command gets from its surroundings: where to print, the environment, and word that the user wants to stop.
 * The first Ctrl-C aborts `signal`, so that a command can clean up; the second one ends the process as usual.
 */
import { KwamError } from '../errors.ts';
import { redacted } from '../secrets/redaction.ts';
import type { Output } from './terminal.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Shell {
  readonly output: Output;
  readonly environment: NodeJS.ProcessEnv;
  exitCode = 0;
  #stopping: AbortController | undefined;
  readonly #releases: (() => void)[] = [];

  constructor(output: Output, environment: NodeJS.ProcessEnv) {
    this.output = output;
    this.environment = environment;
  }

  /** Aborted by SIGINT, SIGTERM or SIGHUP. Who never asks keeps their default behaviour. */
  get signal(): AbortSignal {
    if (this.#stopping === undefined) {
      const stopping = new AbortController();
      this.#stopping = stopping;
      for (const name of STOP_SIGNALS) {
        const stop = (): void => stopping.abort(new KwamError('CANCELLED', `cancelled by ${name}`));
        process.once(name, stop);
        this.#releases.push(() => process.off(name, stop));
      }
    }
    return this.#stopping.signal;
  }

  /** While there is something to clean up, another Ctrl-C must not cut it short. Returns how to end that. */
  holdSignals(why: string): () => void {
    const say = (): void => this.note(`kwam-dp: ${why}`);
    for (const name of STOP_SIGNALS) process.on(name, say);
    return () => {
      for (const name of STOP_SIGNALS) process.off(name, say);
    };
  }

  /** Gives the signals back: the command is over. */
  close(): void {
    for (const release of this.#releases.splice(0)) release();
  }

  /** Lines for people: progress, notes, warnings. */
  note(line: string): void {
    this.output.stderr.write(`${redacted(line)}\n`);
  }
}
