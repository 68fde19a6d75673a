/** Why a secret could not be had: one code, a rule for each reason. Names where the secret is kept, never what it is. */
import { KwamError } from '../errors.ts';

export type SecretRule =
  | 'secret-form'
  | 'secret-provider'
  | 'secret-missing'
  | 'secret-deleted'
  | 'secret-destroyed'
  | 'secret-denied'
  | 'secret-sealed'
  | 'secret-answer'
  | 'secret-field'
  | 'secret-size'
  | 'secret-address'
  | 'secret-token';

export interface SecretRefusal {
  readonly rule: SecretRule;
  readonly uri: string;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

export function refusal({ rule, uri, expected, actual, remedy, retryable, cause }: SecretRefusal): KwamError {
  return new KwamError('SECRET_UNREADABLE', `${uri}: expected ${expected}, got ${actual}; ${remedy}`, {
    context: { rule, secret: uri },
    ...(retryable === undefined ? {} : { retryable }),
    ...(cause === undefined ? {} : { cause }),
  });
}

export function refuse(why: SecretRefusal): never {
  throw refusal(why);
}
