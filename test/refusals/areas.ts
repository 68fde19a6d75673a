/** The areas of the refusal table, in its order. */
import { calls } from './calls.ts';
import { identities } from './identities.ts';
import { images } from './images.ts';
import { manifests } from './manifests.ts';
import { modules } from './modules.ts';
import type { Area } from './refusal.ts';
import { releases } from './releases.ts';
import { secretRefusals } from './secrets.ts';
import { tokens } from './tokens.ts';
import { workload } from './workload.ts';

export const AREAS: readonly Area[] = [
  identities,
  workload,
  calls,
  tokens,
  releases,
  images,
  modules,
  manifests,
  secretRefusals,
];
