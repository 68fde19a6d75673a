/**
 * The parts of Node that answer from other threads or another turn of its loop, made to answer at once or to be counted: only then does
 * the same seed give the same run, and only then is it known that nothing can go on before time does.
 * Replaced for the whole process, and only in a process that simulates: WebCrypto's digest, verify and exportKey by node:crypto, the few
 * functions of fs/promises that a `get` uses at its destination by their synchronous forms. Yields (`setImmediate`) are counted.
 * Changes no result: tests of the product's own code never run in such a process.
 */
import { createHash, KeyObject, verify } from 'node:crypto';
import * as fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

const realImmediate = setImmediate;
let pending = 0;
let isInstalled = false;

export function installHost(): void {
  if (isInstalled) return;
  isInstalled = true;
  const subtle = SubtleCrypto.prototype as unknown as Record<string, unknown>;
  subtle['digest'] = async (_algorithm: unknown, data: Uint8Array) =>
    new Uint8Array(createHash('sha256').update(data).digest()).buffer;
  subtle['exportKey'] = async (_format: unknown, key: CryptoKey) => spkiOf(key).slice().buffer;
  subtle['verify'] = async (_algorithm: unknown, key: CryptoKey, signature: Uint8Array, data: Uint8Array) =>
    verify(null, data, KeyObject.from(key), signature);
  Object.assign(fsPromises, {
    mkdir: async (...args: Parameters<typeof fs.mkdirSync>) => fs.mkdirSync(...args),
    rename: async (...args: Parameters<typeof fs.renameSync>) => fs.renameSync(...args),
    rm: async (...args: Parameters<typeof fs.rmSync>) => fs.rmSync(...args),
  });
  Object.assign(timers, { setImmediate: () => counted(turn()) });
  syncBuiltinESMExports();
}

const exported = new WeakMap<CryptoKey, Uint8Array<ArrayBuffer>>();

function spkiOf(key: CryptoKey): Uint8Array<ArrayBuffer> {
  const spki =
    exported.get(key) ?? new Uint8Array(KeyObject.from(key).export({ type: 'spki', format: 'der' }));
  exported.set(key, spki);
  return spki;
}

/** Everything that could run without a turn of Node's loop has run: ticks come when no promise is left to go on, and the other way round. */
export function rest(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** One turn of Node's loop: everything that could run has run, and ports have delivered. */
export function turn(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve));
}

/** Turns after which a message through a MessagePort has arrived and been answered. */
export const PORT_TURNS = 4;

export async function turns(): Promise<void> {
  for (let i = 0; i < PORT_TURNS; i++) await turn();
}

/** Work that goes on without the clock: time stands still until it is done. */
export async function counted<T>(work: Promise<T>): Promise<T> {
  pending++;
  try {
    return await work;
  } finally {
    pending--;
  }
}

export function isBusy(): boolean {
  return pending > 0;
}
