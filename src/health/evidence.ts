/**
 * What one look at a node tells of it: the symbols that the belief filter reads.
 * In: answers of the node, reports of its devices, what it said when it left. Out: one Evidence a node and tick.
 * Does not judge: what a symbol is worth stands in model.ts.
 */

/**
 * - seen: it answered;
 * - refused: its host answers, the sidecar does not (connection refused): it restarts;
 * - silent: nothing answers.
 */
export const HEARTBEATS = ['seen', 'refused', 'silent'] as const;
export type Heartbeat = (typeof HEARTBEATS)[number];

/**
 * The worst that its devices reported since the last look, as far as the data on the node is concerned:
 * - warning: corrected errors rise, a row was remapped, a link flaps, a device asks for a reset;
 * - failing: uncorrected errors, a reset that did not help, NVMe "reliability degraded";
 * - lost: the disk with the packs is gone or read-only, or the host is taken out of service.
 */
export const DEVICE_REPORTS = ['quiet', 'warning', 'failing', 'lost'] as const;
export type DeviceReport = (typeof DEVICE_REPORTS)[number];

export interface Evidence {
  readonly heartbeat: Heartbeat;
  readonly device: DeviceReport;
  /** It said in this tick that it leaves on purpose: a restart, a drain, maintenance. */
  readonly leaving: boolean;
}

/** What a healthy node shows nearly always. */
export const ALL_WELL: Evidence = { heartbeat: 'seen', device: 'quiet', leaving: false };

export function isAllWell(evidence: Evidence): boolean {
  return evidence.heartbeat === 'seen' && evidence.device === 'quiet' && !evidence.leaving;
}

/** The worse of two reports of one node. */
export function worseReport(a: DeviceReport, b: DeviceReport): DeviceReport {
  return DEVICE_REPORTS[Math.max(DEVICE_REPORTS.indexOf(a), DEVICE_REPORTS.indexOf(b))]!;
}
