/**
 * The programs that an editor has open, each compiled when somebody asks.
 * In: texts and their changes. Out: analyses, one a version, made once however many ask; undefined for what is not open.
 * A change costs one compile. Modules and the inventory come from disk as for every command; they are loaded again when a program's imports
 * change and when `refresh` says that files did.
 */
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { TextDocumentContentChangeEvent } from 'vscode-languageserver-protocol/node';
import { KwamError } from '../errors.ts';
import type { StandardTables } from '../language/check-context.ts';
import { type Compiled, compile } from '../language/compile.ts';
import type { Inventory } from '../language/inventory.ts';
import { memoryModules } from '../language/module-resolver.ts';
import { importsOf } from '../language/modules.ts';
import { SourceText } from '../language/source.ts';
import { readInventory } from './inventory-file.ts';
import { offsetOf } from './lsp-protocol.ts';
import { type ModulePlaces, modulesOf, type ProgramModules } from './module-loading.ts';

export interface Analysis {
  readonly uri: string;
  readonly version: number;
  readonly compiled: Compiled;
  readonly tables: StandardTables;
  /** Why modules could not be loaded at all; then the diagnostics say nothing that could be relied on. */
  readonly problem?: string;
  /** Another text in the place of this one, with the same modules. */
  recompile(text: string): Compiled;
}

export type TextChange = TextDocumentContentChangeEvent;

interface LoadedModules {
  /** The imports that they were loaded for. */
  readonly imports: string;
  readonly modules: ProgramModules;
  readonly inventory?: Inventory;
  readonly problem?: string;
}

export interface WorkspacePlaces extends ModulePlaces {
  /** The nodes that exist; absent: one copy a domain is assumed. */
  readonly inventoryFile?: string;
}

interface OpenProgram {
  readonly uri: string;
  readonly file: string;
  version: number;
  text: string;
  loaded: LoadedModules | undefined;
  analysis: Promise<Analysis> | undefined;
}

const NO_MODULES: ProgramModules = {
  modules: memoryModules({}),
  tables: { hardware: new Map(), interconnects: new Map(), sandboxes: new Map() },
};

/** Each keystroke in a digest is another import: what is kept of them is bounded. */
const loadsMax = 64;

/** A path for `file:` URIs of this machine; anything else is a name that no file has. */
export function fileOf(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch {
    // Not of this machine's files: a buffer that was never saved, or a scheme of the editor's own.
    return uri;
  }
}

/** One change on the whole; a place outside of the text is its nearest end, and a range may be given backwards. */
function changed(text: string, change: TextChange): string {
  if (!('range' in change) || change.range === undefined) return change.text;
  const source = new SourceText('', text);
  const { start, end } = change.range;
  const [from, to] = [offsetOf(source, start), offsetOf(source, end)];
  return text.slice(0, Math.min(from, to)) + change.text + text.slice(Math.max(from, to));
}

function importsKey({ parsed }: Compiled): string {
  return JSON.stringify(
    importsOf(parsed.program).map(({ module, digest, item }) => [module, digest, item.digest?.text]),
  );
}

export class Workspace {
  readonly #open = new Map<string, OpenProgram>();
  /** By directory, for its lock, and imports: programs that import the same share what was verified. */
  readonly #loads = new Map<string, Promise<LoadedModules>>();
  readonly #places: WorkspacePlaces;
  #refreshes = 0;

  constructor(places: WorkspacePlaces) {
    this.#places = places;
  }

  open(uri: string, version: number, text: string): void {
    this.#open.set(uri, { uri, file: fileOf(uri), version, text, loaded: undefined, analysis: undefined });
  }

  /** False when it is not open. */
  change(uri: string, version: number, changes: readonly TextChange[]): boolean {
    const program = this.#open.get(uri);
    if (program === undefined) return false;
    program.version = version;
    program.text = changes.reduce(changed, program.text);
    program.analysis = undefined;
    return true;
  }

  close(uri: string): void {
    this.#open.delete(uri);
  }

  /** Files have changed: what was read of them is forgotten. */
  refresh(): void {
    this.#refreshes++;
    this.#loads.clear();
    for (const program of this.#open.values()) {
      program.loaded = undefined;
      program.analysis = undefined;
    }
  }

  get uris(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** As the editor writes it, where the file is open. */
  uriOf(file: string): string {
    for (const [uri, program] of this.#open) if (program.file === file) return uri;
    return file.startsWith('/') || /^[A-Za-z]:[\\/]/.test(file) ? pathToFileURL(file).href : file;
  }

  analysis(uri: string): Promise<Analysis> | undefined {
    const program = this.#open.get(uri);
    if (program === undefined) return undefined;
    program.analysis ??= this.#analyse(program);
    return program.analysis;
  }

  async all(): Promise<readonly Analysis[]> {
    return Promise.all(this.uris.map((uri) => this.analysis(uri)!));
  }

  /** Of the newest text: one that arrives while modules are loading is taken instead. */
  async #analyse(program: OpenProgram): Promise<Analysis> {
    for (;;) {
      const { loaded, text } = program;
      const analysis = analysisOf(program, loaded);
      const imports = importsKey(analysis.compiled);
      if (loaded?.imports === imports) return analysis;
      const refreshes = this.#refreshes;
      const fresh = await this.#load(program.file, text, imports);
      if (refreshes === this.#refreshes) program.loaded = fresh;
    }
  }

  #load(file: string, text: string, imports: string): Promise<LoadedModules> {
    const key = JSON.stringify([dirname(file), imports]);
    const known = this.#loads.get(key);
    if (known !== undefined) return known;
    if (this.#loads.size >= loadsMax) this.#loads.clear();
    const fresh = loadModules(file, text, imports, this.#places);
    this.#loads.set(key, fresh);
    return fresh;
  }
}

async function loadModules(
  file: string,
  text: string,
  imports: string,
  places: WorkspacePlaces,
): Promise<LoadedModules> {
  try {
    const { inventoryFile } = places;
    const inventory = inventoryFile === undefined ? {} : { inventory: readInventory(inventoryFile) };
    return { imports, modules: await modulesOf(file, text, places), ...inventory };
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return { imports, modules: NO_MODULES, problem: error.message };
  }
}

function analysisOf({ uri, file, version, text }: OpenProgram, loaded: LoadedModules | undefined): Analysis {
  const { modules, tables } = loaded?.modules ?? NO_MODULES;
  const inventory = loaded?.inventory;
  const context = { tables, ...(inventory && { inventory }) };
  const recompile = (other: string): Compiled => compile(file, other, { modules, context });
  return {
    uri,
    version,
    compiled: recompile(text),
    tables,
    recompile,
    ...(loaded?.problem === undefined ? {} : { problem: loaded.problem }),
  };
}
