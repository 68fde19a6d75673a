/**
 * Plans for tests: a program of one `replicate`, compiled, on nodes as `dev up` makes them up.
 * In: how many nodes and which redundancy. Out: the Plan that the compiler makes of it, whether or not it holds a promise.
 */
import { digestOf } from '../../src/cli/domain-digest.ts';
import { devInventory } from '../../src/cluster/dev-inventory.ts';
import { devPolicy } from '../../src/cluster/dev-policy.ts';
import { resolveText } from '../../src/language/compile.ts';
import { hasErrors } from '../../src/language/diagnostic.ts';
import { programDigest } from '../../src/language/program-digest.ts';
import { toPlan } from '../../src/language/to-plan.ts';
import type { ErasureScheme, Plan } from '../../src/plan.ts';
import { faultdomains, versioned } from '../language/front.ts';
import { TABLES } from '../language/standard-tables.ts';

export interface SmallPlanOptions {
  readonly nodes: number;
  readonly factor?: number;
  readonly erasure?: ErasureScheme;
  readonly memoryBytes?: number;
}

const DIGEST = `sha256:${'0'.repeat(64)}`;

export function smallPlan({
  nodes,
  factor = Math.min(3, nodes),
  erasure,
  memoryBytes,
}: SmallPlanOptions): Plan {
  const stripes = erasure === undefined ? '' : `erasure rs(${erasure.dataShards}, ${erasure.parityShards})`;
  const text = versioned(`import "std/faultdomains" as fd digest "${DIGEST}"
use fd.h100
replicate data { factor ${factor} anti_affinity [rack, pdu, spine, az] ${stripes} }`);
  const { program, diagnostics } = resolveText('small.kwam', text, { modules: faultdomains() });
  if (hasErrors(diagnostics)) throw new Error(diagnostics.map(({ message }) => message).join('\n'));
  const inventory = devInventory({ nodes, trustDomain: 'kwam', pools: [{ name: 'local' }] });
  const { plan } = toPlan(program, { tables: TABLES, inventory }, programDigest(program, digestOf));
  const replicate = { ...plan!.replicate, ...(erasure && { erasure }) };
  return { ...plan!, policy: devPolicy('kwam'), replicate, memoryBytes: memoryBytes ?? plan!.memoryBytes };
}
