/**
 * Verified modules as the ModuleResolver that the compiler asks.
 * In: a program's text and two graphs, one that demands what the program pins and one that takes what is there. Out: a resolver that
 * answers from memory, because compiling does not wait. An import that is refused only for its pin still gives its names,
 * so that one wrong digest does not make every domain unknown.
 */
import type { LoadedModule } from './ir.ts';
import type { ModuleAnswer, ModuleResolver, ModuleProblem as ShownProblem } from './module-resolver.ts';
import { type ImportPin, importsOf, isModuleDigest } from './modules.ts';
import type { ModuleGraph, VerifiedModule } from './modules-graph.ts';
import { fine, type ModuleProblem, type Outcome, refused } from './modules-problem.ts';
import { parse } from './parse.ts';
import { resolve } from './resolve.ts';
import { checkDomainSets } from './rules-domains.ts';

/** Each module once, however many others import it. */
const compiled = new WeakMap<VerifiedModule, Outcome<LoadedModule>>();

/** The module compiled: names, types and units are checked as in a program, and that its domains form trees. */
export function compiledModule(module: VerifiedModule): Outcome<LoadedModule> {
  const known = compiled.get(module);
  if (known !== undefined) return known;
  const fresh = compile(module);
  compiled.set(module, fresh);
  return fresh;
}

function compile(module: VerifiedModule): Outcome<LoadedModule> {
  const within: ModuleResolver = { load: (request) => answerFrom(module, request.module) };
  const { program, diagnostics } = resolve(module.text.parsed, within);
  const error = [...diagnostics, ...checkDomainSets(program)].find((each) => each.severity === 'error');
  if (error === undefined) return fine({ program, digest: module.digest });
  const { code, message, range } = error;
  return refused(
    'notAModule',
    module.name,
    `"${module.name}", line ${range.start.line}: ${message} (${code})`,
  );
}

function answerFrom(module: VerifiedModule, name: string): ModuleAnswer {
  const imported = [...module.imports.values()].find((each) => each.name === name);
  if (imported === undefined) return { problems: [] };
  return answerOf(compiledModule(imported));
}

function answerOf(outcome: Outcome<LoadedModule>): ModuleAnswer {
  return outcome.ok ? { loaded: outcome.value, problems: [] } : { problems: [shown(outcome.problem)] };
}

function shown({ code, message, digest }: ModuleProblem): ShownProblem {
  return digest === undefined ? { code, message } : { code, message, digestInstead: `"${digest}"` };
}

export interface Graphs {
  /** Demands digests, signatures and the lock. */
  readonly pinned: ModuleGraph;
  /** Asked for what is there, whatever its digest; without a lock. */
  readonly present: ModuleGraph;
}

/** A digest that is written but is none, and is no hole either. */
function badDigest({ module, item }: ImportPin): ModuleProblem | undefined {
  const written = item.digest;
  if (written === undefined || written.form !== 'text' || /…|\.\.\./.test(written.text)) return undefined;
  return refused(
    'digestMismatch',
    module,
    `expected the digest of "${module}" as "sha256:" and 64 hexadecimal digits, got ${written.text.slice(0, 80)}`,
  ).problem;
}

async function presentModule(pin: ImportPin, present: ModuleGraph): Promise<Outcome<LoadedModule>> {
  const found = await present.loadRoot(pin.module);
  return found.ok ? compiledModule(found.value) : found;
}

const PIN_FAULTS: ReadonlySet<string> = new Set(['importWithoutDigest', 'digestMismatch', 'lockDisagrees']);

/** The answer to an import that is refused: for its pin alone, its names are there all the same. */
async function refusal(problem: ModuleProblem, pin: ImportPin, present: ModuleGraph): Promise<ModuleAnswer> {
  const problems = [shown(problem)];
  if (!PIN_FAULTS.has(problem.fault)) return { problems };
  const found = await presentModule(pin, present);
  return found.ok ? { loaded: found.value, problems } : { problems };
}

async function answerTo(pin: ImportPin, { pinned, present }: Graphs): Promise<ModuleAnswer> {
  const isHole = pin.digest === undefined && pin.item.digest !== undefined;
  const bad = pin.digest === undefined ? badDigest(pin) : undefined;
  if (bad !== undefined) return refusal(bad, pin, present);
  // A hole is listed as a hole; saying the same again as an error would help nobody.
  if (isHole) return answerOf(await presentModule(pin, present));
  const found = await pinned.load(pin.module, pin.digest);
  return found.ok ? answerOf(compiledModule(found.value)) : refusal(found.problem, pin, present);
}

function keyOf(module: string, digest: string | undefined): string {
  return `${module}\0${digest !== undefined && isModuleDigest(digest) ? digest : ''}`;
}

/** Loads what the program imports; ask it again when the program's imports change. */
export async function resolverFor(file: string, text: string, graphs: Graphs): Promise<ModuleResolver> {
  const answers = new Map<string, ModuleAnswer>();
  for (const pin of importsOf(parse(file, text).program)) {
    const key = keyOf(pin.module, pin.digest);
    if (!answers.has(key)) answers.set(key, await answerTo(pin, graphs));
  }
  return {
    load({ module, digest }) {
      const answer = answers.get(keyOf(module, digest));
      if (answer !== undefined) return answer;
      return {
        problems: [
          shown(
            refused(
              'notFound',
              module,
              `expected the module "${module}" to be loaded, got none; reload the program`,
            ).problem,
          ),
        ],
      };
    },
  };
}
