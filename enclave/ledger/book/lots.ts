// What is held of one thing, in the order in which it was come by: long or short lots with what each cost. A sale takes
// from the oldest lot (first in, first out) or from all alike (average cost), and what it realises is proceeds less
// cost. Cost of a part is always the difference of two shares of the lot's whole cost, so that closing in one
// sale or in many leaves the same digits, and a closed lot leaves none. Copies are cheap: lots never change.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute, shareOf } from '../../../wire/fixed.ts';

export const LOT_METHODS = ['fifo', 'average'] as const;
export type LotMethod = (typeof LOT_METHODS)[number];

interface Lot {
  /** Positive: long. */
  readonly quantity: Fixed;
  /** What it cost; of a short one what it brought, negative. */
  readonly cost: Fixed;
}

/** Beyond it the older half becomes one lot, at its average cost: memory of an account has an end. */
export const MAX_LOTS = 50_000;

export class Lots {
  readonly method: LotMethod;
  /** Shared between copies; each sees #first to #end of it. */
  #lots: Lot[] = [];
  #first = 0;
  #end = 0;
  /** Of the first one, and what that had cost. */
  #left: Fixed = 0n;
  #leftCost: Fixed = 0n;
  #quantity: Fixed = 0n;
  #cost: Fixed = 0n;

  constructor(method: LotMethod) {
    this.method = method;
  }

  get quantity(): Fixed {
    return this.#quantity;
  }

  get cost(): Fixed {
    return this.#cost;
  }

  get size(): number {
    return this.#end - this.#first;
  }

  copy(): Lots {
    const copy = new Lots(this.method);
    copy.#lots = this.#lots;
    copy.#first = this.#first;
    copy.#end = this.#end;
    copy.#left = this.#left;
    copy.#leftCost = this.#leftCost;
    copy.#quantity = this.#quantity;
    copy.#cost = this.#cost;
    return copy;
  }

  /**
   * `quantity` more, or less where it is negative, for `cost`: positive where it was paid, negative where it was
   * received. Gives what that realised. The cost of all lots grows by `cost` and what was realised.
   */
  add(quantity: Fixed, cost: Fixed): Fixed {
    // Money without a quantity cannot be a lot.
    if (quantity === 0n) return -cost;
    if (this.#quantity === 0n || this.#quantity < 0n === quantity < 0n) {
      this.#append(quantity, cost);
      return 0n;
    }
    const held = absolute(this.#quantity);
    const moved = absolute(quantity);
    if (moved <= held) return -(this.#take(moved) + cost);
    const closing = shareOf(cost, held, moved);
    const realised = -(this.#take(held) + closing);
    this.#append(quantity < 0n ? held - moved : moved - held, cost - closing);
    return realised;
  }

  /** For the state: what is left of the first one, then quantity and cost of each as it was when it was opened. */
  toNumbers(): readonly Fixed[] {
    if (this.size === 0) return [];
    const lots = this.#lots.slice(this.#first, this.#end);
    return [this.#left, ...lots.flatMap(({ quantity, cost }) => [quantity, cost])];
  }

  /** Null for numbers that are no lots of one sign. */
  static of(method: LotMethod, numbers: readonly Fixed[]): Lots | null {
    const lots = new Lots(method);
    if (numbers.length === 0) return lots;
    if (numbers.length % 2 === 0 || numbers.length < 3) return null;
    for (let at = 1; at < numbers.length; at += 2) {
      const quantity = numbers[at] ?? 0n;
      if (quantity === 0n || quantity < 0n !== (numbers[1] ?? 0n) < 0n) return null;
      lots.#append(quantity, numbers[at + 1] ?? 0n);
    }
    const gone = absolute(numbers[1] ?? 0n) - absolute(numbers[0] ?? 0n);
    if (gone < 0n || numbers[0] === 0n || (numbers[0] ?? 0n) < 0n !== (numbers[1] ?? 0n) < 0n)
      return null;
    if (gone > 0n) lots.#take(gone);
    return lots;
  }

  #append(quantity: Fixed, cost: Fixed): void {
    // Another copy has gone on from here in its own way.
    if (this.#end < this.#lots.length) this.#own(this.#first);
    if (this.method === 'average' && this.size > 0) {
      this.#lots = [{ quantity: this.#quantity + quantity, cost: this.#cost + cost }];
      this.#first = 0;
      this.#end = 1;
      this.#left = this.#quantity + quantity;
      this.#leftCost = this.#cost + cost;
    } else {
      if (this.size === 0) {
        this.#left = quantity;
        this.#leftCost = cost;
      }
      this.#lots.push({ quantity, cost });
      this.#end++;
    }
    this.#quantity += quantity;
    this.#cost += cost;
    if (this.size > MAX_LOTS) this.#merge();
  }

  /** Takes `quantity`, positive and not more than there is, off the oldest lots; gives what it had cost. */
  #take(quantity: Fixed): Fixed {
    let rest = quantity;
    let cost = 0n;
    while (rest > 0n) {
      const lot = this.#lots[this.#first];
      if (lot === undefined) throw new RangeError('more taken than there is');
      const left = absolute(this.#left);
      const taken = rest < left ? rest : left;
      const after = this.#left < 0n ? this.#left + taken : this.#left - taken;
      const costAfter = after === 0n ? 0n : shareOf(lot.cost, after, lot.quantity);
      cost += this.#leftCost - costAfter;
      this.#left = after;
      this.#leftCost = costAfter;
      rest -= taken;
      if (after === 0n) this.#next();
    }
    this.#quantity += this.#quantity < 0n ? quantity : -quantity;
    this.#cost -= cost;
    return cost;
  }

  #next(): void {
    this.#first++;
    // Lots that are gone are half of the list: let go of them.
    if (this.#first > 1024 && this.#first * 2 > this.#end) this.#own(this.#first);
    const lot = this.size > 0 ? this.#lots[this.#first] : undefined;
    this.#left = lot?.quantity ?? 0n;
    this.#leftCost = lot?.cost ?? 0n;
  }

  #own(first: number): void {
    this.#lots = this.#lots.slice(first, this.#end);
    this.#end -= first;
    this.#first = 0;
  }

  #merge(): void {
    const lots = this.#lots.slice(this.#first, this.#end);
    const rest = lots.splice(0, lots.length >>> 1);
    let cost = 0n;
    let quantity = 0n;
    for (const [at, lot] of rest.entries()) {
      quantity += at === 0 ? this.#left : lot.quantity;
      cost += at === 0 ? this.#leftCost : lot.cost;
    }
    this.#lots = [{ quantity, cost }, ...lots];
    this.#first = 0;
    this.#end = this.#lots.length;
    this.#left = quantity;
    this.#leftCost = cost;
  }
}
