/**
 * One process at a time per store directory.
 * In: a directory. Out: a lock that the kernel releases when the process ends, however it ends.
 * An abstract Unix socket named after the directory's device and inode: no stale file after kill -9, nothing to flip. Linux
 * only, and per network namespace; elsewhere the operator keeps two nodes off one directory.
 */
import { statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { KwamError } from '../errors.ts';

export interface StoreLock {
  release(): Promise<void>;
}

export async function acquireStoreLock(directory: string): Promise<StoreLock> {
  if (process.platform !== 'linux') return { release: async () => undefined };
  const { dev, ino } = statSync(directory, { bigint: true });
  const server = createServer((socket) => socket.destroy());
  await listen(server, `\0kwam-dp-store-${dev}-${ino}`, directory);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, path: string, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(inUse(cause, directory)));
    server.listen(path, resolve);
  });
}

function inUse(cause: Error, directory: string): KwamError {
  const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
  return new KwamError(
    'ENVIRONMENT',
    taken
      ? `expected the store ${directory} to be free, got one that a running node holds; stop that node first`
      : `cannot lock the store ${directory}: ${cause.message}`,
    { cause },
  );
}
