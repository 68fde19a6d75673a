/**
 * A share of memory that several users divide: `take` waits, first come first served, until the bytes are free.
 * A request larger than the whole budget is granted when nothing else is held, so that it cannot wait for ever.
 */
import { KwamError } from '../errors.ts';

export interface Grant {
  release(): void;
}

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

export class ByteBudget {
  readonly bytesTotal: number;
  #held = 0;
  readonly #waiting: Waiter[] = [];

  constructor(bytesTotal: number) {
    this.bytesTotal = bytesTotal;
  }

  get bytesHeld(): number {
    return this.#held;
  }

  async take(bytes: number, signal?: AbortSignal): Promise<Grant> {
    if (signal?.aborted) throw cancelled(signal);
    if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#held += bytes;
    return this.#granted(bytes);
  }

  /** Without waiting: undefined when the bytes are not free now, or others wait for some. */
  tryTake(bytes: number): Grant | undefined {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return undefined;
    this.#held += bytes;
    return this.#granted(bytes);
  }

  #granted(bytes: number): Grant {
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#held -= bytes;
        this.#wake();
      },
    };
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.bytesTotal;
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(cancelled(signal));
        this.#wake();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #wake(): void {
    let next = this.#waiting[0];
    while (next !== undefined && this.#fits(next.bytes)) {
      this.#waiting.shift();
      this.#held += next.bytes;
      next.grant();
      next = this.#waiting[0];
    }
  }
}

export function cancelled(signal: AbortSignal | undefined): KwamError {
  return new KwamError('CANCELLED', 'the operation was cancelled', { cause: signal?.reason });
}
