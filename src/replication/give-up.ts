/**
 * A pack's file given up here, because others have what the catalog asks for.
 * In: a pack that is present. Out: the bytes that are free again. What a pack of chunks holds stays known, so that a put here need not send
 * it again. Does not ask whether it is needed.
 */
import type { DigestHex } from '../digest.ts';
import type { Store } from '../store/store.ts';

export async function giveUp(store: Store, id: DigestHex): Promise<number> {
  const info = store.packInfo(id)!;
  const records = info.kind === 'chunks' ? store.recordsOf(id) : [];
  await store.retirePack(id);
  if (info.kind === 'chunks') await store.learnRemotePack(id, info, info.bytes, records);
  return info.bytes;
}
