/**
 * What to believe of the health of each domain and each node, from the evidence so far: one filter over a tree of domains
 * (az, spine, pdu, rack) with nodes as its leaves.
 * In: the nodes with their labels; then, tick by tick, the evidence of every node. Out: probabilities.
 * Method: within a tick exact inference on the tree, by one sweep of messages up and one down (Pearl 1982): how well the evidence below
 *   fits each state of the domain above. Many silent nodes of one rack thus raise the chance that the rack is down, and by the
 *   same sum lower the chance that any of them is lost. Between ticks the belief is kept as a product of its margins (Boyen and
 *   Koller 1998), so a tick costs O(nodes).
 * Holds: + − × ÷ only, the same on every machine. Quiet subtrees that are at rest cost nothing. A domain of which one node is watched
 *   never explains that node's silence: its outage and the node's loss would look the same, and only one of them may be waited for.
 * Does not decide anything (repair/reconstruction.ts) and measures nothing.
 */
import { KwamError } from '../errors.ts';
import { DOMAINS, type Domain, type Labels } from '../plan.ts';
import { ALL_WELL, type Evidence, isAllWell } from './evidence.ts';
import {
  beliefFloor,
  DOMAIN_CHANGE,
  DOMAIN_STATES,
  likelihoodsOf,
  NODE_CHANGE,
  NODE_STATES,
  type NodeState,
} from './model.ts';

export interface WatchedNode {
  readonly name: string;
  readonly labels: Labels;
}

/** Chances that sum to one, but for `domainDown`, which is apart: a node may be well in a rack that is down. */
export interface NodeBelief {
  readonly ok: number;
  readonly suspect: number;
  /** It will be back with its data. */
  readonly transient: number;
  /** Its data is gone. */
  readonly permanent: number;
  /** Its rack, or a domain around it, is down. */
  readonly domainDown: number;
}

export interface DomainBelief {
  readonly ok: number;
  readonly degraded: number;
  readonly down: number;
}

/** One value for each effective state of the domain above: ok, degraded, down. */
type Message = readonly [number, number, number];
type Chances = readonly number[];

interface Leaf {
  readonly name: string;
  chances: Chances;
  domainDown: number;
  /** Of this tick: prediction and likelihood. */
  evidence: Evidence;
  predicted: Chances;
  message: Message;
}

interface Vertex {
  readonly kind: Domain;
  readonly children: (Vertex | Leaf)[];
  /** Nodes below. A domain of one node tells nothing that the node does not. */
  nodeCount: number;
  chances: Chances;
  predicted: Chances;
  message: Message;
  /** Nothing below differs from its state of rest, in belief and in evidence. */
  isAtRest: boolean;
}

const isLeaf = (child: Vertex | Leaf): child is Leaf => 'name' in child;
/** Index of DOMAIN_STATES. */
type DomainState = 0 | 1 | 2;
const STATES: readonly DomainState[] = [0, 1, 2];
const worse = (a: DomainState, b: DomainState): DomainState => (a > b ? a : b);
const ANYTHING: Message = [1, 1, 1];
/** A belief this close to its state of rest is at rest. */
const REST_DISTANCE = 1e-6;

export class HealthBelief {
  readonly #roots: Vertex[] = [];
  readonly #leaves = new Map<string, Leaf>();
  readonly #domains = new Map<string, Vertex>();

  /** @param earlier  what was believed of nodes and domains that are still there is kept */
  constructor(nodes: readonly WatchedNode[], earlier?: HealthBelief) {
    for (const { name, labels } of nodes) {
      if (this.#leaves.has(name)) {
        throw new KwamError('USAGE', `expected distinct node names, got ${name} twice`, {
          context: { name },
        });
      }
      const before = earlier === undefined ? undefined : earlier.#leaves.get(name);
      const leaf: Leaf = {
        name,
        chances: before?.chances ?? REST_NODE,
        domainDown: before?.domainDown ?? 0,
        ...unseen(REST_NODE),
        evidence: ALL_WELL,
      };
      this.#leaves.set(name, leaf);
      this.#rackOf(labels, earlier).children.push(leaf);
    }
  }

