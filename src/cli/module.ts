/**
 * module digest|sign|verify|freeze: signed modules, pinned by what they mean.
 * A refusal ends with code 5 and a message that begins with the code of the catalogue (`explain KW3102`).
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import { LOCK_FILE, type Lock, lockText, updatedLock } from '../language/lockfile.ts';
import { type ImportPin, importsOf, isModuleName, readModule } from '../language/modules.ts';
import { frozenText } from '../language/modules-freeze.ts';
import {
  type ModuleCopy,
  ModuleGraph,
  type ModuleLibrary,
  type VerifiedModule,
} from '../language/modules-graph.ts';
import type { ModuleProblem } from '../language/modules-problem.ts';
import { compiledModule } from '../language/modules-resolver.ts';
import { parse } from '../language/parse.ts';
import { copyAt, type FileLibrary, replaceFile, standardDirectory } from './module-files.ts';
import { lockBeside, type ModulePlaces, openLibrary, taken } from './module-loading.ts';
import { signModule } from './module-trust.ts';
import type { Shell } from './shell.ts';
import { signingKey } from './signing-key.ts';
import { printJson, printLine, printTable } from './terminal.ts';

interface PlaceOptions {
  readonly from?: string[];
  readonly std?: string;
  readonly trust?: string;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command.addHelpText(
    'after',
    `
Examples:
  kwam-dp module verify
  kwam-dp module freeze cluster.kwam
  kwam-dp module sign acme/domains.kwam --key ~/keys/acme.pem`,
  );
  defineDigest(command, shell);
  defineSign(command, shell);
  defineVerify(command, shell);
  defineFreeze(command, shell);
}

function withPlaces(command: Command): Command {
  return command
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--std <directory>', "standard modules and their trust store (default: the package's)")
    .option('--trust <file>', 'keys beside those of std/ (default: $XDG_CONFIG_HOME/kwam/trust.json)')
    .option('--json', 'print one JSON document');
}

function placesOf(shell: Shell, { from, std, trust }: PlaceOptions): ModulePlaces {
  return {
    environment: shell.environment,
    ...(std === undefined ? {} : { standard: std }),
    ...(trust === undefined ? {} : { trust }),
    sources: from ?? [],
  };
}

function defineDigest(command: Command, shell: Shell): void {
  withPlaces(command.command('digest').description('Print the digest of what a module means.'))
    .argument('<file>', 'the module')
    .addHelpText(
      'after',
      `
Comments and layout do not change it, any change of meaning does. Imports of the module
must be pinned and in order; its own signature is not looked at.

Examples:
  kwam-dp module digest acme/domains.kwam
  kwam-dp module digest acme/domains.kwam --from ./modules --json`,
    )
    .action(async (file: string, options: PlaceOptions) => {
      const { name, digest, copy } = await unsignedModule(file, await openLibrary(placesOf(shell, options)));
      if (options.json)
        printJson(shell.output, 'kwam.module-digest/v1', { module: name, digest, bytes: copy.bytes });
      else printLine(shell.output, digest);
    });
}

interface SignOptions extends PlaceOptions {
  readonly key: string;
  readonly keyName?: string;
  readonly add?: boolean;
}

function defineSign(command: Command, shell: Shell): void {
  withPlaces(command.command('sign').description('Sign a module; the signature lies beside it as FILE.sig.'))
    .argument('<file>', 'the module')
    .requiredOption(
      '--key <file>',
      'private key in PEM, Ed25519 or ECDSA P-256; keep it out of every repository',
    )
    .option(
      '--key-name <name>',
      'a name for people; nothing is decided by it (default: the scope of the module)',
    )
    .option('--add', 'keep the signatures that are there, for trust stores with a threshold')
    .addHelpText(
      'after',
      `
The signature covers the module's name and digest. Whoever uses the module needs the
printed public key in a trust store. To make a key, outside of every repository:
openssl genpkey -algorithm ed25519 -out ~/keys/acme.pem

Examples:
  kwam-dp module sign acme/domains.kwam --key ~/keys/acme.pem
  kwam-dp module sign acme/domains.kwam --key ~/keys/acme.pem --key-name acme-2026
  kwam-dp module sign acme/domains.kwam --key ~/keys/second.pem --add`,
    )
    .action(async (file: string, options: SignOptions) => {
      const { name, digest } = await unsignedModule(file, await openLibrary(placesOf(shell, options)));
      const key = signingKey(options.key, options.keyName ?? name.split('/')[0]!);
      const others = options.add ? copyAt(file, 'file')?.envelope : undefined;
      const signed = await signModule({ module: name, digest }, key, others);
      replaceFile(`${file}.sig`, signed.envelope);
      const made = { module: name, digest, signature: `${file}.sig`, publicKey: signed.publicKeyPem };
      if (options.json) return printJson(shell.output, 'kwam.module-sign/v1', made);
      printLine(
        shell.output,
        `${name} ${digest}\nsigned in ${made.signature} by\n${made.publicKey.trimEnd()}`,
      );
    });
}

/** The library, with one file in the place of what it has under that name. */
class WithFile implements ModuleLibrary {
  readonly digestOf: ModuleLibrary['digestOf'];
  readonly judge: ModuleLibrary['judge'];
  readonly #find: ModuleLibrary['find'];

