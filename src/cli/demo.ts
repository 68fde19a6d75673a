/**
 * demo: the main job end to end on this machine, with a lost node and corrupted disks in the middle of it.
 * In: a tree. Out: a table or a document, and exit 0 only if nothing was silently wrong and the tree came back identical.
 * What it reports about bytes it has seen itself (compare-trees.ts, demo-damage.ts); the nodes' word is not enough.
 * Everything happens in a temporary directory, which goes with its processes, however the demo ends, unless --keep.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import { MIB } from '../limits.ts';
import type { PutResult } from '../pipeline/ingest.ts';
import type { RestoreResult } from '../pipeline/restore.ts';
import type { Plan } from '../plan.ts';
import { type Cluster, withCluster } from './cluster-client.ts';
import { bytesOf, changesBetween, compareTrees, listTree, type Tree } from './compare-trees.ts';
import {
  type Audit,
  auditPacks,
  fullestOf,
  type Injection,
  injectCorruption,
  isSetAside,
  packsOf,
} from './demo-damage.ts';
import { DevCluster, type DevNode } from './dev-cluster.ts';
import { packageRoot } from './package-root.ts';
import { counted, parseCount, showBytes, showSeconds } from './quantity.ts';
import { repairAll } from './repair.ts';
import { scrubAll } from './scrub.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable, startProgress } from './terminal.ts';

interface DemoOptions {
  readonly keep?: boolean;
  readonly json?: boolean;
  readonly nodes: number;
}

export interface DemoReport {
  readonly files: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly dedupRatio: number;
  readonly putSeconds: number;
  readonly nodes: number;
  readonly killed: string;
  /** Copies that repair made, of the dead node's packs and of the corrupt ones. */
  readonly copiesRestored: number;
  readonly injected: number;
  readonly detected: number;
  readonly repaired: number;
  /** Bytes restored or records served that are wrong though nothing said so, and injections that scrub did not find. */
  readonly silent: number;
  readonly identical: boolean;
  readonly differences: readonly string[];
}

const NODES_DEFAULT = 6;
/** One dies and three copies of everything must still fit on different nodes. */
const NODES_MIN = 4;
const OBJECT = 'demo';
/** Its own, whatever KWAM_CONTROL says. */
const CONTROL = 'sqlite';
/** Small trees get small packs, so that several lie on each node; large ones the default. */
const PACKS_WANTED = 12;
const PACK_BYTES_MIN = 1 * MIB;
/** Copies, the restored tree, and room for packs on their way. */
const DISK_FACTOR = 5;
const DIFFERENCES_SHOWN_MAX = 20;
/** `sha256:` and 12 digits: enough to compare by eye. */
const DIGEST_SHOWN = 19;

export function define(command: Command, shell: Shell): void {
  command
    .argument('[path]', "a directory (default: this program's own node_modules)")
    .option('--nodes <count>', 'how many nodes to start', parseCount, NODES_DEFAULT)
    .option('--keep', 'leave the cluster running and its directory in place')
    .option('--json', 'print one JSON document (kwam.demo/v1)')
    .addHelpText(
      'after',
      `
Starts a cluster of real processes in a temporary directory from the example program,
puts the tree, kills a node, flips bytes on the disks of two others, scrubs, repairs,
restores the tree on a node that held nothing, and compares it byte for byte with the
source. Needs about ${DISK_FACTOR} times the tree in free disk space. Exit code 0 only when nothing
was silently wrong and the trees are identical, 4 otherwise.

Examples:
  kwam-dp demo
  kwam-dp demo ./checkpoints --nodes 8 --keep`,
    )
    .action((path: string | undefined, options: DemoOptions) => demo(shell, path, options));
}

async function demo(shell: Shell, path: string | undefined, options: DemoOptions): Promise<void> {
  if (options.nodes < NODES_MIN) {
    throw new KwamError(
      'USAGE',
      `expected --nodes of at least ${NODES_MIN}: three copies after one node died, got ${options.nodes}`,
    );
  }
  const source = path === undefined ? ownPackages() : resolve(path);
  const before = readSource(source);
  const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-demo-'));
  requireSpace(directory, bytesOf(before));
  const { signal } = shell;
  const release = shell.holdSignals('stopping the nodes; this takes a moment');
  const run = new Demo(shell, source, before, directory);
  try {
    const report = await run.all(options.nodes, signal);
    if (!report.identical || report.silent > 0) shell.exitCode = EXIT.integrity;
    show(shell, options, report);
  } finally {
    if (options.keep) sayKept(shell, directory);
    else await run.remove();
    release();
  }
}