  /** One tick has passed and this was seen in it. A node that is not named was well. */
  observe(evidence: ReadonlyMap<string, Evidence>): void {
    for (const leaf of this.#leaves.values()) leaf.evidence = evidence.get(leaf.name) ?? ALL_WELL;
    for (const root of this.#roots) {
      upward(root);
      if (!root.isAtRest) downward(root, [1, 0, 0]);
    }
  }

  node(name: string): NodeBelief {
    const leaf = this.#leaves.get(name);
    if (leaf === undefined) {
      throw new KwamError('NOT_FOUND', `expected a node that is watched, got ${name}`, { context: { name } });
    }
    const chanceOf = (...states: readonly NodeState[]): number =>
      states.reduce((sum, state) => sum + leaf.chances[NODE_STATES.indexOf(state)]!, 0);
    return {
      ok: chanceOf('ok'),
      suspect: chanceOf('suspect'),
      transient: chanceOf('restart 1', 'restart 2', 'restart 3', 'away'),
      permanent: chanceOf('disk lost', 'lost'),
      domainDown: leaf.domainDown,
    };
  }

  /** The domain of this kind in which such a node lies. */
  domain(kind: Domain, labels: Labels): DomainBelief {
    const vertex = this.#domains.get(pathOf(kind, labels));
    if (vertex === undefined) {
      throw new KwamError('NOT_FOUND', `expected a ${kind} that is watched, got ${pathOf(kind, labels)}`);
    }
    const [ok, degraded, down] = vertex.chances as [number, number, number];
    return { ok, degraded, down };
  }

  #rackOf(labels: Labels, earlier: HealthBelief | undefined): Vertex {
    let siblings: (Vertex | Leaf)[] = this.#roots;
    let vertex: Vertex | undefined;
    for (const kind of DOMAINS) {
      const path = pathOf(kind, labels);
      vertex = this.#domains.get(path);
      if (vertex === undefined) {
        const before = earlier === undefined ? undefined : earlier.#domains.get(path);
        const chances = before?.chances ?? REST_DOMAIN;
        vertex = { kind, children: [], nodeCount: 0, chances, ...unseen(REST_DOMAIN), isAtRest: false };
        this.#domains.set(path, vertex);
        siblings.push(vertex);
      }
      vertex.nodeCount++;
      siblings = vertex.children;
    }
    return vertex!;
  }
}

/** Labels repeat under different parents ("rack1" of each power unit): the whole path names a domain. */
function pathOf(kind: Domain, labels: Labels): string {
  return DOMAINS.slice(0, DOMAINS.indexOf(kind) + 1)
    .map((domain) => labels[domain])
    .join('/');
}

function unseen(chances: Chances): { predicted: Chances; message: Message } {
  return { predicted: chances, message: ANYTHING };
}

function change(chances: Chances, matrix: readonly Chances[]): number[] {
  return chances.map((_, to) => chances.reduce((sum, chance, from) => sum + chance * matrix[from]![to]!, 0));
}

function normalized(weights: readonly number[]): Chances {
  const sum = weights.reduce((a, b) => a + b, 0);
  const raised = weights.map((weight) => Math.max(weight / sum, beliefFloor));
  const raisedSum = raised.reduce((a, b) => a + b, 0);
  return raised.map((weight) => weight / raisedSum);
}

/** Only ratios of a message matter; its largest entry is kept at one, so that a thousand factors do not vanish. */
function messageOf(valueIn: (domain: DomainState) => number): Message {
  const values = [valueIn(0), valueIn(1), valueIn(2)] as const;
  const largest = Math.max(...values);
  return [values[0] / largest, values[1] / largest, values[2] / largest];
}

function product(a: Message, b: Message): Message {
  return messageOf((domain) => a[domain] * b[domain]);
}

