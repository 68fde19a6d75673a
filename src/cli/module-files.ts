/**
 * Modules as files: std/ of this package, directories that the user names, and a cache by content.
 * In: a module's name and, for the cache, its digest. Out: copies as they lie there, unjudged; ModuleGraph judges each of them every time.
 * The cache is $XDG_CACHE_HOME/kwam/modules/<hex of the digest>/module.kwam, with module.kwam.sig beside it. It lets a program that
 * pins an older version go on working after an upgrade.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { systemClock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { isModuleDigest, isModuleName, isStandard } from '../language/modules.ts';
import type { ModuleCopy, ModuleLibrary, VerifiedModule } from '../language/modules-graph.ts';
import { programCharactersMax } from '../limits.ts';
import { digestOf } from './domain-digest.ts';
import { judgeSignature } from './module-trust.ts';
import type { ModuleKey } from './module-trust-store.ts';
import { packageRoot } from './package-root.ts';

/** A character takes at most three bytes in UTF-8; the parser says the rest about texts that are too long. */
const moduleBytesMax = 4 * programCharactersMax;
/** An envelope of 16 signatures of 64 bytes each with its statement takes some 3 KiB. */
const envelopeBytesMax = 64 * 1024;

export function bytesDigest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function standardDirectory(): string {
  return join(packageRoot(), 'std');
}

export function standardTrust(): string {
  return join(standardDirectory(), 'trust.json');
}

/** XDG Base Directory Specification: an empty or relative value counts as none. */
function baseDirectory(value: string | undefined, fallback: string): string {
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), fallback);
}

export function cacheDirectory(environment: NodeJS.ProcessEnv): string {
  return join(baseDirectory(environment['XDG_CACHE_HOME'], '.cache'), 'kwam', 'modules');
}

export function userTrust(environment: NodeJS.ProcessEnv): string {
  return join(baseDirectory(environment['XDG_CONFIG_HOME'], '.config'), 'kwam', 'trust.json');
}

function bytesIfThere(path: string, bytesMax: number): Buffer | undefined {
  try {
    const { size } = fs.statSync(path);
    if (size > bytesMax)
      throw new KwamError('LIMIT_EXCEEDED', `expected at most ${bytesMax} bytes in ${path}, got ${size}`, {
        context: { path },
      });
    return fs.readFileSync(path);
  } catch (cause) {
    if (cause instanceof KwamError) throw cause;
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw new KwamError('ENVIRONMENT', `expected a readable ${path}, got ${errno}`, {
      cause,
      context: { path, errno },
    });
  }
}

/** A file as a copy of a module, or undefined when there is none. Bytes that are no UTF-8 would change when read as text. */
export function copyAt(file: string, origin: ModuleCopy['origin']): ModuleCopy | undefined {
  const content = bytesIfThere(file, moduleBytesMax);
  if (content === undefined) return undefined;
  const text = utf8Text(content, file);
  return {
    file,
    origin,
    text,
    bytes: bytesDigest(content),
    envelope: bytesIfThere(`${file}.sig`, envelopeBytesMax),
  };
}

function utf8Text(content: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new KwamError('USAGE', `expected UTF-8 in ${file}, got bytes that are none; save it as UTF-8`, {
      cause,
    });
  }
}

export interface LibraryOptions {
  readonly standard: string;
  readonly cache: string;
  readonly keys: readonly ModuleKey[];
  /** Directories with NAME.kwam for modules outside std/. */
  readonly sources?: readonly string[];
}

export class FileLibrary implements ModuleLibrary {
  readonly digestOf = digestOf;
  readonly #options: LibraryOptions;

  constructor(options: LibraryOptions) {
    this.#options = options;
  }

  find(module: string, digest: string | undefined): readonly ModuleCopy[] {
    if (!isModuleName(module)) return [];
    const files = isStandard(module)
      ? [join(this.#options.standard, `${module.slice('std/'.length)}.kwam`)]
      : (this.#options.sources ?? []).map((directory) => join(directory, `${module}.kwam`));
    const copies = files.map((file) => copyAt(file, 'file'));
    const cached = digest === undefined ? undefined : copyAt(this.#cachePath(digest), 'cache');
    return [...copies, cached].filter((copy) => copy !== undefined);
  }

  judge(module: string, digest: string, envelope: Uint8Array | undefined) {
    return judgeSignature(this.#options.keys, module, digest, envelope, systemClock.now());
  }

  #cachePath(digest: string): string {
    if (!isModuleDigest(digest))
      throw new KwamError('USAGE', `expected a digest "sha256:" and 64 hexadecimal digits, got ${digest}`);
    return join(this.#options.cache, digest.slice('sha256:'.length), 'module.kwam');
  }

  /** Keeps a verified module. The text last, each by rename: whoever finds it finds its signature too. */
  keep({ digest, copy }: VerifiedModule): void {
    if (copy.origin === 'cache') return;
    const path = this.#cachePath(digest);
    if (copy.envelope !== undefined) replaceFile(`${path}.sig`, copy.envelope);
    replaceFile(path, copy.text);
  }
}

/** Beside its place, then renamed: a reader sees the old file or the new one. A link stays a link, and a mode stays. */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const aside = `${path}.${process.pid}.new`;
  try {
    const old = fs.statSync(path, { throwIfNoEntry: false });
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(aside, content);
    if (old !== undefined) fs.chmodSync(aside, old.mode & 0o777);
    fs.renameSync(aside, old === undefined ? path : fs.realpathSync(path));
  } catch (cause) {
    fs.rmSync(aside, { force: true });
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new KwamError(
      errno === 'ENOSPC' ? 'DISK_FULL' : 'ENVIRONMENT',
      `expected to write ${path}, got ${errno}; make the place writable`,
      { cause, context: { path, errno } },
    );
  }
}
