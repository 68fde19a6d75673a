/**
 * Which files of an object cannot be read back, as far as is known without reading them.
 * In: a name. Out: the files that need a chunk which no pack holds that any node within reach can serve. Reads the manifest and the
 * lists of records, no payloads: packs that are damaged and not yet noticed count as good here; `verify` reads them.
 */
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { PackAccess } from '../replication/pack-access.ts';
import type { PackRecord } from '../store/pack-format.ts';
import { READ_AGAIN, type RestoreServices, readManifest } from './restore.ts';
import { type Damage, RestorePlan } from './restore-plan.ts';

export interface ObjectDamage extends Damage {
  /** The manifest itself is lost: every file is, and their names are not known. */
  readonly isWhole: boolean;
}

export async function objectDamage(services: RestoreServices, name: string): Promise<ObjectDamage> {
  const record = await services.catalog.object(name);
  const access = await PackAccess.create(services, record.packs);
  try {
    const plan = new RestorePlan(await readManifest(services, access, record));
    for (const pack of record.packs) plan.credit(await recordsOf(access, pack));
    return { isWhole: false, ...plan.damage() };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'INTEGRITY') throw error;
    return { isWhole: true, chunks: record.chunks, files: record.files, paths: [] };
  } finally {
    await access.close();
  }
}

async function recordsOf(access: PackAccess, pack: DigestHex): Promise<readonly PackRecord[]> {
  try {
    return await access.records(pack);
  } catch (error) {
    if (error instanceof KwamError && READ_AGAIN.has(error.code)) return [];
    throw error;
  }
}
