/**
 * Instead of chance: every sequence of choices, one after another.
 * In: a program that asks `below` and does the same whenever it gets the same answers. Out: `next` says whether there is another sequence to
 * run it with. Of more than `most` values the first, the middle and the last stand for all.
 */
export class AllChoices {
  readonly #most: number;
  readonly #leftOut: (bound: number, value: number) => boolean;
  readonly #path: { readonly options: readonly number[]; at: number }[] = [];
  #depth = 0;

  /** @param leftOut  values of a choice of so many that are not looked at */
  constructor(most: number, leftOut: (bound: number, value: number) => boolean = () => false) {
    this.#most = most;
    this.#leftOut = leftOut;
  }

  below(bound: number): number {
    const step = this.#path[this.#depth] ?? { options: this.#optionsOf(bound), at: 0 };
    if (this.#depth === this.#path.length) this.#path.push(step);
    this.#depth++;
    return step.options[step.at]!;
  }

  #optionsOf(bound: number): readonly number[] {
    const all = bound <= this.#most ? [...Array(bound).keys()] : [0, bound >> 1, bound - 1];
    return all.filter((value) => !this.#leftOut(bound, value));
  }

  next(): boolean {
    this.#depth = 0;
    for (let last = this.#path.at(-1); last !== undefined; last = this.#path.at(-1)) {
      if (++last.at < last.options.length) return true;
      this.#path.pop();
    }
    return false;
  }
}
