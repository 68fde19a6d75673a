/**
 * Patterns of segments, and whether everything that one pattern matches is matched by another.
 * In: patterns such as `fleet.*.node*` or `acme/**`, with their separator. Out: matches; inclusion with a shortest counter-example.
 * Meaning: `*` alone is one segment, inside one it is any run of its characters, none included; `**` is zero or more segments.
 * Segments are never empty.
 * Method: each pattern is a nondeterministic automaton over characters and an end-of-segment mark. Inclusion searches, shortest first, for
 *   a string that takes the inner automaton to an end while no path of the outer one ends; a pair is skipped when an earlier one
 *   had the same inner state and fewer outer states (antichain: De Wulf, Doyen, Henzinger, Raskin 2006). Exact within
 *   `globSearchStatesMax` pairs; beyond them the answer is "not shown", never "included".
 */
import { assert } from '../errors.ts';
import { globCharactersMax, globSearchStatesMax } from '../limits.ts';

export type GlobSeparator = '.' | '/';

export interface Glob {
  readonly text: string;
  readonly separator: GlobSeparator;
  readonly segments: readonly string[];
}

export type Inclusion =
  | { readonly included: true }
  /** Matched by the inner pattern and not by the outer one; undefined when the search gave up. */
  | { readonly included: false; readonly counterExample: string | undefined };

/** A pattern, or a sentence that says what is wrong with it. */
export function parseGlob(text: string, separator: GlobSeparator): Glob | string {
  if (text === '') return 'a pattern is not empty';
  if (text.length > globCharactersMax) {
    return `a pattern has at most ${globCharactersMax} characters, not ${text.length}`;
  }
  const segments = text.split(separator);
  if (segments.includes('')) return `no segment between two \`${separator}\` is empty`;
  const mixed = segments.find((segment) => segment !== '**' && segment.includes('**'));
  if (mixed !== undefined) return `\`**\` stands alone in its segment, not inside \`${mixed}\``;
  return { text, separator, segments };
}

export function globMatches(glob: Glob, text: string): boolean {
  const automaton = automatonOf(glob);
  let states = automaton.close(START);
  for (const symbol of symbolsOf(text, glob.separator)) states = automaton.step(states, symbol);
  return automaton.accepts(states);
}

export function globIncludes(outer: Glob, inner: Glob): Inclusion {
  assert(outer.separator === inner.separator, 'patterns of one kind are compared');
  return new InclusionSearch(automatonOf(inner), automatonOf(outer), inner.separator).run();
}

/** The mark after each segment, so that `**` repeats one plain loop. No pattern has this character: it is a separator. */
const END = '\0';
const ANY = '*';

function* symbolsOf(text: string, separator: GlobSeparator): Generator<string> {
  if (text === '') return;
  for (const character of text) yield character === separator ? END : character;
  yield END;
}

/** Numbers of states, ascending and distinct. */
type States = readonly number[];
const START: States = [0];

/** State i is "the first i parts are matched"; `**` takes two states, outside and inside a segment. */
class Automaton {
  readonly alphabet = new Set<string>();
  /** moves[state]: what a symbol leads to. */
  readonly #moves: { on: string; to: number }[][] = [[]];
  /** State from which another one is reached for nothing. */
  readonly #free = new Map<number, number>();

  /** This and the next three continue from the last state. */
  character(on: string): void {
    this.#move(this.#last, on, this.#add());
    if (on !== END) this.alphabet.add(on);
  }

  anyCharacter(): void {
    this.#move(this.#last, ANY, this.#add());
  }

  run(): void {
    this.#move(this.#last, ANY, this.#last);
  }

  anySegments(): void {
    const outside = this.#last;
    const inside = this.#add();
    this.#move(outside, ANY, inside);
    this.#move(inside, ANY, inside);
    this.#move(inside, END, outside);
    this.#free.set(outside, this.#add());
  }

  step(states: States, symbol: string): States {
    const next = new Set<number>();
    for (const state of states) {
      for (const { on, to } of this.#moves[state]!) {
        if (on === symbol || (on === ANY && symbol !== END)) next.add(to);
      }
    }
    return this.close([...next]);
  }

