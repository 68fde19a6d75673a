/**
 * What every command gets from its surroundings: where to print, the environment, and word that the user wants to stop.
 * The first Ctrl-C aborts `signal`, so that a command can clean up; the second one ends the process as usual.
 */
import { KwamError } from '../errors.ts';
import type { Output } from './terminal.ts';

export class Shell {
  readonly output: Output;
  readonly environment: NodeJS.ProcessEnv;
  exitCode = 0;
  #stopping: AbortController | undefined;

  constructor(output: Output, environment: NodeJS.ProcessEnv) {
    this.output = output;
    this.environment = environment;
  }

  /** Aborted by SIGINT or SIGTERM. Who never asks keeps the default behaviour of both. */
  get signal(): AbortSignal {
    if (this.#stopping === undefined) {
      const stopping = new AbortController();
      this.#stopping = stopping;
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.once(name, () => stopping.abort(new KwamError('CANCELLED', `cancelled by ${name}`)));
      }
    }
    return this.#stopping.signal;
  }

  /** Lines for people: progress, notes, warnings. */
  note(line: string): void {
    this.output.stderr.write(`${line}\n`);
  }
}
