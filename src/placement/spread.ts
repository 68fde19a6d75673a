/**
 * Chooses `count` places so that no value of any listed domain is used more often than its cap.
 * In: classes (nodes with equal listed labels are interchangeable here), caps, a preference between classes.
 * Out: the chosen classes in the order taken, or undefined.
 * Method: take the most preferred class that fits, else step back; a class once stepped back over stays out, so each set is
 * tried once. Exact within `stepsMax` steps (general labels make this multi-dimensional matching, which is NP-hard).
 * Does not know nodes, weights or packs.
 */
export interface Classes {
  /** values[class][d]: which value of listed domain d the class has, 0 … valueCounts[d]-1. */
  readonly values: readonly (readonly number[])[];
  /** Nodes in each class. */
  readonly sizes: readonly number[];
  readonly valueCounts: readonly number[];
}

/** How good the next node of a class is, when `taken` of its nodes are already chosen; lower is preferred. */
type Preference = (index: number, taken: number) => number;

export function choose(
  classes: Classes,
  caps: readonly number[],
  count: number,
  preference: Preference,
  stepsMax: number,
): number[] | undefined {
  const search = new Search(classes, caps, preference);
  search.greedy(count);
  if (search.chosen.length === count) return search.chosen;
  const thorough = new Search(classes, caps, preference);
  return thorough.backtrack(count, { left: stepsMax }) ? thorough.chosen : undefined;
}

class Search {
  readonly chosen: number[] = [];
  readonly #classes: Classes;
  readonly #caps: readonly number[];
  readonly #preference: Preference;
  readonly #taken: number[];
  readonly #closed: boolean[];
  /** used[d][value]: how many chosen nodes have it. */
  readonly #used: number[][];

  constructor(classes: Classes, caps: readonly number[], preference: Preference) {
    this.#classes = classes;
    this.#caps = caps;
    this.#preference = preference;
    this.#taken = classes.sizes.map(() => 0);
    this.#closed = classes.sizes.map(() => false);
    this.#used = classes.valueCounts.map((values) => new Array<number>(values).fill(0));
  }

  greedy(count: number): void {
    while (this.chosen.length < count) {
      const best = this.#best();
      if (best < 0) return;
      this.#take(best, 1);
    }
  }

  backtrack(count: number, steps: { left: number }): boolean {
    const closedHere: number[] = [];
    let found = this.chosen.length === count;
    while (!found && steps.left-- > 0 && this.#canHold(count - this.chosen.length)) {
      const best = this.#best();
      this.#take(best, 1);
      found = this.backtrack(count, steps);
      if (found) break;
      this.#take(best, -1);
      this.#closed[best] = true;
      closedHere.push(best);
    }
    for (const index of closedHere) this.#closed[index] = false;
    return found;
  }

  #take(index: number, by: 1 | -1): void {
    if (by === 1) this.chosen.push(index);
    else this.chosen.pop();
    this.#taken[index]! += by;
    this.#classes.values[index]!.forEach((value, d) => {
      this.#used[d]![value]! += by;
    });
  }

  #fits(index: number): boolean {
    if (this.#closed[index] || this.#taken[index]! >= this.#classes.sizes[index]!) return false;
    const values = this.#classes.values[index]!;
    for (let d = 0; d < values.length; d++) if (this.#used[d]![values[d]!]! >= this.#caps[d]!) return false;
    return true;
  }

  #best(): number {
    let best = -1;
    let bestPreference = 0;
    for (let index = 0; index < this.#taken.length; index++) {
      if (!this.#fits(index)) continue;
      const order = best < 0 ? -1 : this.#compareUse(index, best);
      if (order > 0) continue;
      const preference = this.#preference(index, this.#taken[index]!);
      if (order === 0 && preference >= bestPreference) continue;
      best = index;
      bestPreference = preference;
    }
    return best;
  }

  /** Where sharing is allowed, the class whose widest domain is used least comes first. */
  #compareUse(left: number, right: number): number {
    const [a, b] = [this.#classes.values[left]!, this.#classes.values[right]!];
    for (let d = 0; d < this.#caps.length; d++) {
      if (this.#caps[d] === 1) continue;
      const difference = this.#used[d]![a[d]!]! - this.#used[d]![b[d]!]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** A bound: in every listed domain alone there is room for `count` more. True also says that some class fits. */
  #canHold(count: number): boolean {
    const open = this.#taken.map((taken, index) =>
      this.#fits(index) ? this.#classes.sizes[index]! - taken : 0,
    );
    if (sum(open) < count) return false;
    return this.#caps.every((cap, d) => {
      const room = this.#used[d]!.map(() => 0);
      open.forEach((free, index) => {
        room[this.#classes.values[index]![d]!]! += free;
      });
      return sum(room.map((free, value) => Math.min(free, cap - this.#used[d]![value]!))) >= count;
    });
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
