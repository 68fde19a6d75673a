/**
 * The commands and how one of them is found.
 * In: arguments. Out: an exit code. Only the module of the command that was asked for is loaded, so that a light command
 * does not pay for a heavy one; the others are known here by name and summary.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT } from '../errors.ts';
import { packageRoot } from './package-root.ts';
import { Shell } from './shell.ts';
import type { Output } from './terminal.ts';

/** Adds arguments, options, help and action to its command. */
interface CommandModule {
  define(command: Command, shell: Shell): void;
}

interface Entry {
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

const OBJECTS = 'Objects:';
const INTEGRITY = 'Integrity:';
const CLUSTER = 'Cluster:';
const TRY = 'Try and measure:';
const LANGUAGE = 'Language:';
const TRUST = 'Trust:';

const COMMANDS: Readonly<Record<string, Entry>> = {
  demo: {
    group: TRY,
    summary: 'the main job end to end on this machine, faults included',
    load: () => import('./demo.ts'),
  },
  bench: {
    group: TRY,
    summary: 'measure kernels, ingest, transport and control store beside their peers',
    load: () => import('./bench.ts'),
  },
  dev: {
    group: CLUSTER,
    summary: 'start, stop and look at a development cluster on this machine',
    load: () => import('./dev.ts'),
  },
  serve: {
    group: CLUSTER,
    summary: 'run one node until it is told to stop',
    load: () => import('./serve.ts'),
  },
  identity: {
    group: CLUSTER,
    summary: 'make a development authority, issue and show SVIDs',
    load: () => import('./identity.ts'),
  },
  consent: {
    group: CLUSTER,
    summary: 'ask for consent to a rollout, sign it, and see what is missing',
    load: () => import('./consent.ts'),
  },
  check: {
    group: LANGUAGE,
    summary: 'refuse a program whose promises do not follow',
    load: () => import('./check.ts'),
  },
  plan: {
    group: LANGUAGE,
    summary: 'show what a program would place and run, and what that changes',
    load: () => import('./plan.ts'),
  },
  slo: {
    group: INTEGRITY,
    summary: 'what is left of each error budget; rules and dashboards to watch it',
    load: () => import('./slo.ts'),
  },
  explain: { group: LANGUAGE, summary: 'say why a diagnostic is given', load: () => import('./explain.ts') },
  fmt: { group: LANGUAGE, summary: 'put programs into the one style', load: () => import('./fmt.ts') },
  module: {
    group: LANGUAGE,
    summary: 'digest, sign, verify and pin the modules that programs import',
    load: () => import('./module.ts'),
  },
  lsp: {
    group: LANGUAGE,
    summary: 'serve editors: diagnostics, completion, rename, quick fixes',
    load: () => import('./lsp.ts'),
  },
  put: { group: OBJECTS, summary: 'store a file or a tree under a name', load: () => import('./put.ts') },
  get: { group: OBJECTS, summary: 'restore an object to a path', load: () => import('./get.ts') },
  ls: { group: OBJECTS, summary: 'list the objects', load: () => import('./ls.ts') },
  rm: { group: OBJECTS, summary: 'remove an object', load: () => import('./rm.ts') },
  verify: {
    group: INTEGRITY,
    summary: "read an object back and compare it with its producer's digests",
    load: () => import('./verify.ts'),
  },
  scrub: {
    group: INTEGRITY,
    summary: 'read every pack of every node and set corrupt ones aside',
    load: () => import('./scrub.ts'),
  },
  repair: { group: INTEGRITY, summary: 'restore lost copies and shards', load: () => import('./repair.ts') },
  drain: {
    group: CLUSTER,
    summary: 'empty a node, or take it back into service',
    load: () => import('./drain.ts'),
  },
  audit: {
    group: INTEGRITY,
    summary: 'verify the logs of what nodes have allowed and refused',
    load: () => import('./audit.ts'),
  },
  compact: {
    group: INTEGRITY,
    summary: 'give the space of removed objects back',
    load: () => import('./compact.ts'),
  },
  status: {
    group: INTEGRITY,
    summary: 'show the nodes and what they hold',
    load: () => import('./status.ts'),
  },
  image: {
    group: TRUST,
    summary: 'verify who released an image',
    load: () => import('./image.ts'),
  },
};

function versionOfPackage(): string {
  const text = readFileSync(`${packageRoot()}/package.json`, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function createRoot(output: Output): Command {
  const root = new Command('kwam-dp');
  root
    .description('Verified replication, repair and restore of checkpoints and code.')
    .version(versionOfPackage(), '--version', 'print the version')
    .helpOption('--help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void output.stdout.write(text),
      writeErr: (text) => void output.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'kwam-dp: ')),
    })
    .addHelpText(
      'after',
      `
Exit codes: 0 success, 1 the thing asked about is not so, 2 usage, 3 environment,
4 integrity violation, 5 refused by policy.

Start here:
  kwam-dp demo
  kwam-dp dev up --nodes 3 && kwam-dp put ./checkpoint && kwam-dp status`,
    );
  return root;
}

/** The command that the arguments are about; options before it are the root's. */
function wantedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}

export async function runProgram(args: readonly string[], output: Output): Promise<number> {
  const shell = new Shell(output, process.env);
  const root = createRoot(output);
  const wanted = wantedCommand(args);
  for (const [name, entry] of Object.entries(COMMANDS)) {
    const command = root.command(name).summary(entry.summary).helpGroup(entry.group);
    command.helpOption('--help', 'show this help').showHelpAfterError(`See kwam-dp ${name} --help.`);
    command.description(sentence(entry.summary));
    if (name === wanted) (await entry.load()).define(command, shell);
  }
  try {
    await root.parseAsync(args, { from: 'user' });
    return shell.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    throw error;
  } finally {
    shell.close();
  }
}

function sentence(summary: string): string {
  return `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
}
