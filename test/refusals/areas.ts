/** The areas of the refusal table, in its order. */
import { images } from './images.ts';
import type { Area } from './refusal.ts';
import { tokens } from './tokens.ts';

export const AREAS: readonly Area[] = [tokens, images];
