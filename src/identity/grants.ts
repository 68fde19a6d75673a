/**
 * Grants: which authenticated peer may do what. Default deny.
 * In: the grants of a policy, and a peer's SPIFFE ID, its address and the capability that it needs. Out: a decision that names the grant,
 * or the rule that refused.
 * Patterns are compiled once, not at every call, and an ID is cut into segments once, not for every pattern. Grants add up: one that allows is enough.
 * Does not authenticate (svid.ts) and does not count signatures: a destructive capability needs a consent token on top of its grant.
 */
import { KwamError } from '../errors.ts';
import { type Capability, DESTRUCTIVE_CAPABILITIES, isCapability } from '../language/capability.ts';
import { type Network, networkContains, parseNetwork } from '../language/cidr.ts';
import { compileGlob, segmentsOf } from '../language/glob-matcher.ts';
import { parseSpiffePattern } from '../language/spiffe-pattern.ts';
import type { GrantPlan } from '../plan.ts';

export interface Grant {
  readonly pattern: string;
  matches(peer: PeerPath): boolean;
  readonly capabilities: ReadonlySet<Capability>;
  readonly signedBy: string;
  readonly discoverScope: readonly Network[];
  /** Destructive capabilities take two people whatever a grant says. */
  needsTwo(capability: Capability): boolean;
}

export interface AccessRequest {
  /** Proven by the transport. */
  readonly peer: string;
  /** Where the peer's connection comes from; undefined when the transport does not know. */
  readonly address: string | undefined;
  readonly capability: Capability;
}

export type Decision =
  | { readonly allowed: true; readonly grant: string }
  | { readonly allowed: false; readonly rule: GrantRule; readonly expected: string; readonly actual: string };

export type GrantRule = 'grant-peer' | 'grant-capability' | 'grant-discover-scope';

const SCHEME = 'spiffe://';

/** A SPIFFE ID cut into trust domain and segments, once for all patterns; undefined for a text that no pattern matches. */
export type PeerPath = readonly string[] | undefined;

export function peerPath(id: string): PeerPath {
  return id.startsWith(SCHEME) ? segmentsOf(id.slice(SCHEME.length), '/') : undefined;
}

/** @throws KwamError USAGE  a plan that no compiler of ours has made. */
export function compileGrants(sources: readonly GrantPlan[]): readonly Grant[] {
  return sources.map(compileGrant);
}

function compileGrant(source: GrantPlan): Grant {
  const { pattern, signedBy, dualControl } = source;
  const glob = parseSpiffePattern(pattern);
  if (typeof glob === 'string') throw badGrant(pattern, `a SPIFFE pattern: ${glob}`, pattern);
  const matches = compileGlob(glob);
  const capabilities = source.caps.map((word) => {
    if (!isCapability(word)) throw badGrant(pattern, 'a capability', word);
    return word;
  });
  return {
    pattern,
    matches: (peer) => peer !== undefined && matches(peer),
    capabilities: new Set(capabilities),
    signedBy,
    discoverScope: source.discoverScope.map((text) => networkOf(pattern, text)),
    needsTwo: (capability) => dualControl || DESTRUCTIVE_CAPABILITIES.includes(capability),
  };
}

function networkOf(pattern: string, text: string): Network {
  const network = parseNetwork(text);
  if (network === undefined) throw badGrant(pattern, 'a network in canonical form', text);
  return network;
}

function badGrant(pattern: string, expected: string, actual: string): KwamError {
  return new KwamError(
    'USAGE',
    `grant "${pattern}": expected ${expected}, got ${JSON.stringify(actual)}; compile the plan again from its program`,
  );
}

export function decide(grants: readonly Grant[], request: AccessRequest): Decision {
  const { peer, address, capability } = request;
  const path = peerPath(peer);
  const ofPeer = grants.filter((grant) => grant.matches(path));
  if (ofPeer.length === 0) return deny('grant-peer', 'a peer that some grant of the policy names', peer);
  const holding = ofPeer.filter((grant) => grant.capabilities.has(capability));
  if (holding.length === 0) return deny('grant-capability', `the capability ${capability}`, heldBy(ofPeer));
  const inScope = capability === 'discover' ? holding.filter((grant) => isInScope(grant, address)) : holding;
  if (inScope.length > 0) return { allowed: true, grant: inScope[0]!.pattern };
  return deny('grant-discover-scope', 'an address within discover_scope', address ?? 'an unknown address');
}

function isInScope({ discoverScope }: Grant, address: string | undefined): boolean {
  return address !== undefined && discoverScope.some((network) => networkContains(network, address));
}

function heldBy(grants: readonly Grant[]): string {
  const words = new Set(grants.flatMap(({ capabilities }) => [...capabilities]));
  return `only ${[...words].join(', ') || 'none'}`;
}

function deny(rule: GrantRule, expected: string, actual: string): Decision {
  return { allowed: false, rule, expected, actual };
}
