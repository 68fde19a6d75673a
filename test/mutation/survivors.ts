/**
 * Mutants that no test can kill, each with the reason. `npm run mutation` fails for a survivor that is not here, and for an entry that was
 * killed; mutation.test.ts fails for an entry that names no mutant any more.
 */
export interface Survivor {
  readonly source: string;
  /** As mutants.ts names it. */
  readonly mutant: string;
  readonly why: string;
}

const OWN_BUG =
  'only an error that is none of ours gets there, which would be a bug, and is not to read as a refusal';

const CLOCK =
  'a pause fails only when it is ended; a clock that fails otherwise would be a bug, and is not to read as that end';

export const SURVIVORS: readonly Survivor[] = [
  { source: 'src/identity/polled-identity.ts', mutant: 'sleeps: signal.aborted → true', why: CLOCK },
  { source: 'src/identity/polled-identity.ts', mutant: 'sleeps: throw error; → ;', why: CLOCK },
  {
    source: 'src/identity/workload-api.ts',
    mutant: 'read: !(error instanceof KwamError) → false',
    why: OWN_BUG,
  },
  { source: 'src/identity/workload-api.ts', mutant: 'read: throw error; → ;', why: OWN_BUG },
  { source: 'src/identity/workload-api.ts', mutant: 'ended: !signal.aborted → false', why: CLOCK },
  { source: 'src/identity/workload-api.ts', mutant: 'ended: throw error; → ;', why: CLOCK },
  {
    source: 'src/rollout/consent-desk.ts',
    mutant: 'deployOf: deploy !== undefined && client !== undefined → client !== undefined',
    why: 'without a deploy no client is found either; the compiler wants both',
  },
  {
    source: 'src/rollout/consent-token.ts',
    mutant: 'isWorkloadId: error instanceof KwamError → true',
    why: OWN_BUG,
  },
  { source: 'src/rollout/consent-token.ts', mutant: 'isWorkloadId: throw error; → ;', why: OWN_BUG },
  {
    source: 'src/rollout/consent-token.ts',
    mutant:
      "readText: !(cause instanceof KwamError) || cause.context['rule'] !== undefined → cause.context['rule'] !== undefined",
    why: OWN_BUG,
  },
  {
    source: 'src/rollout/consent-token.ts',
    mutant: "checkCapabilities: typeof value === 'string' → false",
    why: 'the characters of a text are no capabilities, so it is refused a line later',
  },
  {
    source: 'src/rollout/consent-verify.ts',
    mutant: 'readEnvelope: !(cause instanceof KwamError) → false',
    why: OWN_BUG,
  },
  { source: 'src/rollout/consent-verify.ts', mutant: 'readEnvelope: throw cause; → ;', why: OWN_BUG },
  {
    source: 'src/rollout/ledger.ts',
    mutant: 'claimConsent: committed → false',
    why: 'the entry is then read again, and is the same claim; only a round trip is lost',
  },
  {
    source: 'src/rollout/ledger.ts',
    mutant:
      "patiently: !(cause instanceof KwamError) || cause.code !== 'UNAVAILABLE' → cause.code !== 'UNAVAILABLE'",
    why: OWN_BUG,
  },
];
