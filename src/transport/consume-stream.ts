/**
 * The client's half of one stream, the same over every transport: opens it when the first answer is asked for, and
 * cancels it when the consumer leaves early or its signal is aborted.
 */
import type { CreditReceiver } from './credit.ts';
import { cancelled } from './failures.ts';
import type { JsonValue } from './transport.ts';
import { decodeJson } from './wire.ts';

export type OpenStream = () => CreditReceiver;

export async function* consumeBytes(
  open: OpenStream,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  if (signal?.aborted) throw cancelled(signal.reason);
  const receiver = open();
  const abort = () => receiver.fail(cancelled(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for (let bytes = await receiver.next(); bytes !== undefined; bytes = await receiver.next()) yield bytes;
  } finally {
    signal?.removeEventListener('abort', abort);
    // Otherwise the consumer has left its loop and the server must stop.
    if (!receiver.isOver) receiver.fail(cancelled());
  }
}

export async function* consumeJson(
  open: OpenStream,
  signal?: AbortSignal,
): AsyncGenerator<JsonValue, void, void> {
  for await (const bytes of consumeBytes(open, signal)) yield decodeJson(bytes, 'an answer');
}
