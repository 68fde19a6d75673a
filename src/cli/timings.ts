/**
 * Where a command spends its time, stage by stage.
 * In: marks at the end of each stage. Out: a line for people. The first two stages are Node's start and the loading of this program's code.
 */
import { performance } from 'node:perf_hooks';

export class Timings {
  readonly #stages: [string, number][];
  #last: number;

  constructor() {
    const started = performance.nodeTiming.bootstrapComplete;
    this.#last = performance.now();
    this.#stages = [
      ['process start', started],
      ['load code', this.#last - started],
    ];
  }

  readonly mark = (stage: string): void => {
    const now = performance.now();
    this.#stages.push([stage, now - this.#last]);
    this.#last = now;
  };

  get line(): string {
    const shown = this.#stages.map(([stage, ms]) => `${stage} ${ms.toFixed(1)} ms`);
    return `timings: ${shown.join(', ')}; ${this.#last.toFixed(1)} ms in all`;
  }
}
