// What the records of one job add up to, kept apart until the job is over: a job that ends early has counted nothing.
// Records are hostile as far as names, ids and numbers go; their forms were checked when they were parsed.
// Nothing here is a float, and what a record does not tell is counted as not told.

import type { Decimal } from '../../wire/decimal.ts';
import { assertDecimal, isNegative, multiplyDecimals, negateDecimal } from '../../wire/decimal.ts';
import type {
  Balance,
  ConnectorRecord,
  Fill,
  Flow,
  Funding,
  Position,
  Price,
  RecordKind,
} from '../connector/records.ts';
import type { Seen } from './seen.ts';
import { seenKey } from './seen.ts';
import { Sums } from './sums.ts';

const HOUR_MS = 3_600_000;
/** A venue's clock may be ahead of ours by as much. */
const MAX_AHEAD_MS = 10 * 60_000;
export const MAX_JOB_RECORDS = 100_000;

export const COUNTED_KINDS = ['fill', 'funding', 'flow'] as const;
export type CountedKind = (typeof COUNTED_KINDS)[number];

/** Of an hour there are 168, of which each may have so many currencies. */
const MAX_HOUR_CURRENCIES = 16;
const MAX_BALANCES = 1024;

export class Hour {
  trades = 0;
  /** There were more currencies: the sums lack some. */
  overflowed = false;
  readonly volume: Sums = new Sums(MAX_HOUR_CURRENCIES);
  readonly fees: Sums = new Sums(MAX_HOUR_CURRENCIES);

  add(name: 'volume' | 'fees', currency: string, amount: Decimal): void {
    if (!this[name].add(currency, amount)) this.overflowed = true;
  }
}

export class Totals {
  trades = 0;
  readonly volume: Sums = new Sums();
  readonly fees: Sums = new Sums();
  readonly funding: Sums = new Sums();
  readonly deposits: Sums = new Sums();
  readonly withdrawals: Sums = new Sums();
  matchedTrades = 0;
  readonly matchedVolume: Sums = new Sums();
  readonly unmatchedVolume: Sums = new Sums();
  /** Fills whose volume the venue's record does not give. */
  unvalued = 0;
  /** Records from before what is settled. */
  late = 0;
  /** By the begin of the hour, in ms. */
  readonly hours: Map<number, Hour> = new Map<number, Hour>();

  hour(timeMs: number): Hour {
    const start = timeMs - (timeMs % HOUR_MS);
    const hour = this.hours.get(start) ?? new Hour();
    this.hours.set(start, hour);
    return hour;
  }

  /** False when there are too many currencies. */
  addAll(other: Totals): boolean {
    this.trades += other.trades;
    this.matchedTrades += other.matchedTrades;
    this.unvalued += other.unvalued;
    this.late += other.late;
    let fits = true;
    for (const name of SUMS) fits = this[name].addAll(other[name]) && fits;
    for (const [start, hour] of other.hours) {
      const own = this.hour(start);
      own.trades += hour.trades;
      const whole = own.volume.addAll(hour.volume) && own.fees.addAll(hour.fees);
      own.overflowed ||= hour.overflowed || !whole;
    }
    return fits;
  }
}

/** The sums of Totals, in the order of the state. */
export const SUMS = [
  'volume',
  'fees',
  'funding',
  'deposits',
  'withdrawals',
  'matchedVolume',
  'unmatchedVolume',
] as const;

/** What a fill traded, in the currency it was priced in; null where the record does not give it. */
export function volumeOf(
  fill: Fill,
): { readonly currency: string; readonly amount: Decimal } | null {
  const currency = fill.quote ?? fill.settle;
  if (currency === null) return null;
  const amount = assertDecimal(fill.amount);
  const size = fill.contractSize === null ? null : assertDecimal(fill.contractSize);
  // A contract of an inverse market is worth so much of the quote currency; its cost is in another one.
  if (fill.inverse === true) {
    return size === null ? null : { currency, amount: multiplyDecimals(amount, size) };
  }
  if (fill.cost !== null) return { currency, amount: absolute(assertDecimal(fill.cost)) };
  const isContract = fill.market === 'swap' || fill.market === 'future' || fill.market === 'option';
  if (size === null && isContract) return null;
  const traded = size === null ? amount : multiplyDecimals(amount, size);
  return { currency, amount: absolute(multiplyDecimals(assertDecimal(fill.price), traded)) };
}

function absolute(value: Decimal): Decimal {
  return isNegative(value) ? negateDecimal(value) : value;
}

