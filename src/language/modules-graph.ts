/**
 * Modules with everything they rest on, each checked before it counts: its pin, its meaning, its signature, the lock.
 * In: a name and a pin, and what a ModuleLibrary brings. Out: the module, or the first reason why not.
 * Order of the checks: circle, found, pin against the recomputed digest, signature, lock. Nothing is believed because of where it
 * lies: what comes from a cache is judged as if it had just arrived.
 * Pure but for the promises: files, hashing and keys come in through the library.
 */
import { type Lock, lockProblem } from './lockfile.ts';
import { type DigestOf, type ModuleMeaning, type ModuleText, meaningOf, readModule } from './modules.ts';
import { fine, type ModuleProblem, type Outcome, refused } from './modules-problem.ts';

export interface ModuleCopy {
  /** Where it was found, for messages. */
  readonly file: string;
  readonly origin: 'file' | 'cache';
  readonly text: string;
  /** `sha256:<64 hex>` of the file's bytes. */
  readonly bytes: string;
  /** The DSSE envelope beside it, if there is one. */
  readonly envelope: Uint8Array | undefined;
}

export interface ModuleLibrary {
  /** Copies in the order in which they should be tried; those of the cache only when the digest is known. */
  find(module: string, digest: string | undefined): readonly ModuleCopy[];
  /** Whether a trusted key vouches for this module with this digest. */
  judge(module: string, digest: string, envelope: Uint8Array | undefined): Promise<ModuleProblem | undefined>;
  readonly digestOf: DigestOf;
}

export interface VerifiedModule extends ModuleMeaning {
  readonly name: string;
  readonly copy: ModuleCopy;
  readonly text: ModuleText;
  /** By alias. */
  readonly imports: ReadonlyMap<string, VerifiedModule>;
}

export interface LoadOptions {
  /** Absent: nothing is locked yet. */
  readonly lock?: Lock;
}

type Weighed = Omit<VerifiedModule, 'copy'>;

export class ModuleGraph {
  readonly #library: ModuleLibrary;
  readonly #options: LoadOptions;
  readonly #loaded = new Map<string, Promise<Outcome<VerifiedModule>>>();

  constructor(library: ModuleLibrary, options: LoadOptions = {}) {
    this.#library = library;
    this.#options = options;
  }

  /** `digest` as the import has it. */
  load(module: string, digest: string | undefined): Promise<Outcome<VerifiedModule>> {
    return this.#load(module, digest, []);
  }

  /** A module whose digest is asked for; its imports are demanded as they pin them. */
  loadRoot(module: string): Promise<Outcome<VerifiedModule>> {
    return this.#load(module, undefined, [], true);
  }

  /** Every module that has been loaded and is good, each once. */
  async all(): Promise<readonly VerifiedModule[]> {
    const outcomes = await Promise.all(this.#loaded.values());
    const good = outcomes.filter((each) => each.ok).map((each) => each.value);
    return [...new Map(good.map((each) => [`${each.name}\0${each.digest}`, each])).values()];
  }

  async #load(
    module: string,
    digest: string | undefined,
    path: readonly string[],
    isRoot = false,
  ): Promise<Outcome<VerifiedModule>> {
    if (path.includes(module)) {
      return refused(
        'cycle',
        module,
        `expected imports without a circle, got ${[...path.slice(path.indexOf(module)), module].join(' → ')}; move what both need into a third module`,
      );
    }
    const key = `${module}\0${digest ?? (isRoot ? 'root' : '')}`;
    const known = this.#loaded.get(key);
    if (known !== undefined) return known;
    const outcome = await this.#fresh(module, digest, [...path, module], isRoot);
    // Kept only when done: a promise that waits for itself would hide a circle.
    this.#loaded.set(key, Promise.resolve(outcome));
    return outcome;
  }