  constructor(library: ModuleLibrary, name: string, copy: ModuleCopy, judged: boolean) {
    this.digestOf = library.digestOf;
    this.#find = (module, digest) => (module === name ? [copy] : library.find(module, digest));
    this.judge = async (module, digest, envelope) =>
      module === name && !judged ? undefined : library.judge(module, digest, envelope);
  }

  find(module: string, digest: string | undefined): readonly ModuleCopy[] {
    return this.#find(module, digest);
  }
}

async function moduleOfFile(file: string, library: FileLibrary, judged: boolean): Promise<VerifiedModule> {
  const copy = copyAt(file, 'file');
  if (copy === undefined)
    throw new KwamError('USAGE', `expected a module in ${file}, got no such file`, { context: { file } });
  const { name } = taken(readModule(file, copy.text));
  const found = new ModuleGraph(new WithFile(library, name, copy, judged), {});
  // Its own digest is what is asked for; those of its imports are demanded all the same.
  const module = taken(await found.loadRoot(name));
  taken(compiledModule(module));
  return module;
}

const unsignedModule = (file: string, library: FileLibrary) => moduleOfFile(file, library, false);

function defineVerify(command: Command, shell: Shell): void {
  withPlaces(command.command('verify').description('Check modules: form, imports, digest and signature.'))
    .argument('[files...]', 'module files (default: every module of std/)')
    .addHelpText(
      'after',
      `
Exit code 5 when one of them is refused; each refusal has its code and reason.

Examples:
  kwam-dp module verify
  kwam-dp module verify acme/domains.kwam --trust acme/trust.json --json`,
    )
    .action((files: string[], options: PlaceOptions) => verify(shell, files, options));
}

interface Verdict {
  readonly file: string;
  readonly module: string | null;
  readonly digest: string | null;
  readonly problem: Pick<ModuleProblem, 'code' | 'message'> | null;
}

async function verdictOf(file: string, library: FileLibrary): Promise<Verdict> {
  try {
    const { name, digest } = await moduleOfFile(file, library, true);
    return { file, module: name, digest, problem: null };
  } catch (error) {
    const code = error instanceof KwamError ? error.context['code'] : undefined;
    if (typeof code !== 'string') throw error;
    const { message, context } = error as KwamError;
    const module =
      typeof context['module'] === 'string' && isModuleName(context['module']) ? context['module'] : null;
    return { file, module, digest: null, problem: { code: code as ModuleProblem['code'], message } };
  }
}

function standardFiles(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.kwam'));
  return names.sort().map((name) => join(directory, name));
}

async function verify(shell: Shell, files: readonly string[], options: PlaceOptions): Promise<void> {
  const library = await openLibrary(placesOf(shell, options));
  const wanted = files.length > 0 ? files : standardFiles(options.std ?? standardDirectory());
  const verdicts: Verdict[] = [];
  for (const file of wanted) verdicts.push(await verdictOf(file, library));
  const ok = verdicts.every((each) => each.problem === null);
  if (!ok) shell.exitCode = EXIT.refused;
  if (options.json) return printJson(shell.output, 'kwam.module-verify/v1', { ok, modules: verdicts });
  for (const { file, problem } of verdicts)
    if (problem !== null) shell.note(`kwam-dp: ${file}: ${problem.message}`);
  const rows = verdicts.map((each) => [
    each.module ?? each.file,
    each.problem === null ? 'ok' : 'refused',
    each.digest ?? '',
  ]);
  printTable(shell.output, rows);
}

