/**
 * From native device telemetry to a DeviceReport.
 * In: an XID, counters of ECC, remapped rows and links, NVMe's critical warning. Out: quiet, warning, failing or lost.
 * Source: NVIDIA's Xid catalog (docs.nvidia.com/deploy/xid-errors, Ampere and later) and GPU debug guidelines; NVM Express
 *   base specification 2.0, SMART log, "Critical Warning".
 * A GPU that fails does not take the packs with it. What its XID says here is how likely the *host* is to be reset, drained or
 * taken away; application errors say nothing of the kind.
 */
import { type DeviceReport, worseReport } from './evidence.ts';

/** XIDs after which the device or the host has to be reset: the node comes back, with its data. */
const XID_WARNING: ReadonlySet<number> = new Set([
  46, 62, 63, 74, 80, 92, 94, 109, 110, 119, 120, 136, 143, 144, 145, 146, 147, 148, 149, 150, 151, 155, 156,
  157, 158, 160, 161,
]);
/** XIDs after which the guidelines drain the node, test it, and often replace the device or the host. */
const XID_FAILING: ReadonlySet<number> = new Set([48, 54, 64, 79, 95, 140, 171, 172]);

/** XIDs of applications (13, 31, 45 …), informational ones (154) and unknown ones are quiet. */
export function reportOfXid(xid: number): DeviceReport {
  if (XID_FAILING.has(xid)) return 'failing';
  return XID_WARNING.has(xid) ? 'warning' : 'quiet';
}

/** Rises of counters since the last look; never negative, a counter that was reset starts anew. */
export interface DeviceCounters {
  readonly eccCorrected: number;
  readonly eccUncorrected: number;
  readonly rowsRemapped: number;
  readonly rowRemapFailures: number;
  readonly linkFlaps: number;
}

/**
 * Corrected errors in one look beyond which a device is worse than its kind. Our choice: XID 92 ("high single-bit error
 * rate") publishes no figure.
 */
export const eccCorrectedWarning = 100;

export function reportOfCounters(rise: DeviceCounters): DeviceReport {
  if (rise.eccUncorrected > 0 || rise.rowRemapFailures > 0) return 'failing';
  const isWarning = rise.rowsRemapped > 0 || rise.linkFlaps > 0 || rise.eccCorrected >= eccCorrectedWarning;
  return isWarning ? 'warning' : 'quiet';
}

/** Bits of NVMe's critical warning byte. */
const SPARE_LOW = 0x01;
const TEMPERATURE = 0x02;
const RELIABILITY_DEGRADED = 0x04;
const READ_ONLY = 0x08;
const BACKUP_FAILED = 0x10;

export function reportOfNvme(criticalWarning: number): DeviceReport {
  if ((criticalWarning & READ_ONLY) !== 0) return 'lost';
  if ((criticalWarning & RELIABILITY_DEGRADED) !== 0) return 'failing';
  return (criticalWarning & (SPARE_LOW | TEMPERATURE | BACKUP_FAILED)) === 0 ? 'quiet' : 'warning';
}

export function worstReport(reports: readonly DeviceReport[]): DeviceReport {
  return reports.reduce(worseReport, 'quiet');
}