  /** Free moves lead forward only, and a set is walked in the order of insertion, so one walk follows chains of them. */
  close(states: States): States {
    const closed = new Set(states);
    for (const state of closed) {
      const to = this.#free.get(state);
      if (to !== undefined) closed.add(to);
    }
    return [...closed].sort((a, b) => a - b);
  }

  accepts(states: States): boolean {
    return states.at(-1) === this.#last;
  }

  get #last(): number {
    return this.#moves.length - 1;
  }

  #add(): number {
    return this.#moves.push([]) - 1;
  }

  #move(from: number, on: string, to: number): void {
    this.#moves[from]!.push({ on, to });
  }
}

function automatonOf({ segments }: Glob): Automaton {
  const automaton = new Automaton();
  for (const segment of segments) {
    if (segment === '**') {
      automaton.anySegments();
      continue;
    }
    if (segment === '*') automaton.anyCharacter();
    for (const character of segment) {
      if (character === ANY) automaton.run();
      else automaton.character(character);
    }
    automaton.character(END);
  }
  return automaton;
}

function isSubset(smaller: States, larger: States): boolean {
  let at = 0;
  return smaller.every((state) => {
    while (at < larger.length && larger[at]! < state) at++;
    return larger[at] === state;
  });
}

interface Pair {
  readonly inner: number;
  readonly outer: States;
  readonly symbol: string;
  readonly before: Pair | undefined;
}

class InclusionSearch {
  readonly #inner: Automaton;
  readonly #outer: Automaton;
  readonly #separator: GlobSeparator;
  readonly #symbols: readonly string[];
  /** By inner state, the smallest outer sets met. */
  readonly #met = new Map<number, States[]>();
  readonly #queue: Pair[] = [];

  constructor(inner: Automaton, outer: Automaton, separator: GlobSeparator) {
    this.#inner = inner;
    this.#outer = outer;
    this.#separator = separator;
    const named = [...new Set([...inner.alphabet, ...outer.alphabet])].sort();
    this.#symbols = [...named, unnamedCharacter(named), END];
  }

  run(): Inclusion {
    this.#visitAll(this.#inner.close(START), this.#outer.close(START), '', undefined);
    for (let at = 0; at < this.#queue.length; at++) {
      const pair = this.#queue[at]!;
      if (this.#inner.accepts([pair.inner]) && !this.#outer.accepts(pair.outer)) {
        return { included: false, counterExample: this.#textOf(pair) };
      }
      if (this.#queue.length > globSearchStatesMax) return { included: false, counterExample: undefined };
      for (const symbol of this.#symbols) {
        const next = this.#inner.step([pair.inner], symbol);
        if (next.length > 0) this.#visitAll(next, this.#outer.step(pair.outer, symbol), symbol, pair);
      }
    }
    return { included: true };
  }

  #visitAll(inner: States, outer: States, symbol: string, before: Pair | undefined): void {
    for (const state of inner) {
      const met = this.#met.get(state) ?? [];
      if (met.some((smaller) => isSubset(smaller, outer))) continue;
      this.#met.set(state, [...met.filter((larger) => !isSubset(outer, larger)), outer]);
      this.#queue.push({ inner: state, outer, symbol, before });
    }
  }

  #textOf(pair: Pair): string {
    const symbols: string[] = [];
    for (let at: Pair | undefined = pair; at !== undefined; at = at.before) symbols.push(at.symbol);
    const text = symbols.reverse().join('');
    return text.slice(0, -1).replaceAll(END, this.#separator);
  }
}

/** Stands for all the characters that neither pattern names: they are alike to both. */
function unnamedCharacter(named: readonly string[]): string {
  for (const character of 'xyzabcdefghijklmnopqrstuvw0123456789_-') {
    if (!named.includes(character)) return character;
  }
  // More characters are named than are in that list; some other letter is free.
  for (let point = 0x100; ; point++) {
    const character = String.fromCodePoint(point);
    if (!named.includes(character)) return character;
  }
}
