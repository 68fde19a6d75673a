/**
 * Writes placement.json: node test/placement/vectors/generate.ts > test/placement/vectors/placement.json
 * Run it only when placement is meant to change, for then data already placed has to move.
 */
import { toHex } from '../../../src/digest.ts';
import { place } from '../../../src/placement/placement.ts';
import type { Domain } from '../../../src/plan.ts';
import { packs, tree } from '../topologies.ts';

const nodes = tree(3, 2, 2, 1, 2, (i) => [1, 2, 0.5, 4, 0][i % 5]!);
const questions: { count: number; antiAffinity: Domain[]; allowRepeat: boolean }[] = [
  { count: 1, antiAffinity: [], allowRepeat: false },
  { count: 3, antiAffinity: ['rack', 'pdu', 'spine', 'az'], allowRepeat: false },
  { count: 3, antiAffinity: ['rack'], allowRepeat: false },
  { count: 6, antiAffinity: ['rack', 'pdu', 'spine', 'az'], allowRepeat: false },
  { count: 11, antiAffinity: ['rack', 'az'], allowRepeat: true },
  { count: 30, antiAffinity: ['rack', 'pdu', 'spine', 'az'], allowRepeat: true },
];
const cases = packs(12, 1996).flatMap((pack) =>
  questions.map((question) => {
    const placement = place(pack, nodes, question.count, question.antiAffinity, question);
    return { pack: toHex(pack), ...question, nodes: placement.nodes, relaxed: placement.relaxed };
  }),
);
process.stdout.write(
  `{"generator":"test/placement/vectors/generate.ts","nodes":[\n${nodes.map((node) => JSON.stringify(node)).join(',\n')}\n],"cases":[\n${cases
    .map((one) => JSON.stringify(one))
    .join(',\n')}\n]}\n`,
);
