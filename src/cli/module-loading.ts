/**
 * Everything that compiling a program needs from modules: a resolver for its imports and the standard tables.
 * In: the environment, a program's path and text. Out: both, verified, from std/, the cache and kwam.lock beside the program.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KwamError } from '../errors.ts';
import type { StandardTables } from '../language/check-context.ts';
import { LOCK_FILE, type Lock, readLock } from '../language/lockfile.ts';
import type { ModuleResolver } from '../language/module-resolver.ts';
import { ModuleGraph } from '../language/modules-graph.ts';
import type { ModuleProblem, Outcome } from '../language/modules-problem.ts';
import { resolverFor } from '../language/modules-resolver.ts';
import { standardTables } from '../language/modules-tables.ts';
import { cacheDirectory, FileLibrary, standardDirectory, standardTrust, userTrust } from './module-files.ts';
import { type ModuleKey, readTrust } from './module-trust-store.ts';
import { textOf } from './read-text.ts';

export interface ModulePlaces {
  readonly environment: NodeJS.ProcessEnv;
  /** Another std/ than the package's, for tests. */
  readonly standard?: string;
  /** A trust store beside the package's; default: the user's, if there is one. */
  readonly trust?: string;
  readonly sources?: readonly string[];
}

/** The code of the catalogue leads, so that `explain` finds the page. */
export function problemError({ code, fault, message, module }: ModuleProblem): KwamError {
  return new KwamError('REFUSED', `${code}: ${message}`, { context: { rule: code, code, fault, module } });
}

export function taken<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw problemError(outcome.problem);
}

async function keysOf({ environment, trust, standard }: ModulePlaces): Promise<readonly ModuleKey[]> {
  const own = await readTrust(standard === undefined ? standardTrust() : join(standard, 'trust.json'));
  const path = trust ?? userTrust(environment);
  if (trust === undefined && !existsSync(path)) return own;
  return [...own, ...(await readTrust(path))];
}

export async function openLibrary(places: ModulePlaces): Promise<FileLibrary> {
  return new FileLibrary({
    standard: places.standard ?? standardDirectory(),
    cache: cacheDirectory(places.environment),
    keys: await keysOf(places),
    sources: places.sources ?? [],
  });
}

/** The lock beside a program; undefined when there is none. */
export function lockBeside(program: string): Lock | undefined {
  const path = join(dirname(program), LOCK_FILE);
  return existsSync(path) ? taken(readLock(path, textOf(path, 'a lock'))) : undefined;
}

async function tablesFrom(present: ModuleGraph): Promise<StandardTables> {
  const exportsOf = async (name: string) => taken(await present.loadRoot(name)).exports;
  return taken(
    standardTables({
      hardware: await exportsOf('std/hardware'),
      interconnects: await exportsOf('std/interconnects'),
      sandbox: await exportsOf('std/sandbox'),
    }),
  );
}

export interface ProgramModules {
  readonly modules: ModuleResolver;
  readonly tables: StandardTables;
}

/** @throws KwamError REFUSED  std/ itself is not in order, or the lock cannot be read; what is wrong with an import is in the answers. */
export async function modulesOf(
  program: string,
  text: string,
  places: ModulePlaces,
): Promise<ProgramModules> {
  const library = await openLibrary(places);
  const lock = lockBeside(program);
  const pinned = new ModuleGraph(library, lock === undefined ? {} : { lock });
  const present = new ModuleGraph(library);
  return {
    modules: await resolverFor(program, text, { pinned, present }),
    tables: await tablesFrom(present),
  };
}
