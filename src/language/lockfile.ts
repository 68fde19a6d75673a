/**
 * kwam.lock: which modules a program was frozen with, by meaning (digest) and by bytes (SHA-256 of the file).
 * In and out: its text. The same on every platform: no paths, no times, line feeds only, sorted by module and digest; one file
 * serves all the programs of a directory. The pin that decides is the digest in the program; the lock tells in
 * addition that not even a comment has changed, and shows in a review what a freeze took in.
 */
import { isModuleDigest, isModuleName } from './modules.ts';
import { fine, type Outcome, refused } from './modules-problem.ts';

export const LOCK_FILE = 'kwam.lock';
const SCHEMA = 'kwam.lock/v1';

export interface LockEntry {
  readonly module: string;
  /** `sha256:<64 hex>` of the meaning. */
  readonly digest: string;
  /** `sha256:<64 hex>` of the file's bytes. */
  readonly bytes: string;
}

export type Lock = readonly LockEntry[];

function compare(left: LockEntry, right: LockEntry): number {
  const [a, b] = [`${left.module}\0${left.digest}`, `${right.module}\0${right.digest}`];
  return a < b ? -1 : a > b ? 1 : 0;
}

export function lockText(lock: Lock): string {
  const modules = [...lock].sort(compare).map(({ module, digest, bytes }) => ({ module, digest, bytes }));
  return `${JSON.stringify({ schema: SCHEMA, modules }, undefined, 2)}\n`;
}

function isEntry(value: unknown): value is LockEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { module, digest, bytes, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0) return false;
  return (
    [module, digest, bytes].every((each) => typeof each === 'string') &&
    isModuleName(module as string) &&
    isModuleDigest(digest as string) &&
    isModuleDigest(bytes as string)
  );
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function readLock(file: string, text: string): Outcome<Lock> {
  const value = parsedJson(text) as { schema?: unknown; modules?: unknown } | undefined | null;
  const modules = value?.schema === SCHEMA && Array.isArray(value.modules) ? value.modules : undefined;
  const keys = modules?.filter(isEntry).map((entry) => `${entry.module} ${entry.digest}`);
  if (modules === undefined || keys?.length !== modules.length || new Set(keys).size !== modules.length) {
    return refused(
      'lockDisagrees',
      file,
      `expected a lock of schema ${SCHEMA} in ${file}, each module and digest once, got something else; delete it and run \`kwam-dp module freeze\``,
    );
  }
  return fine(modules as Lock);
}

/** A module that the lock does not have, or has otherwise, is not the one that was frozen. */
export function lockProblem(lock: Lock, found: LockEntry): Outcome<LockEntry> {
  const remedy = 'look at the change, then run `kwam-dp module freeze` on the program';
  const same = lock.filter((entry) => entry.module === found.module);
  const entry = same.find((each) => each.digest === found.digest);
  if (entry?.bytes === found.bytes) return fine(found);
  if (entry !== undefined) {
    return refused(
      'lockDisagrees',
      found.module,
      `expected "${found.module}" with the bytes ${entry.bytes} of ${LOCK_FILE}, got ${found.bytes}: the meaning is the same, the text is not; ${remedy}`,
    );
  }
  const locked =
    same.length === 0
      ? 'which it does not name'
      : `which it has as ${same.map((each) => each.digest).join(', ')}`;
  return refused(
    'lockDisagrees',
    found.module,
    `expected "${found.module}" ${found.digest} in ${LOCK_FILE}, ${locked}; ${remedy}`,
  );
}

/** The lock after a freeze: `replaced` entries go, `added` ones stand. */
export function updatedLock(lock: Lock, replaced: Lock, added: Lock): Lock {
  const key = (entry: { module: string; digest: string }): string => `${entry.module}\0${entry.digest}`;
  const entries = new Map(lock.map((entry) => [key(entry), entry]));
  for (const entry of replaced) entries.delete(key(entry));
  for (const entry of added) entries.set(key(entry), entry);
  return [...entries.values()].sort(compare);
}
