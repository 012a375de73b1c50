// What a backtest remembers of its run: signals, what became of their orders, fills, and after each batch the
// market, the positions and their value. Amounts are exact (host-proxy/execution/money.ts); the value of a
// position is what the middle of the book says, which nobody would have paid.

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { Account, Position } from '../../host-proxy/execution/account.ts';
import type { Amount } from '../../host-proxy/execution/money.ts';
import { toHex, writeU32 } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { Fill, Report, Side, Signal } from '../../wire/payloads.ts';
import { SIDE, STATUS } from '../../wire/payloads.ts';
import type { BatchOutcome } from './local-epoch.ts';

/** The largest fall of a result from its highest point before; 0 at the start counts as a point. */
export class Drawdown {
  #peak: Amount = 0n;
  #peakNs: bigint | null = null;
  largest: Amount = 0n;
  /** Null while nothing has fallen. */
  fromNs: bigint | null = null;
  toNs: bigint | null = null;

  add(value: Amount, timeNs: bigint): void {
    if (this.#peakNs === null || value > this.#peak) {
      if (value > this.#peak) this.#peak = value;
      this.#peakNs = timeNs;
    }
    if (this.#peak - value <= this.largest) return;
    this.largest = this.#peak - value;
    this.fromNs = this.#peakNs;
    this.toNs = timeNs;
  }
}

export interface RecordedFill extends Fill {
  readonly instrument: number;
  readonly side: Side;
  readonly signal: number;
  readonly clientOrderId: string;
}

interface OrderCounts {
  signals: number;
  buys: number;
  sells: number;
  accepted: number;
  filled: number;
  expired: number;
  cancelled: number;
}

function newCounts(): OrderCounts {
  return { signals: 0, buys: 0, sells: 0, accepted: 0, filled: 0, expired: 0, cancelled: 0 };
}

export class InstrumentRecord {
  readonly instrument: Instrument;
  readonly counts: OrderCounts = newCounts();
  readonly rejected: Partial<Record<RefusalCode, number>> = {};
  readonly drawdown: Drawdown = new Drawdown();
  fills = 0;
  bought = 0n;
  sold = 0n;
  /** One number a batch, for plots: middle of the book (NaN without), position, result. */
  readonly mids: number[] = [];
  readonly positions: number[] = [];

  constructor(instrument: Instrument) {
    this.instrument = instrument;
  }
}

const FINAL = {
  [STATUS.filled]: 'filled',
  [STATUS.cancelled]: 'cancelled',
  [STATUS.expired]: 'expired',
} as const;

/** realised + unrealised − fees; null while there is a position without a market. */
export function resultOf({ realised, unrealised, fees }: Position): Amount | null {
  return unrealised === null ? null : realised + unrealised - fees;
}

export class Recorder {
  readonly account: Account;
  readonly #instruments: ReadonlyMap<number, InstrumentRecord>;
  readonly #signals = new Map<number, Signal>();
  readonly #digest: Hash = createHash('sha256');
  readonly fills: RecordedFill[] = [];
  readonly drawdown: Drawdown = new Drawdown();
  /** One number a batch: receive time in ms, result in the quote currency (NaN without a market). */
  readonly timesMs: number[] = [];
  readonly results: number[] = [];
  batches = 0;
  rows = 0;
  gaps = 0;
  outputs = 0;
  reports = 0;
  lastNs = 0n;

  constructor(account: Account, instruments: readonly Instrument[]) {
    this.account = account;
    this.#instruments = new Map(
      instruments.map((instrument) => [instrument.id, new InstrumentRecord(instrument)]),
    );
  }

  get instruments(): readonly InstrumentRecord[] {
    return [...this.#instruments.values()];
  }

  /** SHA-256 over the outputs, each after its length (u32), hex. Ends the recording of outputs. */
  outputsDigest(): string {
    return toHex(new Uint8Array(this.#digest.digest()));
  }

  addBatch(outcome: BatchOutcome, rows: number, timeNs: bigint): void {
    this.batches++;
    this.rows += rows;
    this.gaps += outcome.gaps.length;
    this.lastNs = timeNs;
    for (const { leafIndex, bytes, signal } of outcome.outputs) {
      const length = new Uint8Array(4);
      writeU32(length, 0, bytes.length);
      this.#digest.update(length).update(bytes);
      this.#signals.set(leafIndex, signal);
      this.outputs++;
      const counts = this.#instruments.get(signal.instrument)?.counts;
      if (counts === undefined) continue;
      counts.signals++;
      counts[signal.side === SIDE.buy ? 'buys' : 'sells']++;
    }
    this.addReports(outcome.reports);
    this.#sample(timeNs);
  }

  addReports(reports: readonly Report[]): void {
    for (const report of reports) this.#addReport(report);
  }

  #addReport({ output, status, reason, fills, clientOrderId }: Report): void {
    this.reports++;
    const signal = this.#signals.get(output);
    const record = this.#instruments.get(signal?.instrument ?? -1);
    if (signal === undefined || record === undefined) return;
    const { counts, rejected } = record;
    if (status === STATUS.accepted) counts.accepted++;
    else if (status === STATUS.rejected) {
      if (reason !== null) rejected[reason] = (rejected[reason] ?? 0) + 1;
    } else if (status !== STATUS.partlyFilled) counts[FINAL[status]]++;
    const { instrument, side, id } = signal;
    for (const fill of fills) {
      this.fills.push({ ...fill, instrument, side, signal: id, clientOrderId });
      record.fills++;
      if (side === SIDE.buy) record.bought += BigInt(fill.quantity);
      else record.sold += BigInt(fill.quantity);
    }
  }

  #sample(timeNs: bigint): void {
    this.timesMs.push(Number(timeNs / 1_000_000n));
    for (const record of this.#instruments.values()) {
      const { id, price_scale: priceScale, quantity_scale: quantityScale } = record.instrument;
      const position = this.account.of(id);
      const { mark, quantity } = position;
      record.mids.push(mark === null ? Number.NaN : Number(mark) / 2 / 10 ** priceScale);
      record.positions.push(Number(quantity) / 10 ** quantityScale);
      const result = resultOf(position);
      if (result !== null) record.drawdown.add(result, timeNs);
    }
    const equity = this.account.totals()?.equity ?? null;
    if (equity !== null) this.drawdown.add(equity, timeNs);
    this.results.push(equity === null ? Number.NaN : Number(equity / 10n ** 12n) / 1e12);
  }
}