export class PollRecords {
  readonly totals: Totals = new Totals();
  readonly newIds: Readonly<Record<CountedKind, Map<string, number>>> = {
    fill: new Map(),
    funding: new Map(),
    flow: new Map(),
  };
  readonly balances: Sums = new Sums(MAX_BALANCES);
  readonly unrealized: Sums = new Sums();
  positions = 0;
  /** A position without a value, or a currency for it. */
  positionsUnvalued = false;
  repeated = 0;
  /** Of markets: nothing of the account's. */
  readonly prices: Price[] = [];
  #records = 0;
  #fits = true;
  readonly #seen: Readonly<Record<CountedKind, Seen>>;
  readonly #isOurs: (clientOrderId: string) => boolean;
  readonly #nowMs: number;

  constructor(
    seen: Readonly<Record<CountedKind, Seen>>,
    isOurs: (clientOrderId: string) => boolean,
    nowMs: number,
  ) {
    this.#seen = seen;
    this.#isOurs = isOurs;
    this.#nowMs = nowMs;
  }

  /** False: more than a job may bring, or a time that cannot be; then nothing of the job may count. */
  take(kind: RecordKind, records: readonly ConnectorRecord[]): boolean {
    this.#records += records.length;
    if (this.#records > MAX_JOB_RECORDS) return false;
    for (const record of records) {
      if (record.kind !== kind) return false;
      if ('timeMs' in record && record.timeMs > this.#nowMs + MAX_AHEAD_MS) return false;
      if ('atMs' in record && record.atMs > this.#nowMs + MAX_AHEAD_MS) return false;
      if (record.kind === 'fill') this.#takeFill(record);
      else if (record.kind === 'funding') this.#takeFunding(record);
      else if (record.kind === 'flow') this.#takeFlow(record);
      else if (record.kind === 'balance') this.#takeBalance(record);
      else if (record.kind === 'price') this.prices.push(record);
      else this.#takePosition(record);
    }
    return this.#fits;
  }

  /** True for a record that was not counted before; remembers it. */
  #isNew(kind: CountedKind, key: string, timeMs: number): boolean {
    if (this.#seen[kind].has(key) || this.newIds[kind].has(key)) {
      this.repeated++;
      return false;
    }
    if (timeMs < this.#seen[kind].floorMs) {
      this.totals.late++;
      return false;
    }
    this.newIds[kind].set(key, timeMs);
    return true;
  }

  #add(sums: Sums, currency: string, amount: Decimal): void {
    this.#fits = sums.add(currency, amount) && this.#fits;
  }

  #takeFill(fill: Fill): void {
    if (!this.#isNew('fill', seenKey(fill.symbol, fill.id), fill.timeMs)) return;
    const { totals } = this;
    const hour = totals.hour(fill.timeMs);
    const isOurs = fill.clientOrderId !== null && this.#isOurs(fill.clientOrderId);
    totals.trades++;
    hour.trades++;
    if (isOurs) totals.matchedTrades++;
    const volume = volumeOf(fill);
    if (volume === null) totals.unvalued++;
    else {
      const matching = isOurs ? totals.matchedVolume : totals.unmatchedVolume;
      for (const sums of [totals.volume, matching]) {
        this.#add(sums, volume.currency, volume.amount);
      }
      hour.add('volume', volume.currency, volume.amount);
    }
    for (const { currency, amount } of fill.fees ?? []) {
      this.#addFee(hour, currency, assertDecimal(amount));
    }
  }

  #addFee(hour: Hour, currency: string, fee: Decimal): void {
    this.#add(this.totals.fees, currency, fee);
    hour.add('fees', currency, fee);
  }

  #takeFunding({ id, symbol, currency, amount, timeMs }: Funding): void {
    if (!this.#isNew('funding', seenKey(symbol ?? '', id), timeMs)) return;
    this.#add(this.totals.funding, currency, assertDecimal(amount));
  }

  #takeFlow(flow: Flow): void {
    // What is pending comes again when it is not any more.
    if (flow.status !== 'ok') return;
    if (!this.#isNew('flow', seenKey(flow.type, flow.direction, flow.id), flow.timeMs)) return;
    const { currency, type, direction, timeMs } = flow;
    const { deposits, withdrawals } = this.totals;
    // One in the other direction takes an earlier one back.
    const amount = assertDecimal(flow.amount);
    const incoming = direction === 'in' ? amount : negateDecimal(amount);
    const outgoing = negateDecimal(incoming);
    if (type === 'deposit') this.#add(deposits, currency, incoming);
    if (type === 'withdrawal') this.#add(withdrawals, currency, outgoing);
    // Of venues whose fills come without.
    if (type === 'fee') this.#addFee(this.totals.hour(timeMs), currency, outgoing);
  }

  #takeBalance({ currency, total }: Balance): void {
    this.#add(this.balances, currency, assertDecimal(total));
  }

  #takePosition({ settle, unrealized }: Position): void {
    this.positions++;
    if (settle === null || unrealized === null) this.positionsUnvalued = true;
    else this.#add(this.unrealized, settle, assertDecimal(unrealized));
  }
}
