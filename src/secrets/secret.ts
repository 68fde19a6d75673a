/**
 * A secret that has been resolved: it goes where it is used, and nowhere else.
 * Opaque: printed, serialised, inspected or put into a text it is `[secret]`. Only who uses it asks `revealSecret`, at that moment.
 * What a process holds is remembered for redaction.ts, so that a text which slipped through elsewhere is still caught.
 */
import { inspect } from 'node:util';
import { rememberSecret } from './redaction.ts';

const PRINTED = '[secret]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    rememberSecret(text);
  }

  static textOf(secret: Secret): string {
    return secret.#text;
  }

  toString(): string {
    return PRINTED;
  }

  toJSON(): string {
    return PRINTED;
  }

  [inspect.custom](): string {
    return PRINTED;
  }
}

/** The text itself. Call it in the expression that uses it, and keep no copy. */
export function revealSecret(secret: Secret): string {
  return Secret.textOf(secret);
}