/** Where this program's packages are: its own, or the ones it is installed among. */
function ownPackages(): string {
  const candidates = [join(packageRoot(), 'node_modules')];
  for (let at = packageRoot(); dirname(at) !== at; at = dirname(at)) {
    if (basename(at) === 'node_modules') candidates.push(at);
  }
  const found = candidates.find((one) => fs.existsSync(one));
  if (found !== undefined) return found;
  throw new KwamError('USAGE', `expected ${candidates[0]} as the default tree, found none; give a path`);
}

function readSource(source: string): Tree {
  try {
    if (fs.statSync(source).isDirectory()) return listTree(source);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new KwamError('USAGE', `expected a readable directory at ${source}, got ${code}`, { cause });
  }
  throw new KwamError('USAGE', `expected a directory at ${source}, got a file`);
}

function requireSpace(directory: string, bytes: number): void {
  const { bavail, bsize } = fs.statfsSync(directory);
  if (bavail * bsize >= DISK_FACTOR * bytes) return;
  fs.rmSync(directory, { recursive: true });
  throw new KwamError(
    'ENVIRONMENT',
    `expected ${showBytes(DISK_FACTOR * bytes)} free in ${dirname(directory)}, got ${showBytes(bavail * bsize)}; ` +
      'free some, set TMPDIR to a larger disk, or give a smaller tree',
  );
}

class Demo {
  readonly #shell: Shell;
  readonly #source: string;
  readonly #before: Tree;
  readonly #directory: string;
  readonly #dev: DevCluster;
  #step = 0;

  constructor(shell: Shell, source: string, before: Tree, directory: string) {
    this.#shell = shell;
    this.#source = source;
    this.#before = before;
    this.#directory = directory;
    this.#dev = new DevCluster(join(directory, 'cluster'), (line) => shell.note(`kwam-dp: ${line}`), CONTROL);
  }

  async all(nodes: number, signal: AbortSignal): Promise<DemoReport> {
    await this.#do(`start ${nodes} nodes from the program examples/h100.kwam`, () => this.#start(nodes));
    const size = `${counted(this.#before.size, 'entry', 'entries')}, ${showBytes(bytesOf(this.#before))}`;
    const put = await this.#do(`put ${this.#source} (${size})`, () => this.#put());
    const dead = fullestOf(this.#dev.nodes());
    await this.#do(`kill ${dead.name}, which holds ${counted(packsOf(dead).length, 'pack')}`, () =>
      this.#dev.kill(dead.name),
    );
    const injections = await this.#do('flip bytes on the disks of two others', () => this.#corrupt());
    const scrub = await this.#do('scrub', () => this.#ask((cluster) => scrubAll(cluster, true)));
    const detected = injections.filter(isSetAside).length;
    this.#say(
      `${counted(scrub.corrupt, 'corrupt record')}, ${counted(scrub.quarantined, 'pack')} quarantined`,
    );
    const repair = await this.#do('repair', () => this.#ask(repairAll));
    const audit = await this.#do('hash every stored record again', () => this.#audit(signal));
    const fresh = await this.#do('start a fresh node', () => this.#dev.add());
    const restored = join(this.#directory, 'restored');
    await this.#do(`get on ${fresh}, which holds nothing`, () => this.#get(fresh, restored));
    const comparison = await this.#do('compare byte for byte', () => this.#compare(restored, signal));
    const { differences, differingBytes } = comparison;
    return {
      files: put.files,
      bytes: put.bytes,
      chunks: put.chunks,
      dedupRatio: put.bytes / Math.max(1, put.newBytes),
      putSeconds: put.seconds,
      nodes,
      killed: dead.name,
      copiesRestored: repair.repaired,
      injected: injections.length,
      detected,
      repaired: repair.remaining === 0 ? countRepaired(injections, audit, this.#dev.plan()) : 0,
      silent: injections.length - detected + audit.badRecords + differingBytes,
      identical: differences.length === 0,
      differences: differences.slice(0, DIFFERENCES_SHOWN_MAX),
    };
  }

  async #start(nodes: number): Promise<void> {
    const { devPlan, exampleProgram } = await import('./dev-program.ts');
    const { file, plan, inventory } = await devPlan(this.#shell, exampleProgram(), { nodes });
    this.#say(`it means ${plan.program.digest.slice(0, DIGEST_SHOWN)}…`);
    const wanted = Math.ceil(bytesOf(this.#before) / PACKS_WANTED);
    const packBytesTarget = Math.min(plan.replicate.packBytesTarget, Math.max(PACK_BYTES_MIN, wanted));
    const replicate = { ...plan.replicate, packBytesTarget };
    await this.#dev.createAndUp({ file, plan: { ...plan, replicate }, inventory });
  }

  async #put(): Promise<PutResult> {
    const result = await this.#ask((cluster) =>
      cluster.askOne<PutResult>('object.put', { path: this.#source, name: OBJECT }),
    );
    const [first] = result.problems;
    if (first === undefined) return result;
    this.#refuseChanged();
    throw new KwamError(
      'ENVIRONMENT',
      `expected a tree that can be read, got ${counted(result.problems.length, 'problem')}, first ${first.path}: ` +
        `${first.reason} (${first.detail}); give another path`,
    );
  }

  async #corrupt(): Promise<Injection[]> {
    const injections = injectCorruption(this.#running());
    const packs = new Set(injections.map(({ node, pack }) => `${node} ${pack}`)).size;
    const nodes = [...new Set(injections.map(({ node }) => node))].join(' and ');
    this.#say(`${counted(injections.length, 'byte')} in ${counted(packs, 'pack')} of ${nodes}`);
    return injections;
  }

  async #get(node: string, destination: string): Promise<RestoreResult> {
    const held = packsOf(this.#running().find(({ name }) => name === node)!).length;
    if (held > 0) throw new KwamError('INTERNAL', `expected ${node} to hold nothing, found ${held} packs`);
    return this.#ask((cluster) => cluster.askOne('object.get', { name: OBJECT, destination }), node);
  }

  async #audit(signal: AbortSignal): Promise<Audit> {
    return this.#drawn('hash', (onBytes) => auditPacks(this.#running(), onBytes, signal));
  }

  async #compare(restored: string, signal: AbortSignal) {
    const comparison = await this.#drawn('compare', (onBytes) =>
      compareTrees(this.#source, restored, onBytes, signal),
    );
    if (comparison.differences.length > 0) this.#refuseChanged();
    return comparison;
  }

  /** Differences would then be the source's own doing. */
  #refuseChanged(): void {
    const changed = changesBetween(this.#before, listTree(this.#source));
    if (changed.length === 0) return;
    throw new KwamError(
      'ENVIRONMENT',
      `expected the source to hold still during the demo, but ${counted(changed.length, 'entry', 'entries')} changed, ` +
        `first ${changed.slice(0, 3).join(', ')}; run it again on a tree that nobody writes to`,
    );
  }

  async #drawn<T>(what: string, act: (onBytes: (bytesDone: number) => void) => Promise<T>): Promise<T> {
    const progress = startProgress(this.#shell.output);
    try {
      return await act((bytesDone) => progress.update(what, bytesDone, 0));
    } finally {
      progress.end();
    }
  }

  #running(): DevNode[] {
    return this.#dev.nodes().filter(({ state }) => state === 'running');
  }