  async #fresh(
    module: string,
    digest: string | undefined,
    path: readonly string[],
    isRoot: boolean,
  ): Promise<Outcome<VerifiedModule>> {
    if (digest === undefined && !isRoot) return this.#refuseUnpinned(module, path);
    const copies = this.#library.find(module, digest);
    if (copies.length === 0) {
      return refused(
        'notFound',
        module,
        `expected the module "${module}" in std/ or in the cache${digest === undefined ? '' : ` as ${digest}`}, got none; bring it in with \`kwam-dp module freeze --from DIRECTORY\``,
      );
    }
    let first: Outcome<VerifiedModule> | undefined;
    for (const copy of copies) {
      const outcome = await this.#weigh(module, digest, copy, path);
      if (outcome.ok) return outcome;
      // Only another version is a reason to look further: anything else is wrong with this very copy.
      if (outcome.problem.fault !== 'digestMismatch') return outcome;
      // The cache knows whose the digest is.
      first = copy.origin === 'cache' ? outcome : (first ?? outcome);
    }
    return first!;
  }

  /** The message can offer the digest when the module is at hand and in order. */
  async #refuseUnpinned(module: string, path: readonly string[]): Promise<Outcome<VerifiedModule>> {
    const found = await new ModuleGraph(this.#library).#fresh(module, undefined, path, true);
    return refused(
      'importWithoutDigest',
      module,
      `expected a digest for the import of "${module}", got none: what it means could change unnoticed; pin it with \`kwam-dp module freeze\``,
      found.ok ? found.value.digest : undefined,
    );
  }

  async #weigh(
    module: string,
    digest: string | undefined,
    copy: ModuleCopy,
    path: readonly string[],
  ): Promise<Outcome<VerifiedModule>> {
    const meaning = await this.#understand(module, copy, path);
    if (!meaning.ok)
      return copy.origin === 'cache' && meaning.problem.fault === 'notAModule'
        ? this.#refuseCached(module, digest, copy, path, meaning.problem.message)
        : meaning;
    const { value } = meaning;
    if (digest !== undefined && value.digest !== digest) {
      return copy.origin === 'cache'
        ? refuseEdited(module, digest, copy, `its content is ${value.digest}`)
        : this.#refuseMismatch(module, digest, value.digest, copy);
    }
    const unsigned = await this.#library.judge(module, value.digest, copy.envelope);
    if (unsigned !== undefined) return { ok: false, problem: unsigned };
    const { lock } = this.#options;
    const locked =
      lock === undefined ? undefined : lockProblem(lock, { module, digest: value.digest, bytes: copy.bytes });
    return locked?.ok === false ? locked : fine({ ...value, copy });
  }

  /** The lock may know whose digest it is. */
  #refuseMismatch(module: string, digest: string, actual: string, { file }: ModuleCopy): Outcome<never> {
    const owner = this.#options.lock?.find((each) => each.digest === digest && each.module !== module);
    if (owner !== undefined) return refuseRepointed(module, digest, owner.module, actual);
    return refused(
      'digestMismatch',
      module,
      `expected "${module}" with the digest ${digest}, got ${actual} from ${file}: it no longer means what was pinned; look at what changed, then pin the new digest with \`kwam-dp module freeze --update\``,
      actual,
    );
  }

  /** What lies under this digest and is no such module: another one in order, when the import was pointed elsewhere, or an edited one. */
  async #refuseCached(
    module: string,
    digest: string | undefined,
    copy: ModuleCopy,
    path: readonly string[],
    why: string,
  ): Promise<Outcome<never>> {
    const read = readModule(copy.file, copy.text);
    if (!read.ok || read.value.name === module) return refuseEdited(module, digest, copy, why);
    const { name } = read.value;
    const other = await this.#understand(name, copy, path);
    const isOther = digest !== undefined && other.ok && other.value.digest === digest;
    // A name alone is easily edited; who signed it as that module is not.
    return isOther && (await this.#library.judge(name, digest, copy.envelope)) === undefined
      ? refuseRepointed(module, digest, name)
      : refuseEdited(module, digest, copy, why);
  }

  async #understand(module: string, copy: ModuleCopy, path: readonly string[]): Promise<Outcome<Weighed>> {
    const text = readModule(copy.file, copy.text, module);
    if (!text.ok) return text;
    const imports = new Map<string, VerifiedModule>();
    for (const pin of text.value.imports) {
      const imported = await this.#load(pin.module, pin.digest, path);
      if (!imported.ok) return imported;
      imports.set(pin.alias, imported.value);
    }
    const digests = new Map([...imports].map(([alias, each]) => [alias, each.digest]));
    const meaning = meaningOf(text.value, digests, this.#library.digestOf);
    return meaning.ok ? fine({ name: module, text: text.value, imports, ...meaning.value }) : meaning;
  }
}

function refuseRepointed(module: string, digest: string, owner: string, actual?: string): Outcome<never> {
  return refused(
    'digestMismatch',
    module,
    `expected "${module}" with its own digest, got ${digest}, which is that of "${owner}": the import names one module and pins another; name the one that is meant, or pin "${module}" with \`kwam-dp module freeze --update\``,
    actual,
  );
}

function refuseEdited(
  module: string,
  digest: string | undefined,
  copy: ModuleCopy,
  why: string,
): Outcome<never> {
  return refused(
    'cacheEdited',
    module,
    `expected the cache's copy of "${module}" to be ${digest}, got an edited one: ${why}; delete ${copy.file} and freeze again`,
  );
}
