/**
 * The server's half of one stream, the same over every transport: runs the handler, cuts its bytes into messages and
 * lets none out without credit.
 * In: a checked open message, the handler, a gate, a `send` that resolves once the bytes have been copied or written.
 * Out: resolves when everything was sent, rejects with whatever the handler, the gate or the wire raised.
 */
import { callCreditBytes } from '../limits.ts';
import { type CreditGate, messageBytesFor } from './credit.ts';
import type { CallContext, Handler, TransportObserver } from './transport.ts';
import { encodeJson, type Open } from './wire.ts';

export type Send = (message: Uint8Array) => Promise<void>;
export type StreamOpen = Exclude<Open, { kind: 'hello' }>;

export function creditBytesOf(open: StreamOpen): number {
  return open.kind === 'pull' ? open.creditBytes : callCreditBytes;
}

export async function serveStream(
  open: StreamOpen,
  handler: Handler,
  context: CallContext,
  gate: CreditGate,
  send: Send,
  observer: TransportObserver,
): Promise<void> {
  const sendOne: Send = async (message) => {
    await gate.take(message.length);
    await send(message);
    observer.sent(context.peer, message.length);
  };
  if (open.kind === 'call') {
    for await (const answer of handler.call(open.method, open.request, context)) {
      await sendOne(encodeJson(answer, 'an answer'));
    }
    return;
  }
  const messageBytes = messageBytesFor(open.creditBytes);
  for await (const bytes of handler.pull(open.request, context)) {
    for (let from = 0; from < bytes.length; from += messageBytes) {
      await sendOne(bytes.subarray(from, from + messageBytes));
    }
  }
}
