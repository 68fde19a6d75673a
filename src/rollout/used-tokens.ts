/**
 * The consent tokens that this seed has redeemed, in its own directory: a second witness beside the control store.
 * In: the name of a token. Out: whether it was redeemed here. A control store that was lost, or restored from an older copy, has forgotten its newest
 * claims while their tokens are still valid; the one seed that may redeem them has not. One empty file a token, durable before the claim is
 * answered, and kept as the ledger keeps its entries. The memory twin is a Set.
 */
import { dirname, join } from 'node:path';
import { type FileSystem, nodeFileSystem } from '../filesystem.ts';

export interface UsedTokens {
  has(jti: string): boolean;
  /** Durable when it returns. @throws KwamError DISK_FULL, IO */
  add(jti: string): unknown;
}

export function usedTokensIn(directory: string, fileSystem: FileSystem = nodeFileSystem): UsedTokens {
  fileSystem.makeDirectory(directory);
  fileSystem.syncDirectory(dirname(directory));
  return {
    has: (jti) => fileSystem.exists(join(directory, jti)),
    add: (jti) => {
      const path = join(directory, jti);
      if (!fileSystem.exists(path)) fileSystem.close(fileSystem.open(path, 'create'));
      fileSystem.syncDirectory(directory);
    },
  };
}
