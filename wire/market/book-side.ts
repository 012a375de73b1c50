// The price levels of one side of a book, exact integers. Sorted with the best level last, where nearly
// all changes are: a change moves only the levels that are better than it. Bounded: beyond the maximum
// the levels farthest from the market are forgotten.

/** 1 MiB of levels a side; the whole book of a liquid pair has some ten thousand. */
export const MAX_LEVELS = 65_536;
const FIRST_LEVELS = 1024;

export class BookSide {
  /** 1: the highest price is best (bids); -1: the lowest (asks). */
  readonly #sign: 1 | -1;
  /** Price × sign, ascending. */
  #keys = new Float64Array(FIRST_LEVELS);
  #quantities = new Float64Array(FIRST_LEVELS);
  #levels = 0;

  constructor(sign: 1 | -1) {
    this.#sign = sign;
  }

  get levels(): number {
    return this.#levels;
  }

  /** Scaled price of the level at this depth, 0 the best; null beyond the last. */
  price(depth: number): number | null {
    const key = depth < 0 ? undefined : this.#keys[this.#levels - 1 - depth];
    if (key === undefined || depth >= this.#levels) return null;
    return this.#sign * key;
  }

  /** Scaled quantity of the level at this depth; 0 beyond the last. */
  quantity(depth: number): number {
    if (depth < 0 || depth >= this.#levels) return 0;
    return this.#quantities[this.#levels - 1 - depth] ?? 0;
  }

  /** Scaled quantity at a price; 0 when there is no such level. */
  quantityAt(price: number): number {
    const key = this.#sign * price;
    const index = this.#find(key);
    return index < this.#levels && this.#keys[index] === key ? (this.#quantities[index] ?? 0) : 0;
  }

  clear(): void {
    this.#levels = 0;
  }

  /** Sets one level; quantity 0 removes it. */
  set(price: number, quantity: number): void {
    const key = this.#sign * price;
    const index = this.#find(key);
    if (index < this.#levels && this.#keys[index] === key) {
      if (quantity === 0) this.#remove(index);
      else this.#quantities[index] = quantity;
    } else if (quantity !== 0) {
      this.#insert(index, key, quantity);
    }
  }

  /** Index of the first key that is not below `key`. */
  #find(key: number): number {
    let low = 0;
    let high = this.#levels;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #remove(index: number): void {
    this.#keys.copyWithin(index, index + 1, this.#levels);
    this.#quantities.copyWithin(index, index + 1, this.#levels);
    this.#levels--;
  }

  #insert(index: number, key: number, quantity: number): void {
    let at = index;
    if (this.#levels === MAX_LEVELS) {
      if (index === 0) return;
      this.#remove(0);
      at--;
    } else if (this.#levels === this.#keys.length) {
      this.#grow();
    }
    this.#keys.copyWithin(at + 1, at, this.#levels);
    this.#quantities.copyWithin(at + 1, at, this.#levels);
    this.#keys[at] = key;
    this.#quantities[at] = quantity;
    this.#levels++;
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    const quantities = new Float64Array(keys.length);
    keys.set(this.#keys);
    quantities.set(this.#quantities);
    this.#keys = keys;
    this.#quantities = quantities;
  }
}
