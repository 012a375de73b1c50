// Copies the rows of the subscribed instruments into the columns that a strategy reads. No object per
// row: whole columns when every row is wanted, which is the common case, and element by element
// otherwise.

import type { Batch } from '../../wire/batch.ts';
import type { RealmColumns } from './realm-types.ts';

export class RowWriter {
  readonly #columns: RealmColumns;
  /** 1 for a subscribed instrument. */
  readonly #wanted: Uint8Array = new Uint8Array(0x1_0000);

  constructor(columns: RealmColumns, subscribed: readonly number[]) {
    // Views of our own on the same memory: methods of the strategy's context are not called.
    this.#columns = {
      instrument: new Uint16Array(columns.instrument.buffer),
      kind: new Uint8Array(columns.kind.buffer),
      side: new Uint8Array(columns.side.buffer),
      flags: new Uint8Array(columns.flags.buffer),
      exchangeNs: new BigInt64Array(columns.exchangeNs.buffer),
      receiveNs: new BigInt64Array(columns.receiveNs.buffer),
      price: new Float64Array(columns.price.buffer),
      quantity: new Float64Array(columns.quantity.buffer),
      id: new Float64Array(columns.id.buffer),
      tops: columns.tops,
      signals: columns.signals,
    };
    for (const instrument of subscribed) this.#wanted[instrument] = 1;
  }

  /** Answers the number of rows written. */
  write(batch: Batch): number {
    for (let row = 0; row < batch.rows; row++) {
      if (this.#wanted[batch.instrument[row] ?? 0] === 0) return this.#select(batch, row);
    }
    this.#copy(batch, batch.rows);
    return batch.rows;
  }

  #copy(batch: Batch, rows: number): void {
    const to = this.#columns;
    to.instrument.set(batch.instrument.subarray(0, rows));
    to.kind.set(batch.kind.subarray(0, rows));
    to.side.set(batch.side.subarray(0, rows));
    to.flags.set(batch.flags.subarray(0, rows));
    to.exchangeNs.set(batch.exchangeTimeNs.subarray(0, rows));
    to.receiveNs.set(batch.receiveTimeNs.subarray(0, rows));
    to.price.set(batch.price.subarray(0, rows));
    to.quantity.set(batch.quantity.subarray(0, rows));
    to.id.set(batch.id.subarray(0, rows));
  }

  /** The first `same` rows are wanted, row number `same` is not. */
  #select(batch: Batch, same: number): number {
    this.#copy(batch, same);
    const to = this.#columns;
    let count = same;
    for (let row = same + 1; row < batch.rows; row++) {
      const instrument = batch.instrument[row] ?? 0;
      if (this.#wanted[instrument] === 0) continue;
      to.instrument[count] = instrument;
      to.kind[count] = batch.kind[row] ?? 0;
      to.side[count] = batch.side[row] ?? 0;
      to.flags[count] = batch.flags[row] ?? 0;
      to.exchangeNs[count] = batch.exchangeTimeNs[row] ?? 0n;
      to.receiveNs[count] = batch.receiveTimeNs[row] ?? 0n;
      to.price[count] = batch.price[row] ?? 0;
      to.quantity[count] = batch.quantity[row] ?? 0;
      to.id[count] = batch.id[row] ?? 0;
      count++;
    }
    return count;
  }
}
