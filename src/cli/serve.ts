/**
 * serve PROGRAM|PLAN --node NAME: one node in this process, until SIGTERM or SIGINT. Logs are JSON lines on stderr.
 * The memory budget also bounds V8's heap, and diagnostic reports must not show the environment; both can only be said at start: a
 * process that was started without replaces itself once (execve keeps its pid, its parent and its files).
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { EXIT, exitCodeOf, KwamError } from '../errors.ts';
import { parseSpiffeId } from '../identity/spiffe-id.ts';
import type { RegistryOptions } from '../images/registry.ts';
import { MIB, nodeMemoryBytesDefault } from '../limits.ts';
import type { Plan } from '../plan.ts';
import { redacted } from '../secrets/redaction.ts';
import { memoryShares } from '../workers/memory-shares.ts';
import { clusterDirectory, controlUrl, identityPath, trustPath } from './cluster-directory.ts';
import { crashWithoutSecrets } from './crash.ts';
import { isPlanFile, readPlan } from './plan-file.ts';
import { parseBytes, parseDurationMs } from './quantity.ts';
import type { Shell } from './shell.ts';

interface ServeOptions {
  readonly node: string;
  readonly inventory?: string;
  readonly from?: string[];
  readonly dir?: string;
  readonly control?: string;
  readonly identity?: string;
  readonly registryCa?: string;
  readonly registryUsername?: string;
  readonly registryPassword?: string;
  readonly memory?: number;
  readonly readyFile?: string;
  readonly watch?: string;
  readonly watchQuiet: number;
  readonly watchRate: number;
  readonly logLevel: string;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument('<program>', 'a .kwam file, or a plan that was made of one, such as D/plan.json')
    .requiredOption('--node <name>', 'which of the nodes of the plan this one is')
    .option('--inventory <file>', 'the nodes that exist (kwam.inventory/v1); a plan has them in it')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--dir <directory>', 'directory of the cluster (default: $KWAM_DIR or ./.kwam)')
    .option(
      '--control <url>',
      'control store, for example etcd://host:2379 (default: $KWAM_CONTROL or D/control)',
    )
    .option(
      '--identity <source>',
      'the SVID: DIRECTORY/NAME, secret://… or unix:///SOCKET of a SPIFFE Workload API',
    )
    .option('--registry-ca <pem>', 'authorities of registries (default: those of the system)')
    .option('--registry-username <name>', 'who we are to registries; needs --registry-password')
    .option('--registry-password <secret>', 'secret://… with the password or token')
    .option(
      '--memory <size>',
      'memory that the whole process may use (default: as the plan says)',
      parseBytes,
    )
    .option('--watch <directory>', 'put every checkpoint that is complete under this directory')
    .addOption(
      new Option('--watch-quiet <duration>', 'unchanged for so long, a checkpoint is complete')
        .argParser(parseDurationMs)
        .default(QUIET_MS, '30s'),
    )
    .addOption(
      new Option('--watch-rate <size>', 'read at most so much a second for it')
        .argParser(parseBytes)
        .default(WATCH_BYTES_PER_SECOND, '200mb'),
    )
    .option('--ready-file <file>', 'a file that appears when the node is ready, with its addresses as JSON')
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .addHelpText(
      'after',
      `
The store lies in DIRECTORY/NAME. SIGTERM and SIGINT stop the node cleanly.

The SVID lies in DIRECTORY/identity/NAME.pem and .key; where there is none, the agent
at $SPIFFE_ENDPOINT_SOCKET is asked. It is renewed without a restart, under running
streams. Trusted are the authorities of the program's policy.ca, but where SVIDs are issued
(DIRECTORY/identity/ca.key) the one that does so.

Secrets: secret://vault/MOUNT/PATH[#FIELD][?version=N] (KV v2; VAULT_ADDR, VAULT_TOKEN or
VAULT_TOKEN_FILE, VAULT_CACERT), secret://openbao/..., secret://env/NAME,
secret://file/PATH. An SVID is one text with certificates and key in PEM.

Consent is redeemed only for an image that a key of the policy has signed with cosign. The
signature is read in DIRECTORY/images/CLIENT, an OCI layout, or else in the registry that
the program names for the client.

The control store of one machine is DIRECTORY/control (--control sqlite). Nodes on
several machines share an etcd, version 3.4 or later:
  etcd://HOST:PORT[,HOST:PORT...][/CLUSTER]
  etcds://...?cacert=FILE&cert=FILE&key=FILE   with TLS
Its keys lie under /kwam/CLUSTER/ ("default" if left out). DIRECTORY/control keeps
the choice, so that other commands with the same --dir find it.

With --watch, an entry of that directory is a checkpoint. It is complete when it was
renamed there, when it has a marker (.done, done or _SUCCESS in it, or NAME.done beside
it), or when nothing in it changed for the quiet time.

Examples:
  kwam-dp serve cluster.kwam --inventory fleet.json --dir /var/lib/kwam --node n0001
  kwam-dp serve ./cluster/plan.json --dir ./cluster --node n0001
  kwam-dp serve plan.json --node n0001 --control etcd://10.0.0.1,10.0.0.2,10.0.0.3/prod
  kwam-dp serve plan.json --node n0001 --identity unix:///run/spire/agent.sock
  kwam-dp serve plan.json --node n0002 --memory 512mb --watch /ckpt 2>n0002.log`,
    )
    .action((program: string, options: ServeOptions) => serve(shell, program, options));
}

/** A training job that pauses longer than this inside one checkpoint should use a marker or a rename. */
const QUIET_MS = 30_000;
/** A tenth of one NVMe disk: the job that wrote the checkpoint keeps the rest. */
const WATCH_BYTES_PER_SECOND = 200e6;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];

