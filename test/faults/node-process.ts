/**
 * One real node in a process of its own, for tests that kill it.
 * argv: cluster directory, node name. In: D/plan.json, and options as JSON in KWAM_NODE_OPTIONS. Out: one line of JSON on
 * stdout when the node is ready; its log as JSON lines on stderr. SIGTERM stops it cleanly; it ends with whoever holds its stdin.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { startNode } from '../../src/node.ts';

const [, , directory, name] = process.argv as [string, string, string, string];
const plan = JSON.parse(fs.readFileSync(join(directory, 'plan.json'), 'utf8'));
const options = JSON.parse(process.env['KWAM_NODE_OPTIONS'] ?? '{}');
// Synchronous: the line that says why a node died must not be lost with it.
const log = pino({ level: 'info', base: { node: name } }, pino.destination({ dest: 2, sync: true }));

// A test runner that is killed must not leave nodes behind.
process.stdin.resume().once('end', () => process.exit(1));

try {
  const { address, metricsAddress, close } = await startNode({ plan, name, directory, log, ...options });
  process.stdout.write(`${JSON.stringify({ address, metricsAddress })}\n`);
  process.once('SIGTERM', () => close().then(() => process.exit(0)));
} catch (error) {
  log.fatal({ code: (error as { code?: string }).code }, String(error));
  process.exit(1);
}
