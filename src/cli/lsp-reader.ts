/**
 * Messages of the language server protocol from a byte stream, for the connection of vscode-jsonrpc.
 * In: bytes as they come. Out: one message at a time; what is none is told as an error and skipped, and reading goes on at the next header
 * that can be read. Source: LSP 3.18 "Base Protocol", JSON-RPC 2.0.
 * The package's own reader is not used, because a header without a length stops it until more arrives, a negative length for ever,
 * and any length is waited for in memory.
 */
import type { Readable } from 'node:stream';
import {
  AbstractMessageReader,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageReader,
} from 'vscode-languageserver-protocol/node';
import { editorHeaderBytesMax, editorMessageBytesMax } from '../limits.ts';

const HEADER_END = '\r\n\r\n';
/** The last one, so that rubbish before a header is passed over. */
const LENGTH = /content-length:[ \t]*([0-9]{1,15})[ \t]*(?:\r\n|$)/gi;

/** `id` null: which request it was cannot be known. Codes of JSON-RPC 2.0. */
export class MalformedMessage extends Error {
  readonly code: -32700 | -32600;

  constructor(code: -32700 | -32600, message: string) {
    super(message);
    this.code = code;
  }
}

export class FramedReader extends AbstractMessageReader implements MessageReader {
  readonly #input: Readable;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the message whose header has been read. */
  #bodyBytes: number | undefined;
  #callback: DataCallback | undefined;

  constructor(input: Readable) {
    super();
    this.#input = input;
  }

  listen(callback: DataCallback): Disposable {
    this.#callback = callback;
    const take = (chunk: Buffer): void => this.#take(chunk);
    this.#input.on('data', take);
    this.#input.on('error', (error) => this.fireError(error));
    this.#input.on('end', () => this.fireClose());
    this.#input.on('close', () => this.fireClose());
    return { dispose: () => this.#input.off('data', take) };
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#step());
  }

  /** Whether something was read, so that more may be there. */
  #step(): boolean {
    if (this.#bodyBytes === undefined) return this.#readHeader();
    if (this.#bytes < this.#bodyBytes) return false;
    const body = this.#remove(this.#bodyBytes);
    this.#bodyBytes = undefined;
    this.#deliver(body.toString('utf8'));
    return true;
  }

  #joined(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  #remove(count: number): Buffer {
    const all = this.#joined();
    this.#chunks = count === all.length ? [] : [all.subarray(count)];
    this.#bytes -= count;
    return all.subarray(0, count);
  }

  #readHeader(): boolean {
    if (this.#bytes === 0) return false;
    const end = this.#joined().indexOf(HEADER_END);
    if (end < 0) return this.#dropRubbish();
    const header = this.#remove(end + HEADER_END.length).toString('latin1', 0, end);
    const length = [...header.matchAll(LENGTH)].at(-1)?.[1];
    if (length === undefined) {
      this.fireError(new MalformedMessage(-32700, 'expected a header with Content-Length, got none'));
      return true;
    }
    this.#expectBody(Number(length));
    return true;
  }

  /** What is too long is passed over as rubbish: no text in JSON has a line's end in it, so nothing there looks like a header. */
  #expectBody(bytes: number): void {
    if (bytes <= editorMessageBytesMax) this.#bodyBytes = bytes;
    else this.fireError(new MalformedMessage(-32600, tooLong(bytes)));
  }

  /** A header is short: what is longer without an end is none, but its own last bytes may begin one. */
  #dropRubbish(): boolean {
    if (this.#bytes <= editorHeaderBytesMax) return false;
    this.#remove(this.#bytes - editorHeaderBytesMax / 2);
    return false;
  }

  #deliver(text: string): void {
    const message = messageOf(text);
    if (message instanceof MalformedMessage) this.fireError(message);
    else this.#callback?.(message);
  }
}

function tooLong(bytes: number): string {
  return `expected a message of at most ${editorMessageBytesMax} bytes, got ${bytes}; it is passed over`;
}

function messageOf(text: string): Message | MalformedMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return new MalformedMessage(-32700, `expected JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  const isMessage =
    typeof value === 'object' && value !== null && (value as Partial<Message>).jsonrpc === '2.0';
  if (isMessage) return value as Message;
  return new MalformedMessage(-32600, 'expected one JSON-RPC 2.0 message, an object with "jsonrpc": "2.0"');
}
