/**
 * Why an image is not accepted: one error code, one rule for each check, always with expected, actual and what to do.
 * IMAGE_DIGEST_MISMATCH is kept apart: bytes that are not what their digest says are damage or attack, not a question of policy.
 */
import { KwamError } from '../errors.ts';

export interface Refusal {
  readonly rule: ImageRule;
  readonly expected: string;
  readonly actual: string;
  readonly remedy: string;
}

export type ImageRule =
  | 'image-reference'
  | 'image-tag'
  | 'image-digest-algorithm'
  | 'image-media-type'
  | 'image-manifest-form'
  | 'image-size'
  | 'image-unsigned'
  | 'image-threshold'
  | 'image-signature-count'
  | 'image-signature-incomplete'
  | 'image-layer-media-type'
  | 'image-layer-unsigned'
  | 'image-signature-encoding'
  | 'image-key'
  | 'image-payload-json'
  | 'image-payload-form'
  | 'image-payload-capitals'
  | 'image-payload-type'
  | 'image-other-image'
  | 'image-referrer-subject'
  | 'image-bundle-json'
  | 'image-bundle-media-type'
  | 'image-bundle-form'
  | 'image-keyless'
  | 'image-statement-media-type'
  | 'image-statement-json'
  | 'image-statement-type'
  | 'image-predicate-type'
  | 'image-index-form'
  | 'image-layout'
  | 'image-redirect'
  | 'image-token';

export function refusal({ rule, expected, actual, remedy }: Refusal): KwamError {
  return new KwamError('IMAGE_REFUSED', `image: expected ${expected}, got ${actual}; ${remedy}`, {
    context: { rule, expected, actual, remedy },
  });
}

export function refuse(why: Refusal): never {
  throw refusal(why);
}

/** Text of others in our messages: short, and without control characters. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
