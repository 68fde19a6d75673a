/**
 * The front half of the compiler without the rules of trust, placement and rollout: what these tests are about. One module is
 * there, compiled from memory.
 */
import { checkVersion } from '../../src/language/check-version.ts';
import { type Diagnostic, sortDiagnostics } from '../../src/language/diagnostic.ts';
import { holeDiagnostics } from '../../src/language/holes.ts';
import type { LoadedModule, ProgramIr } from '../../src/language/ir.ts';
import { type ModuleResolver, memoryModules } from '../../src/language/module-resolver.ts';
import { parse } from '../../src/language/parse.ts';
import { resolve } from '../../src/language/resolve.ts';
import type { SourceText } from '../../src/language/source.ts';

export interface Front {
  readonly source: SourceText;
  readonly program: ProgramIr;
  readonly diagnostics: readonly Diagnostic[];
}

export function front(text: string, modules: ModuleResolver = faultdomains(), file = 'program.kwam'): Front {
  const parsed = parse(file, text);
  const { program, diagnostics } = resolve(parsed, modules);
  const all = [
    ...parsed.diagnostics,
    ...diagnostics,
    ...holeDiagnostics(program, false),
    ...checkVersion(program),
  ];
  return { source: parsed.source, program, diagnostics: sortDiagnostics(all) };
}

const FAULTDOMAINS = `apiVersion "kwam.dev/v0.2"
module "std/faultdomains"
export domains h100 {
  az { }
  spine { within az }
  pdu { within spine }
  rack { within pdu }
}
`;

let loaded: LoadedModule | undefined;

export function faultdomains(): ModuleResolver {
  loaded ??= {
    program: front(FAULTDOMAINS, memoryModules({}), 'std/faultdomains.kwam').program,
    digest: `sha256:${'0'.repeat(64)}`,
  };
  return memoryModules({ 'std/faultdomains': loaded });
}

export const codesOf = ({ diagnostics }: Front): readonly string[] => diagnostics.map((each) => each.code);

/** The program with a first line that says its version. */
export const versioned = (lines: string): string => `apiVersion "kwam.dev/v0.2"\n${lines}\n`;