async function serve(shell: Shell, file: string, options: ServeOptions): Promise<void> {
  if (!LEVELS.includes(options.logLevel)) {
    throw new KwamError('USAGE', `expected --log-level ${LEVELS.join(', ')}, got ${options.logLevel}`);
  }
  const saved = isPlanFile(file) ? readPlan(file) : undefined;
  const memoryBytes = options.memory ?? saved?.memoryBytes ?? nodeMemoryBytesDefault;
  ensureFlags(memoryBytes);
  const plan = saved ?? (await planned(shell, file, options));
  const { signal } = shell;
  const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  crashWithoutSecrets();
  const keysBase = saved === undefined ? dirname(file) : trustPath(dirname(file));
  const node = await start(shell, { plan, keysBase }, options, memoryBytes);
  if (!signal.aborted) await stopped;
  if (options.readyFile !== undefined) fs.rmSync(options.readyFile, { force: true });
  await node.close();
}

async function planned(shell: Shell, file: string, options: ServeOptions): Promise<Plan> {
  const [{ planOf, readProgram, requirePlan }, { inventoryFor, readInventory }] = await Promise.all([
    import('./program-plan.ts'),
    import('./inventory-file.ts'),
  ]);
  const read = await readProgram(shell, file, options.from);
  const given = options.inventory === undefined ? undefined : readInventory(options.inventory);
  const inventory = inventoryFor(read.program, given);
  if (inventory !== undefined) return requirePlan(shell, read, planOf(read, inventory));
  throw new KwamError(
    'USAGE',
    `expected --inventory FILE with the nodes of ${file}, got none; serve a plan (kwam-dp plan ${file} --json) without it`,
  );
}

interface PlanFrom {
  readonly plan: Plan;
  /** What the paths of keys in the plan are relative to. */
  readonly keysBase: string;
}

