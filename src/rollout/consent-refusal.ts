/** The form of every refusal of a consent token: the rule, what it asks, what was found, what to do. */
import { KwamError } from '../errors.ts';

interface Refusal {
  /** Stable, and one for each check: `context.rule` of the error. */
  readonly rule: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
  readonly cause?: unknown;
  /** Nothing is wrong with the token; the same rollout may ask again. */
  readonly retryable?: boolean;
}

export const ASK_AGAIN = 'ask for a new token with `kwam-dp consent request`';

export function refuseConsent({ rule, expected, actual, remedy, cause, retryable }: Refusal): never {
  throw new KwamError('CONSENT_REFUSED', `consent: expected ${expected}, got ${actual}; ${remedy}`, {
    context: { rule, expected, actual, remedy },
    ...(cause === undefined ? {} : { cause }),
    ...(retryable === undefined ? {} : { retryable }),
  });
}

/** Text of a stranger, on one line and not endless. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
