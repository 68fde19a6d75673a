/**
 * `npm run refusals [-- AREA …]`: every input that must be refused, by which rule it was, and how many were not.
 * Exit 1 when one was accepted, was refused by another rule than its row says, or when an area accepts nothing at all.
 */
import { AREAS } from './areas.ts';
import { type Area, outcomeOf } from './refusal.ts';

const wanted = process.argv.slice(2);
const areas = AREAS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const width = Math.max(...areas.flatMap(({ rows }) => rows.map(({ code }) => code.length)));
let rows = 0;
let refused = 0;
let wrong = 0;

async function printArea(area: Area): Promise<void> {
  console.log(`\n${area.name}: ${area.rows.length} rows`);
  await area.accepted();
  for (const row of area.rows) {
    const outcome = await outcomeOf(row);
    rows++;
    if (outcome.refused) refused++;
    if (outcome.code !== row.code) wrong++;
    const remark = outcome.code === row.code ? '' : `   EXPECTED ${row.code}`;
    console.log(`  ${outcome.code.padEnd(width)}  ${row.input}${remark}`);
  }
  await area.close?.();
}

for (const area of areas) await printArea(area);
if (wrong > 0) console.log(`\n${wrong} by another rule than expected`);
console.log(`\n${rows} rows, ${refused} refused, ${rows - refused} accepted`);
process.exitCode = rows === 0 || wrong > 0 || refused < rows ? 1 : 0;