async function start(shell: Shell, what: PlanFrom, options: ServeOptions, memoryBytes: number) {
  const [{ startNode }, { pino }] = await Promise.all([import('../node.ts'), import('pino')]);
  const settings = { level: options.logLevel, base: { node: options.node } };
  // Synchronous: the line that says why a node died must not be lost with it.
  const stderr = pino.destination({ dest: 2, sync: true });
  const log = pino(settings, { write: (line: string) => stderr.write(redacted(line)) });
  const directory = clusterDirectory(shell, options.dir);
  try {
    const watch = watchOf(options);
    const control = controlUrl(shell, options.control);
    const node = await startNode({
      ...what,
      identity: await identityOf(shell, what, options),
      name: options.node,
      directory,
      memoryBytes,
      registry: await registryOf(shell, options),
      ...watch,
      ...(control && { control }),
      log,
    });
    const { address, metricsAddress } = node;
    if (options.readyFile !== undefined) {
      announce(resolve(options.readyFile), { pid: process.pid, address, metricsAddress });
    }
    return node;
  } catch (error) {
    throw asStartFailure(error);
  }
}

async function identityOf(shell: Shell, { plan, keysBase }: PlanFrom, options: ServeOptions) {
  const { chooseIdentity } = await import('./choose-identity.ts');
  const name = options.node;
  const self = plan.nodes.find((node) => node.name === name);
  return chooseIdentity(shell, {
    from: options.identity,
    directory: identityPath(clusterDirectory(shell, options.dir)),
    name,
    ...(self === undefined ? {} : { expected: parseSpiffeId(self.spiffe) }),
    ...(plan.policy === undefined ? {} : { pinned: { base: keysBase, ca: plan.policy.ca } }),
  });
}

async function registryOf(shell: Shell, options: ServeOptions): Promise<RegistryOptions> {
  const { registryOptions } = await import('./registry-options.ts');
  const { registryCa: ca, registryUsername: username, registryPassword: password } = options;
  const names = { username: '--registry-username', password: '--registry-password' };
  return registryOptions(shell, { ca, username, password }, names);
}

function watchOf({ watch, watchQuiet, watchRate }: ServeOptions) {
  if (watch === undefined) return {};
  const directory = resolve(watch);
  if (fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new KwamError('USAGE', `expected --watch to be a directory, got ${directory}; create it first`);
  }
  return { watch: { directory, quietMs: watchQuiet, bytesPerSecondMax: watchRate } };
}

/** "The name is taken" is an answer elsewhere; for a node that wants to start it is an environment that does not fit. */
function asStartFailure(error: unknown): unknown {
  if (!(error instanceof KwamError) || exitCodeOf(error) !== EXIT.no) return error;
  return new KwamError('ENVIRONMENT', error.message, { cause: error, context: error.context });
}

/** V8's option for the old generation of the main thread, in MiB. */
const HEAP_FLAG = '--max-old-space-size';
/** Secrets may stand in the environment. The flag holds for worker threads too, which `process.report.excludeEnv` does not. */
const REPORT_FLAG = '--report-exclude-env';

/** What Node itself must be told, for a process that is started with it from the beginning. */
export function nodeFlags(memoryBytes: number): string[] {
  return [`${HEAP_FLAG}=${Math.floor(memoryShares(memoryBytes).mainHeapBytes / MIB)}`, REPORT_FLAG];
}

/** Starts this process anew, in its place, with what it lacks of these flags. */
function ensureFlags(memoryBytes: number): void {
  const given = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  const lacking = nodeFlags(memoryBytes).filter((flag) => !given.includes(flag.split('=')[0]!));
  if (lacking.length === 0 || process.execve === undefined) return;
  const args = [process.execPath, ...process.execArgv, ...lacking, ...process.argv.slice(1)];
  process.execve(process.execPath, args, process.env as Record<string, string>);
}

/** What the ready file says. */
export interface Ready {
  readonly pid: number;
  readonly address: string;
  readonly metricsAddress: string;
}

function announce(file: string, ready: Ready): void {
  fs.mkdirSync(dirname(file), { recursive: true });
  const aside = `${file}.${process.pid}.new`;
  fs.writeFileSync(aside, `${JSON.stringify(ready)}\n`);
  fs.renameSync(aside, file);
}
