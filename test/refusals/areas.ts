/** The areas of the refusal table, in its order. */
import { calls } from './calls.ts';
import { identities } from './identities.ts';
import { images } from './images.ts';
import type { Area } from './refusal.ts';
import { tokens } from './tokens.ts';

export const AREAS: readonly Area[] = [identities, calls, tokens, images];
