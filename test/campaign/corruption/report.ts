/** The report of a corruption campaign as text: one line a site, the totals, and what may be claimed from them. */
import type { CorruptionReport } from './corruption.ts';

const COLUMNS = ['injected', 'detected', 'repaired', 'harmless', 'silent'] as const;

export function showReport(report: CorruptionReport): string {
  const row = (name: string, cells: readonly (string | number)[]): string =>
    name.padEnd(10) + cells.map((cell) => String(cell).padStart(10)).join('');
  const rows = Object.entries({ ...report.bySite, total: report }).map(([name, tally]) =>
    row(
      name,
      COLUMNS.map((column) => tally[column]),
    ),
  );
  return [
    row('site', COLUMNS),
    ...rows,
    '',
    claimOf(report),
    `seed ${report.seed}, ${report.wallSeconds} s`,
  ].join('\n');
}

function claimOf({ bound95, injected, silent }: CorruptionReport): string {
  if (bound95 === null) return `${silent} faults were silent: nothing may be claimed`;
  return `none of ${injected} was silent: below ${bound95.toExponential(1)} of such faults are, at 95 %; of their rate in service this says nothing`;
}