interface FreezeOptions extends PlaceOptions {
  readonly update?: boolean;
}

function defineFreeze(command: Command, shell: Shell): void {
  withPlaces(
    command
      .command('freeze')
      .description('Write the digests of its imports into a program, and kwam.lock beside it.'),
  )
    .argument('<program>', 'the program, changed in place')
    .option('--update', 'pin imports anew that mean something else by now')
    .addHelpText(
      'after',
      `
Imports without a digest get one; everything else in the program stays as it is. A pin
that does not hold is refused unless --update says that the change is meant. Every module
goes into the cache, so that an upgrade does not take it away.

Examples:
  kwam-dp module freeze cluster.kwam
  kwam-dp module freeze cluster.kwam --from ./modules --update`,
    )
    .action((program: string, options: FreezeOptions) => freeze(shell, program, options));
}

interface Frozen {
  readonly pin: ImportPin;
  readonly digest: string;
}

async function freeze(shell: Shell, program: string, options: FreezeOptions): Promise<void> {
  const library = await openLibrary(placesOf(shell, options));
  const copy = copyAt(program, 'file');
  if (copy === undefined) throw new KwamError('USAGE', `expected a program in ${program}, got no such file`);
  const parsed = parse(program, copy.text);
  const error = parsed.diagnostics.find((each) => each.severity === 'error');
  if (error !== undefined)
    throw new KwamError(
      'USAGE',
      `${program}:${error.range.start.line}:${error.range.start.column}: ${error.code}: ${error.message}`,
    );
  const pins = importsOf(parsed.program);
  const graph = new ModuleGraph(library, {});
  const frozen: Frozen[] = [];
  for (const pin of pins)
    frozen.push({ pin, digest: (await pinnable(pin, graph, options.update === true)).digest });
  const modules = await graph.all();
  for (const module of modules) library.keep(module);
  const changed = frozen.filter(({ pin, digest }) => pin.digest !== digest);
  const added = modules.map(({ name, digest, copy: { bytes } }) => ({ module: name, digest, bytes }));
  const replaced = changed.flatMap(({ pin }) =>
    pin.digest === undefined ? [] : [{ module: pin.module, digest: pin.digest, bytes: '' }],
  );
  const lock = writeLock(program, replaced, added);
  if (changed.length > 0) replaceFile(program, frozenText(copy.text, changed));
  report(shell, options, { program, lock, frozen });
}

/** What the import should pin. Nothing is pinned that a check would refuse for what is written in it. */
async function pinnable(pin: ImportPin, graph: ModuleGraph, update: boolean): Promise<VerifiedModule> {
  const found = await graph.load(pin.module, pin.digest);
  const isAskedFor =
    pin.digest === undefined || (!found.ok && found.problem.fault === 'digestMismatch' && update);
  const module = taken(isAskedFor ? await graph.loadRoot(pin.module) : found);
  taken(compiledModule(module));
  return module;
}

/** A lock that cannot be read is not overwritten: what it said may matter. */
function writeLock(program: string, replaced: Lock, added: Lock): string {
  const path = join(dirname(program), LOCK_FILE);
  const text = lockText(updatedLock(lockBeside(program) ?? [], replaced, added));
  replaceFile(path, text);
  return path;
}

function report(
  shell: Shell,
  options: FreezeOptions,
  result: { program: string; lock: string; frozen: readonly Frozen[] },
): void {
  const imports = result.frozen.map(({ pin, digest }) => ({
    module: pin.module,
    alias: pin.alias,
    digest,
    before: pin.digest ?? null,
  }));
  if (options.json) {
    printJson(shell.output, 'kwam.module-freeze/v1', {
      program: result.program,
      lock: result.lock,
      imports,
    });
    return;
  }
  const state = (before: string | null, digest: string): string =>
    before === null ? 'pinned' : before === digest ? 'as it was' : 'pinned anew';
  printTable(
    shell.output,
    imports.map(({ module, digest, before }) => [module, state(before, digest), digest]),
  );
}