function upward(vertex: Vertex): void {
  for (const child of vertex.children) if (!isLeaf(child)) upward(child);
  const isQuiet = isNear(vertex.chances, REST_DOMAIN) && vertex.children.every(isResting);
  if (isQuiet && vertex.isAtRest) return;
  if (isQuiet) settle(vertex);
  vertex.isAtRest = isQuiet;
  for (const child of vertex.children) if (isLeaf(child)) readEvidence(child);
  const below = vertex.children.reduce((all, child) => product(all, child.message), ANYTHING);
  vertex.predicted = vertex.nodeCount > 1 ? change(vertex.chances, DOMAIN_CHANGE[vertex.kind]) : REST_DOMAIN;
  vertex.message = messageOf((above) =>
    STATES.reduce<number>((sum, own) => sum + vertex.predicted[own]! * below[worse(own, above)], 0),
  );
}

function isResting(child: Vertex | Leaf): boolean {
  return isLeaf(child) ? isAllWell(child.evidence) && isNear(child.chances, REST_NODE) : child.isAtRest;
}

/** From near its state of rest to there, so that it stays. */
function settle(vertex: Vertex): void {
  vertex.chances = REST_DOMAIN;
  for (const child of vertex.children) {
    if (!isLeaf(child)) continue;
    child.chances = REST_NODE;
    child.domainDown = 0;
  }
}

function readEvidence(leaf: Leaf): void {
  const likelihoods = likelihoodsOf(leaf.evidence);
  leaf.predicted = change(leaf.chances, NODE_CHANGE);
  leaf.message = messageOf((domain) => dot(leaf.predicted, likelihoods[domain]!));
}

function dot(a: Chances, b: Chances): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** `outside`: how well everything outside this vertex fits each effective state of the domain above it. */
function downward(vertex: Vertex, outside: Message): void {
  const { children, predicted } = vertex;
  const after = suffixProducts(children.map((child) => child.message));
  // Chance of each effective state of this vertex, as far as the outside and its own prediction tell.
  const effective: [number, number, number] = [0, 0, 0];
  const own: [number, number, number] = [0, 0, 0];
  for (const above of STATES) {
    for (const state of STATES) {
      const weight = outside[above] * predicted[state]!;
      const together = worse(state, above);
      effective[together] += weight;
      own[state] += weight * after[0]![together];
    }
  }
  let before = ANYTHING;
  children.forEach((child, i) => {
    if (isLeaf(child)) conclude(child, product(effective, product(before, after[i + 1]!)));
    else if (!child.isAtRest) downward(child, product(effective, product(before, after[i + 1]!)));
    before = product(before, child.message);
  });
  vertex.chances = normalized(own);
}

/** result[i]: the product of all messages from i on. */
function suffixProducts(messages: readonly Message[]): Message[] {
  const products: Message[] = Array.from({ length: messages.length + 1 }, () => ANYTHING);
  for (let i = messages.length - 1; i >= 0; i--) products[i] = product(messages[i]!, products[i + 1]!);
  return products;
}

function conclude(leaf: Leaf, outside: Message): void {
  const { message, predicted } = leaf;
  const likelihoods = likelihoodsOf(leaf.evidence);
  leaf.chances = normalized(
    predicted.map(
      (chance, state) =>
        chance *
        STATES.reduce<number>((sum, domain) => sum + outside[domain] * likelihoods[domain]![state]!, 0),
    ),
  );
  const together = product(outside, message);
  leaf.domainDown = together[2] / (together[0] + together[1] + together[2]);
}

function isNear(a: Chances, b: Chances): boolean {
  return a.every((chance, i) => Math.abs(chance - b[i]!) <= REST_DISTANCE);
}

/** Where a node's belief stays while all is well: the fixed point of the filter, found by running it. */
const REST_TICKS_MAX = 20_000;

function restOfNode(): Chances {
  const well = likelihoodsOf(ALL_WELL)[0]!;
  let chances: Chances = NODE_STATES.map((_, state) => (state === 0 ? 1 : 0));
  for (let tick = 0; tick < REST_TICKS_MAX; tick++) {
    const predicted = change(chances, NODE_CHANGE);
    const next = normalized(predicted.map((chance, state) => chance * well[state]!));
    if (next.every((chance, state) => chance === chances[state])) break;
    chances = next;
  }
  return chances;
}

export const REST_NODE: Chances = restOfNode();
/** While its nodes answer, a domain is ok but for the floor. */
const REST_DOMAIN: Chances = normalized(DOMAIN_STATES.map((_, state) => (state === 0 ? 1 : 0)));
