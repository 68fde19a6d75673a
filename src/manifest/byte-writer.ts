/**
 * A growing byte array for documents of unknown length.
 * In: text and bytes, one after another. Out: one array that holds them all. Owns its buffer until `done`.
 * A good guess of the length saves the second buffer that growing needs for a moment; room that was not used costs nothing
 * in Node, where large arrays are pages that come into being when they are written.
 * Does not know JSON; text is written as UTF-8 and must be well-formed.
 */
import { base64TextBytes, writeBase64 } from './base64.ts';

/** UTF-8 needs at most three bytes for a UTF-16 code unit. */
const utf8BytesPerUnitMax = 3;

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;
  readonly #utf8 = new TextEncoder();

  constructor(bytesExpected: number) {
    this.#bytes = new Uint8Array(Math.max(64, bytesExpected));
  }

  text(text: string): void {
    for (let rest = text; ; ) {
      const { read, written } = this.#utf8.encodeInto(rest, this.#bytes.subarray(this.#at));
      this.#at += written;
      if (read === rest.length) return;
      rest = rest.slice(read);
      this.#reserve(rest.length * utf8BytesPerUnitMax);
    }
  }

  base64(bytes: Uint8Array): void {
    this.#reserve(base64TextBytes(bytes.length));
    this.#at = writeBase64(bytes, this.#bytes, this.#at);
  }

  /** The bytes written, as a view; the writer must not be used afterwards. */
  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#at + more, Math.ceil(this.#bytes.length * 1.5)));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}
