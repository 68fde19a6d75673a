/** A child process of audit-log.test.ts: appends records until it is killed, and says each one's number when it is written. */
import { writeSync } from 'node:fs';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { systemClock } from '../../src/clock.ts';

const log = AuditLog.open({ directory: process.argv[2]!, clock: systemClock, fileBytes: 4096 });
writeSync(1, `ready ${log.head.seq}\n`);
for (;;) {
  log.append({
    kind: 'decision',
    allowed: log.head.seq % 3 > 0,
    method: 'x'.repeat(1 + (log.head.seq % 200)),
  });
  writeSync(1, `${log.head.seq}\n`);
}
