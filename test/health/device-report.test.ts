import { describe, expect, it } from 'vitest';
import {
  eccCorrectedWarning,
  reportOfCounters,
  reportOfNvme,
  reportOfXid,
  worstReport,
} from '../../src/health/device-report.ts';

const STILL = { eccCorrected: 0, eccUncorrected: 0, rowsRemapped: 0, rowRemapFailures: 0, linkFlaps: 0 };

describe('device reports', () => {
  it.each([
    ['an application error', [13, 31, 45, 69], 'quiet'],
    ['an informational or unknown code', [154, 0, 999], 'quiet'],
    ['a device that has to be reset', [46, 63, 74, 94, 119], 'warning'],
    ['a host that is drained', [48, 64, 79, 95, 140], 'failing'],
  ])('takes the XID of %s', (_, xids, report) => {
    expect(xids.map(reportOfXid)).toEqual(xids.map(() => report));
  });

  it.each([
    [{}, 'quiet'],
    [{ eccCorrected: eccCorrectedWarning - 1 }, 'quiet'],
    [{ eccCorrected: eccCorrectedWarning }, 'warning'],
    [{ rowsRemapped: 1 }, 'warning'],
    [{ linkFlaps: 1 }, 'warning'],
    [{ eccUncorrected: 1, linkFlaps: 3 }, 'failing'],
    [{ rowRemapFailures: 1 }, 'failing'],
  ])('takes rises of %o', (rise, report) => {
    expect(reportOfCounters({ ...STILL, ...rise })).toBe(report);
  });

  it.each([
    [0x00, 'quiet'],
    [0x01, 'warning'],
    [0x02, 'warning'],
    [0x04, 'failing'],
    [0x08, 'lost'],
    [0x1f, 'lost'],
    [0x10, 'warning'],
    [0x20, 'quiet'],
  ])('takes the critical warning 0x%s of an NVMe disk', (bits, report) => {
    expect(reportOfNvme(bits)).toBe(report);
  });

  it('keeps the worst of several', () => {
    expect(worstReport(['warning', 'failing', 'quiet'])).toBe('failing');
    expect(worstReport([])).toBe('quiet');
  });
});
