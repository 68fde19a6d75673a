/** An SVID that was good yesterday, in the place of one that is. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueSvid } from '../../src/identity/authority.ts';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';

const DAY = 86_400_000;

export async function writeExpired(directory: string, name: string, id: string): Promise<void> {
  const [certificatePem, privateKeyPem] = ['ca.pem', 'ca.key'].map((file) =>
    readFileSync(join(directory, file), 'utf8'),
  );
  const authority = { certificatePem: certificatePem!, privateKeyPem: privateKeyPem! };
  const svid = await issueSvid(authority, parseSpiffeId(id), { nowMs: Date.now() - 2 * DAY, validMs: DAY });
  writeFileSync(join(directory, `${name}.pem`), svid.certificatePem);
  writeFileSync(join(directory, `${name}.key`), svid.privateKeyPem, { mode: 0o600 });
}
