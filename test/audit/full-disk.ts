/**
 * Records decisions until the disk is full and beyond, as a program of its own: it mounts a small tmpfs over the directory that it is given, in
 * a mount namespace of its own (run it under `unshare --map-root-user --mount`), so nothing of it outlives the process.
 * Out: one JSON document with what happened; full-disk.test.ts judges it.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { auditFiles } from '../../src/audit/audit-tail.ts';
import { verifyAuditFiles } from '../../src/audit/audit-verify.ts';
import { systemClock } from '../../src/clock.ts';
import { Access } from '../../src/cluster/access.ts';
import { KwamError } from '../../src/errors.ts';
import { compileGrants } from '../../src/identity/grants.ts';
import { GRANT, SEED } from '../rollout/consents.ts';

const [disk] = process.argv.slice(2) as [string];
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'kwam-test', disk]);
const directory = join(disk, 'audit');
const BALLAST = join(disk, 'ballast');
const open = (): AuditLog => AuditLog.open({ directory, clock: systemClock });

/** Takes every byte that is left. */
function fill(): void {
  const file = fs.openSync(BALLAST, 'a');
  try {
    for (;;) fs.writeSync(file, new Uint8Array(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    fs.closeSync(file);
  }
}

/** Calls that are let through until one is not, and why not. */
function callUntilRefused(log: AuditLog): { admitted: number; refused: unknown } {
  const access = new Access({ grants: compileGrants([GRANT]), audit: log });
  for (let admitted = 0; ; admitted++) {
    try {
      access.admit('node.compact', { peer: SEED, address: '10.40.0.1' });
    } catch (error) {
      if (!(error instanceof KwamError)) throw error;
      return { admitted, refused: { code: error.code, retryable: error.retryable, message: error.message } };
    }
  }
}

async function verified(): Promise<unknown> {
  const paths = auditFiles(directory).map((name) => join(directory, name));
  return (await verifyAuditFiles(paths, { isWhole: true, anchor: undefined })).problem?.rule ?? 'whole';
}

const names = (): string[] =>
  fs
    .readdirSync(directory)
    .map((name) => name.replace(/\d{6,}/, 'N'))
    .sort();

const log = open();
const before = names();
fill();
const onReserve = callUntilRefused(log);
const still = callUntilRefused(log).admitted;
const full = { names: names(), chain: await verified(), records: log.head.seq + 1 };
await log.sync();
// Opened on a full disk, as by a node that starts there.
await log.close();
const again = open();
const startedFull = callUntilRefused(again).admitted;
await again.close();

fs.rmSync(BALLAST);
const free = open();
free.append({ kind: 'decision', allowed: true });
await free.close();
const after = { names: names(), chain: await verified(), records: free.head.seq + 1 };
console.log(JSON.stringify({ before, onReserve, still, full, startedFull, after }));
