/**
 * How the language reaches modules: an interface, so that it needs neither files nor keys itself.
 * `load` finds a module, verifies what its trust rules ask for, compiles it and returns its meaning, or the problem to be shown
 * at the import. It is called once an import and must return the same for the same request.
 */
import type { DiagnosticCode } from './diagnostic.ts';
import type { LoadedModule } from './ir.ts';

export interface ModuleRequest {
  /** `std/faultdomains` */
  readonly module: string;
  /** As written; undefined when the import has none or a hole. */
  readonly digest: string | undefined;
  /** The program that imports it. */
  readonly from: string;
}

export interface ModuleProblem {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly note?: string;
  /** What to write as the import's digest, with its quotes. */
  readonly digestInstead?: string;
}

/** Both may be there: a module that is readable although its pin is wrong still gives its names. */
export interface ModuleAnswer {
  readonly loaded?: LoadedModule;
  readonly problems: readonly ModuleProblem[];
}

export interface ModuleResolver {
  load(request: ModuleRequest): ModuleAnswer;
}

/** The memory twin: modules that are already compiled, by name. */
export function memoryModules(modules: Readonly<Record<string, LoadedModule>>): ModuleResolver {
  const known = new Map(Object.entries(modules));
  return {
    load({ module }) {
      const loaded = known.get(module);
      if (loaded !== undefined) return { loaded, problems: [] };
      const message = `expected the module "${module.slice(0, 60)}" among those in memory, got none`;
      return { problems: [{ code: 'KW3113', message }] };
    },
  };
}