  #ask<T>(use: (cluster: Cluster) => Promise<T>, node?: string): Promise<T> {
    return withCluster(
      this.#shell,
      { dir: this.#dev.directory, control: CONTROL, ...(node && { node }) },
      use,
    );
  }

  async #do<T>(what: string, act: () => Promise<T>): Promise<T> {
    this.#shell.signal.throwIfAborted();
    this.#shell.note(`${++this.#step}. ${what}`);
    const started = performance.now();
    const result = await act();
    this.#say(showSeconds((performance.now() - started) / 1000));
    return result;
  }

  #say(line: string): void {
    this.#shell.note(`   ${line}`);
  }

  /** Stops what runs, whatever happened before, and leaves nothing behind. */
  async remove(): Promise<void> {
    if (this.#dev.exists) await this.#dev.down();
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** An injection is repaired when its pack has as many intact files as the plan asks for. */
function countRepaired(injections: readonly Injection[], audit: Audit, plan: Plan): number {
  return injections.filter(({ pack }) => (audit.intact.get(pack) ?? 0) >= plan.replicate.factor).length;
}

function sayKept(shell: Shell, directory: string): void {
  const dir = join(directory, 'cluster');
  shell.note(`kept: ${directory}`);
  shell.note(`  look at it: kwam-dp status --dir ${dir}; kwam-dp ls --dir ${dir}`);
  shell.note(`  remove it:  kwam-dp dev down --dir ${dir} && rm -r ${directory}`);
}

function show(shell: Shell, options: DemoOptions, report: DemoReport): void {
  if (options.json) {
    printJson(shell.output, 'kwam.demo/v1', report);
    return;
  }
  printTable(shell.output, [
    ['files', report.files],
    ['bytes', showBytes(report.bytes)],
    ['chunks', report.chunks],
    ['dedup ratio', report.dedupRatio.toFixed(3)],
    ['put', `${showSeconds(report.putSeconds)}, ${showBytes(report.bytes / report.putSeconds)}/s`],
    ['node killed', report.killed],
    ['copies restored', report.copiesRestored],
    ['corruptions injected', report.injected],
    ['  detected', report.detected],
    ['  repaired', report.repaired],
    ['  silent', report.silent],
    ['identical', report.identical ? 'yes' : 'NO'],
  ]);
  for (const line of report.differences) printLine(shell.output, `differs: ${line}`);
}
