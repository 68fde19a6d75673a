/**
 * What repair says of the objects that lost data for good: which of their files are hit, and the last earlier checkpoint that is whole.
 * In: packs without any good source. Out: one entry an object, by name.
 */
import { KwamError } from '../errors.ts';
import type { ObjectDamage } from '../pipeline/object-damage.ts';
import { affectedObjects, type Generations } from '../repair/generations.ts';
import type { Unrepairable } from '../repair/repair.ts';
import type { Cluster } from './cluster-client.ts';
import { allObjects } from './object-list.ts';
import { counted } from './quantity.ts';
import { showName } from './terminal.ts';

export interface Affected extends Generations {
  /** Null: the node that was asked could not say. */
  readonly damage: ObjectDamage | null;
}

/** @param waiting  packs that a silent node may have: a generation that needs one of them is not offered. */
export async function affectedBy(
  cluster: Cluster,
  lost: readonly Unrepairable[],
  waiting: readonly Unrepairable[],
): Promise<Affected[]> {
  if (lost.length === 0) return [];
  const namesIn = (packs: readonly Unrepairable[]): string[] => packs.flatMap(({ objects }) => objects);
  const all = (await allObjects(cluster)).map(({ name }) => name);
  const affected: Affected[] = [];
  for (const one of affectedObjects(namesIn(lost), namesIn(waiting), all)) {
    affected.push({ ...one, damage: await damageOf(cluster, one.object) });
  }
  return affected;
}

async function damageOf(cluster: Cluster, name: string): Promise<ObjectDamage | null> {
  try {
    return await cluster.askOne<ObjectDamage>('object.damage', { name });
  } catch (error) {
    if (error instanceof KwamError) return null;
    throw error;
  }
}

const PATHS_SHOWN_MAX = 10;

export function* affectedLines({ object, lastGood, damage }: Affected): Generator<string> {
  yield `${showName(object)} lost data: ${hitText(damage)}`;
  const paths = damage?.paths ?? [];
  for (const path of paths.slice(0, PATHS_SHOWN_MAX)) yield `  ${path}`;
  if (paths.length > PATHS_SHOWN_MAX) yield `  … --json names ${paths.length}`;
  yield lastGood === null
    ? '  no earlier generation of it is whole'
    : `  the last good one before it is ${showName(lastGood)}: kwam-dp verify it, then get it`;
}

function hitText(damage: ObjectDamage | null): string {
  if (damage === null) return 'which files, no node could say; kwam-dp verify does';
  const { isWhole, files } = damage;
  return isWhole ? 'its manifest, and with it every file' : `${counted(files, 'file')} cannot be read back`;
}
