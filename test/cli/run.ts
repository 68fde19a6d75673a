/** Runs the real program as a process of its own, the way a user does. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { runProgram } from '../../src/cli/program.ts';
import type { Output } from '../../src/cli/terminal.ts';
import { main } from '../../src/main.ts';

export const PROGRAM = join(import.meta.dirname, '../../bin/kwam-dp.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when stderr has this text. */
  says(text: string): Promise<void>;
}

export function begin(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  const heard = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      for (const look of heard) look();
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...texts }));
  });
  const says = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (texts.stderr.includes(text)) resolve();
      };
      heard.add(look);
      look();
      void ended.then(() => reject(new Error(`ended without saying ${text}: ${texts.stderr}`)));
    });
  return { child, ended, says };
}

export const run = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> =>
  begin(args, env).ended;

/** A run that must succeed; its JSON document. */
export async function runJson<T>(args: readonly string[]): Promise<T & { readonly schema: string }> {
  const { code, stdout, stderr } = await mainHere([...args, '--json']);
  if (code !== 0) throw new Error(`kwam-dp ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Writes what is printed into `texts`. */
function caughtOutput(texts: { stdout: string; stderr: string }): Output {
  const sink = (name: keyof typeof texts): Output['stderr'] =>
    new Writable({
      decodeStrings: false,
      write(text: string, _encoding, done) {
        texts[name] += text;
        done();
      },
    });
  return { stdout: sink('stdout'), stderr: sink('stderr') };
}

/** The same program inside this process, with its output caught: starts a hundred times faster. Errors are thrown. */
export async function runHere(args: readonly string[]): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  return { code: await runProgram(args, caughtOutput(texts)), ...texts };
}

/** As `runHere`, with errors printed and turned into exit codes. */
export async function mainHere(args: readonly string[]): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  return { code: await main(['node', 'kwam-dp', ...args], caughtOutput(texts)), ...texts };
}

export function temporary(name: string): string {
  return fs.mkdtempSync(join(tmpdir(), `kwam-cli-${name}-`));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // An ended child of init in a container may stay a zombie for a while.
  return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
}
