// The price levels of one side of a book, exact integers. Sorted with the best level last, where nearly
// all changes are: a change moves only the levels that are better than it. Bounded: beyond the maximum
// the levels farthest from the market are forgotten.

/** 1 MiB of levels a side; the whole book of a liquid pair has some ten thousand. */
export const MAX_LEVELS = 65_536;
const FIRST_LEVELS = 1024;

export class BookSide {
  /** 1: the highest price is best (bids); -1: the lowest (asks). */
  readonly #sign: 1 | -1;
  /** Price × sign, ascending, and quantity in turns: one move makes room for both. */
  #pairs = new Float64Array(2 * FIRST_LEVELS);
  #levels = 0;

  constructor(sign: 1 | -1) {
    this.#sign = sign;
  }

  get levels(): number {
    return this.#levels;
  }

  /** Scaled price of the level at this depth, 0 the best; null beyond the last. */
  price(depth: number): number | null {
    const key = depth < 0 ? undefined : this.#pairs[2 * (this.#levels - 1 - depth)];
    if (key === undefined || depth >= this.#levels) return null;
    return this.#sign * key;
  }

  /** Scaled quantity of the level at this depth; 0 beyond the last. */
  quantity(depth: number): number {
    if (depth < 0 || depth >= this.#levels) return 0;
    return this.#pairs[2 * (this.#levels - 1 - depth) + 1] ?? 0;
  }

  /** Scaled quantity at a price; 0 when there is no such level. */
  quantityAt(price: number): number {
    const key = this.#sign * price;
    const index = this.#find(key);
    const there = index < this.#levels && this.#pairs[2 * index] === key;
    return there ? (this.#pairs[2 * index + 1] ?? 0) : 0;
  }

  clear(): void {
    this.#levels = 0;
  }

  /** Sets one level; quantity 0 removes it. */
  set(price: number, quantity: number): void {
    const key = this.#sign * price;
    const index = this.#find(key);
    if (index < this.#levels && this.#pairs[2 * index] === key) {
      if (quantity === 0) this.#remove(index);
      else this.#pairs[2 * index + 1] = quantity;
    } else if (quantity !== 0) {
      this.#insert(index, key, quantity);
    }
  }

  /** Index of the first key that is not below `key`. */
  #find(key: number): number {
    const pairs = this.#pairs;
    let low = 0;
    let high = this.#levels;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((pairs[2 * middle] ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #remove(index: number): void {
    this.#pairs.copyWithin(2 * index, 2 * index + 2, 2 * this.#levels);
    this.#levels--;
  }

  #insert(index: number, key: number, quantity: number): void {
    let at = index;
    if (this.#levels === MAX_LEVELS) {
      if (index === 0) return;
      this.#remove(0);
      at--;
    } else if (2 * this.#levels === this.#pairs.length) {
      this.#grow();
    }
    this.#pairs.copyWithin(2 * at + 2, 2 * at, 2 * this.#levels);
    this.#pairs[2 * at] = key;
    this.#pairs[2 * at + 1] = quantity;
    this.#levels++;
  }

  #grow(): void {
    const pairs = new Float64Array(2 * this.#pairs.length);
    pairs.set(this.#pairs);
    this.#pairs = pairs;
  }
}
