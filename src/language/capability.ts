/** What a policy can grant, and which of it nobody does alone. The words are the language's; who holds them is decided at run time. */
export const CAPABILITIES = ['discover', 'replicate', 'deploy', 'quarantine', 'override_budget'] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** These can take a service or its evidence away: each use takes two people. */
export const DESTRUCTIVE_CAPABILITIES: readonly string[] = [
  'deploy',
  'quarantine',
  'override_budget',
] satisfies readonly Capability[];

export function isCapability(word: string): word is Capability {
  return (CAPABILITIES as readonly string[]).includes(word);
}
