/**
 * The page of browser.test.ts: compiles a program as a playground would, with the standard modules from texts that it fetched, and asks
 * what an editor asks. Signatures are not judged here; the test compares what comes back with Node's answers.
 */
import { createSHA256 } from 'hash-wasm';
import { completionsAt } from '../../../src/editor/completion.ts';
import { hoverAt } from '../../../src/editor/hover.ts';
import { quickFixes } from '../../../src/editor/quick-fixes.ts';
import { semanticTokens } from '../../../src/editor/semantic-tokens.ts';
import { compile } from '../../../src/language/compile.ts';
import { format } from '../../../src/language/format.ts';
import { type ModuleCopy, ModuleGraph, type ModuleLibrary } from '../../../src/language/modules-graph.ts';
import { resolverFor } from '../../../src/language/modules-resolver.ts';
import { standardTables } from '../../../src/language/modules-tables.ts';
import { canonicalBytes } from '../../../src/manifest/canonical-json.ts';

async function libraryFrom(names: readonly string[]): Promise<ModuleLibrary> {
  const hasher = await createSHA256();
  const texts = new Map<string, ModuleCopy>();
  for (const name of names) {
    const text = await (await fetch(`/${name}.kwam`)).text();
    texts.set(name, { file: `${name}.kwam`, origin: 'file', text, bytes: '', envelope: undefined });
  }
  return {
    find: (module) => [texts.get(module)].filter((copy) => copy !== undefined),
    judge: async () => undefined,
    digestOf: (domain, value) =>
      `sha256:${hasher.init().update(`${domain}\0`).update(canonicalBytes(value)).digest('hex')}`,
  };
}

async function exportsOf(graph: ModuleGraph, name: string) {
  const outcome = await graph.loadRoot(name);
  if (!outcome.ok) throw new Error(outcome.problem.message);
  return outcome.value.exports;
}

async function check(url: string) {
  const text = await (await fetch(url)).text();
  const library = await libraryFrom(['std/faultdomains', 'std/hardware', 'std/interconnects', 'std/sandbox']);
  const graph = new ModuleGraph(library);
  const tables = standardTables({
    hardware: await exportsOf(graph, 'std/hardware'),
    interconnects: await exportsOf(graph, 'std/interconnects'),
    sandbox: await exportsOf(graph, 'std/sandbox'),
  });
  if (!tables.ok) throw new Error(tables.problem.message);
  const modules = await resolverFor(url, text, { pinned: graph, present: graph });
  const compiled = compile(url, text, { modules, context: { tables: tables.value } });
  const inBake = text.indexOf('bake ') + 6;
  return {
    diagnostics: compiled.diagnostics.map(({ code, severity, message, range }) => ({
      code,
      severity,
      message,
      at: [range.start.line, range.start.column],
    })),
    holes: compiled.program.holes.map(({ path, expected }) => ({ path, expected })),
    formatted: format(url, text).text,
    tokens: semanticTokens(compiled).length,
    hover: hoverAt(compiled, inBake, tables.value)?.markdown,
    completions: completionsAt(compiled, inBake, { tables: tables.value, modules: [] }).length,
    fixes: quickFixes(compiled, tables.value, compiled.source.range(0, text.length)).map(
      ({ title }) => title,
    ),
  };
}

const kwamEditor = { check };
export type KwamEditorPage = typeof kwamEditor;
Object.assign(globalThis, { kwamEditor });
