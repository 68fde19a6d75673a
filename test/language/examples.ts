/**
 * Compiles the examples of explain pages, with every rule and the memory modules. What an example may count on beside its text:
 * the standard tables; an own set of domains; a token for `fleet.h100_*`; where it names one, an inventory with the pool `small` of two nodes,
 * `wide` of sixteen, a rack each, under one spine, or `crossed`, whose rack hangs on two power units.
 * An example that ends with `# planned onto POOL` is also made a plan of: `foreign` is `small` and a node of another trust domain.
 */
import type { CheckContext } from '../../src/language/check-context.ts';
import { DIGEST_PLACEHOLDER } from '../../src/language/code-page.ts';
import { compile } from '../../src/language/compile.ts';
import type { Diagnostic } from '../../src/language/diagnostic.ts';
import type { Inventory, InventoryNode } from '../../src/language/inventory.ts';
import type { ProgramIr } from '../../src/language/ir.ts';
import { memoryModules } from '../../src/language/module-resolver.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import { faultdomains, front } from './front.ts';
import { exampleModules, isExampleModule } from './modules-examples.ts';
import { TABLES } from './standard-tables.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

const OWN_DOMAINS = 'apiVersion "kwam.dev/v0.2"\nmodule "acme/domains"\nexport domains site { room { } }\n';

const SMALL: Inventory = {
  schema: 'kwam.inventory/v1',
  pools: new Map([['small', ['n1', 'n2'].map(node)]]),
};

function node(name: string): InventoryNode {
  const labels = { rack: name, pdu: name, spine: 's1', az: 'az1' };
  return {
    name,
    spiffe: `spiffe://kwam/acme/${name}/node`,
    address: `${name}.internal:7400`,
    labels,
    weight: 1,
  };
}

const FOREIGN: Inventory = {
  ...SMALL,
  pools: new Map([['small', [node('n1'), { ...node('n3'), spiffe: 'spiffe://elsewhere/n3/node' }]]]),
};

const WIDE: Inventory = {
  ...SMALL,
  pools: new Map([['wide', Array.from({ length: 16 }, (_, i) => node(`n${i + 1}`))]]),
};

const CROSSED: Inventory = {
  ...SMALL,
  pools: new Map([['crossed', ['n1', 'n2'].map((name) => withRack(node(name)))]]),
};

function withRack(one: InventoryNode): InventoryNode {
  return { ...one, labels: { ...one.labels, rack: 'r1' } };
}

function planProblems(program: ProgramIr, inventory: Inventory): readonly Diagnostic[] {
  return toPlan(program, { tables: TABLES, inventory }, DIGEST).problems;
}

function contextOf(text: string): CheckContext {
  const consentResource = () => 'fleet.h100_*';
  const named = [
    ['to smal', SMALL],
    ['to wide', WIDE],
    ['to crossed', CROSSED],
  ] as const;
  const inventory = named.find(([words]) => text.includes(words))?.[1];
  return { tables: TABLES, consentResource, ...(inventory === undefined ? {} : { inventory }) };
}

function modules() {
  const own = { program: front(OWN_DOMAINS, memoryModules({}), 'acme/domains.kwam').program, digest: DIGEST };
  const others = memoryModules({ 'acme/domains': own });
  const standard = faultdomains();
  return {
    load: (request: Parameters<typeof standard.load>[0]) =>
      isExampleModule(request.module)
        ? exampleModules.load(request)
        : (request.module === 'acme/domains' ? others : standard).load(request),
  };
}

export function exampleDiagnostics(text: string, allowHoles: boolean): readonly Diagnostic[] {
  const pinned = text.replaceAll(DIGEST_PLACEHOLDER, DIGEST);
  const options = { modules: modules(), context: contextOf(text), allowHoles };
  const { program, diagnostics } = compile('example.kwam', pinned, options);
  const onto = /^# planned onto (small|foreign)$/m.exec(text)?.[1];
  if (onto === undefined) return diagnostics;
  return [...diagnostics, ...planProblems(program, onto === 'small' ? SMALL : FOREIGN)];
}
