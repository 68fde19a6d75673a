/**
 * A copy of the repository in which a mutant is tried: the working tree itself is never changed.
 * In: a mutant of a source. Out: whether the tests noticed. The packages are shared by a link; everything else is copied.
 * A run is a process of its own, whose group is killed when it takes too long, with everything that it started.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyMutant, type Mutant } from './mutants.ts';

export type Verdict = 'killed' | 'survived' | 'timeout';

export interface Outcome {
  readonly verdict: Verdict;
  /** The test file that noticed. */
  readonly by?: string;
  readonly output: string;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NOT_COPIED = new Set(['node_modules', '.git', '.kwam', 'dist']);
/** The slowest stage takes 30 s on an idle machine; a mutant that waits for ever should not cost more than a few of them. */
const stageMsMax = 180_000;

export class Scratch {
  readonly #directory: string;
  /** The process group of the run in progress. */
  #running: number | undefined;

  constructor() {
    this.#directory = fs.mkdtempSync(join(tmpdir(), 'kwam-mutation-'));
    for (const name of fs.readdirSync(ROOT)) {
      if (!NOT_COPIED.has(name))
        fs.cpSync(join(ROOT, name), join(this.#directory, name), { recursive: true });
    }
    fs.symlinkSync(join(ROOT, 'node_modules'), join(this.#directory, 'node_modules'));
  }

  /** Runs stage after stage until one is red. The source is whole again afterwards. */
  async try(source: string, mutant: Mutant, stages: readonly (readonly string[])[]): Promise<Outcome> {
    const path = join(this.#directory, source);
    const text = fs.readFileSync(path, 'utf8');
    fs.writeFileSync(path, applyMutant(text, mutant));
    try {
      let outcome: Outcome = { verdict: 'survived', output: '' };
      for (const tests of stages) {
        outcome = await this.#run(tests);
        if (outcome.verdict !== 'survived') break;
      }
      return outcome;
    } finally {
      fs.writeFileSync(path, text);
    }
  }

  #run(tests: readonly string[]): Promise<Outcome> {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const child = spawn(process.execPath, [vitest, 'run', '--bail=1', '--maxWorkers=1', ...tests], {
      cwd: this.#directory,
      detached: true,
      env: { ...process.env, NO_COLOR: '1' },
    });
    this.#running = child.pid;
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        process.kill(-child.pid!, 'SIGKILL');
      }, stageMsMax);
      child.on('error', reject);
      child.on('close', (status) => {
        clearTimeout(timer);
        this.#running = undefined;
        const by = /FAIL\s+(\S+\.test\.ts)/.exec(output)?.[1];
        const verdict = late ? 'timeout' : status === 0 ? 'survived' : 'killed';
        resolve({ verdict, output, ...(by === undefined ? {} : { by }) });
      });
    });
  }

  /** A run in progress is ended. */
  remove(): void {
    if (this.#running !== undefined) process.kill(-this.#running, 'SIGKILL');
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}
