// What a strategy in AssemblyScript is written against: the interface of docs/PROTOCOL.md 11 with names. A
// strategy's file re-exports `version` and `input` from here and exports `configure`, `start` and `onBatch`.
// Prices and quantities are integers (i64), scaled as the instrument says; no floating-point number
// comes in or goes out. There is no clock, no I/O and no other randomness. Copy this file beside a strategy.

/** Kinds of rows. */
export const TRADE: i32 = 1;
export const LEVEL: i32 = 2;
export const SNAPSHOT_LEVEL: i32 = 3;
export const BEST: i32 = 4;
/** Sides of a row or of a level. For a trade it is the side that took: bid for a buyer. */
export const BID: i32 = 1;
export const ASK: i32 = 2;
/** Sides of a signal. */
export const BUY: i32 = 1;
export const SELL: i32 = 2;
/** What became of an order. From FILLED on it is final. */
export const ACCEPTED: i32 = 1;
export const PARTLY_FILLED: i32 = 2;
export const FILLED: i32 = 3;
export const CANCELLED: i32 = 4;
export const EXPIRED: i32 = 5;
export const REJECTED: i32 = 6;

@external('trackseal', 'text') declare function hostText(what: i32, index: i32, at: i32): i32;
@external('trackseal', 'instrument') declare function hostInstrument(index: i32): i32;
@external('trackseal', 'subscribe') declare function hostSubscribe(instrument: i32): void;
@external('trackseal', 'bars') declare function hostBars(intervalMs: i32): void;
@external('trackseal', 'random') declare function hostRandom(): i64;
@external('trackseal', 'level') declare function hostLevel(slot: i32, side: i32, level: i32, field: i32): i64;
@external('trackseal', 'bar') declare function hostBar(slot: i32, interval: i32, back: i32, field: i32): i64;
@external('trackseal', 'report') declare function hostReport(index: i32, field: i32): i64;
@external('trackseal', 'fill') declare function hostFill(report: i32, index: i32, field: i32): i64;
@external('trackseal', 'signal') declare function hostSignal(instrument: i32, side: i32, quantity: i64, limit: i64, ttlMs: i32): i64;

const MAX_ROWS: usize = 1024;
const INSTRUMENT: usize = 64;
const KIND: usize = INSTRUMENT + 2 * MAX_ROWS;
const SIDE: usize = KIND + MAX_ROWS;
const FLAGS: usize = SIDE + MAX_ROWS;
const EXCHANGE: usize = FLAGS + MAX_ROWS;
const RECEIVE: usize = EXCHANGE + 8 * MAX_ROWS;
const PRICE: usize = RECEIVE + 8 * MAX_ROWS;
const QUANTITY: usize = PRICE + 8 * MAX_ROWS;
const ID: usize = QUANTITY + 8 * MAX_ROWS;
const SLOTS: usize = ID + 8 * MAX_ROWS;
const SLOT_BYTES: usize = 96;
const AREA_BYTES: i32 = 52288;
const area: usize = memory.data(AREA_BYTES, 8);

/** Version of the interface. */
export function version(): i32 {
  return 1;
}

/** Where the runner writes each batch. */
export function input(): i32 {
  return <i32>area;
}

function textOf(what: i32, index: i32): string {
  const bytes: u8[] = [];
  for (let at = 0; ; at++) {
    const byte = hostText(what, index, at);
    if (byte < 0) break;
    bytes.push(<u8>byte);
  }
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}

/** In `configure`: asks for an instrument. One that the epoch does not have ends the strategy. */
export function subscribe(venue: string, symbol: string, market: string): void {
  for (let index = 0; ; index++) {
    const id = hostInstrument(index);
    const isIt =
      id == 0 ||
      (textOf(1, index) == venue && textOf(2, index) == symbol && textOf(3, index) == market);
    if (!isIt) continue;
    hostSubscribe(id);
    return;
  }
}

/** In `configure`: keeps bars of this interval, for all instruments; at most 4 intervals. */
export function keepBars(intervalMs: i32): void {
  hostBars(intervalMs);
}

/** In [0, 2^53), from the logged seed. */
export function random(): i64 {
  return hostRandom();
}

/** In [0, 1), the number that a strategy in JavaScript would get. */
export function randomFraction(): f64 {
  return <f64>hostRandom() / 9007199254740992.0;
}

/**
 * Asks for an order and answers the signal's id. At most 64 in one batch; quantity and limit are at least 1,
 * `ttlMs` is 1 to 86,400,000. A wrong value or one signal too many ends the strategy.
 */
export function signal(instrument: i32, side: i32, quantity: i64, limit: i64, ttlMs: i32): i64 {
  return hostSignal(instrument, side, quantity, limit, ttlMs);
}

/** The batch: its rows are those of the subscribed instruments. */
export namespace batch {
  export function stream(): i32 {
    return load<i32>(area);
  }
  export function rows(): i32 {
    return load<i32>(area, 4);
  }
  export function sequence(): i64 {
    return load<i64>(area, 8);
  }
  /** Never decreases within a stream. */
  export function timeNs(): i64 {
    return load<i64>(area, 16);
  }
  export function timeMs(): i64 {
    return timeNs() / 1_000_000;
  }
  export function instrument(row: i32): i32 {
    return load<u16>(area + INSTRUMENT + 2 * <usize>row);
  }
  export function kind(row: i32): i32 {
    return load<u8>(area + KIND + <usize>row);
  }
  export function side(row: i32): i32 {
    return load<u8>(area + SIDE + <usize>row);
  }
  /** Bit 0: the exchange time is valid. */
  export function flags(row: i32): i32 {
    return load<u8>(area + FLAGS + <usize>row);
  }
  export function exchangeNs(row: i32): i64 {
    return load<i64>(area + EXCHANGE + 8 * <usize>row);
  }
  export function receiveNs(row: i32): i64 {
    return load<i64>(area + RECEIVE + 8 * <usize>row);
  }
  export function price(row: i32): i64 {
    return load<i64>(area + PRICE + 8 * <usize>row);
  }
  export function quantity(row: i32): i64 {
    return load<i64>(area + QUANTITY + 8 * <usize>row);
  }
  /** Trade id or update id, 0 where the venue gives none. */
  export function id(row: i32): i64 {
    return load<i64>(area + ID + 8 * <usize>row);
  }
}

/** Trades of one interval of exchange time. */
export class Bar {
  startNs: i64;
  open: i64;
  high: i64;
  low: i64;
  close: i64;
  volume: i64;
  /** Part of the volume where the buyer took. */
  buyVolume: i64;
  trades: i64;
}

/** Number of subscribed instruments; their slots are 0 and up, in the order of their ids. */
export function slots(): i32 {
  return load<i32>(area, 24);
}

/** One subscribed instrument after the batch. Prices and quantities are 0 where there is none. */
export class Book {
  private readonly at: usize;

  constructor(readonly slot: i32) {
    this.at = area + SLOTS + SLOT_BYTES * <usize>slot;
  }
  get instrument(): i32 {
    return <i32>load<i64>(this.at);
  }
  get priceScale(): i64 {
    return load<i64>(this.at, 8);
  }
  get quantityScale(): i64 {
    return load<i64>(this.at, 16);
  }
  /** Bought less sold, as the reports say. */
  get position(): i64 {
    return load<i64>(this.at, 24);
  }
  /** Of the depth: false before the first snapshot and after a gap, until the next snapshot. */
  get valid(): bool {
    return load<i64>(this.at, 32) != 0;
  }
  /** The best prices: the venue's own best quote, or the depth where that is later. */
  get bidPrice(): i64 {
    return load<i64>(this.at, 40);
  }
  get bidQuantity(): i64 {
    return load<i64>(this.at, 48);
  }
  get askPrice(): i64 {
    return load<i64>(this.at, 56);
  }
  get askQuantity(): i64 {
    return load<i64>(this.at, 64);
  }
  get lastPrice(): i64 {
    return load<i64>(this.at, 72);
  }
  get lastQuantity(): i64 {
    return load<i64>(this.at, 80);
  }
  /** Trades since the start of the epoch. */
  get trades(): i64 {
    return load<i64>(this.at, 88);
  }
  /** The n-th best level of the depth, from 0; slower than the numbers above. */
  price(side: i32, level: i32): i64 {
    return hostLevel(this.slot, side, level, 1);
  }
  quantity(side: i32, level: i32): i64 {
    return hostLevel(this.slot, side, level, 2);
  }
  /** `back` 0 is the bar that is not complete, 1 the last complete one. Null where there is none. */
  bar(interval: i32, back: i32): Bar | null {
    const trades = hostBar(this.slot, interval, back, 8);
    if (trades == 0) return null;
    return {
      startNs: hostBar(this.slot, interval, back, 1),
      open: hostBar(this.slot, interval, back, 2),
      high: hostBar(this.slot, interval, back, 3),
      low: hostBar(this.slot, interval, back, 4),
      close: hostBar(this.slot, interval, back, 5),
      volume: hostBar(this.slot, interval, back, 6),
      buyVolume: hostBar(this.slot, interval, back, 7),
      trades,
    };
  }
}

/** Reports since the last batch, at most the latest 1,024; `index` from 0. */
export namespace reports {
  export function count(): i32 {
    return load<i32>(area, 28);
  }
  /** What `signal` answered. */
  export function signal(index: i32): i64 {
    return hostReport(index, 1);
  }
  export function instrument(index: i32): i32 {
    return <i32>hostReport(index, 2);
  }
  export function side(index: i32): i32 {
    return <i32>hostReport(index, 3);
  }
  /** ACCEPTED to REJECTED. */
  export function status(index: i32): i32 {
    return <i32>hostReport(index, 4);
  }
  /** Total so far. */
  export function filledQuantity(index: i32): i64 {
    return hostReport(index, 5);
  }
  /** Why it was rejected: a code of docs/PROTOCOL.md 13, or an empty text. */
  export function reason(index: i32): string {
    return textOf(4, index);
  }
  /** Number of fills that are new with this report. */
  export function fills(index: i32): i32 {
    return <i32>hostReport(index, 6);
  }
  export function fillPrice(index: i32, fill: i32): i64 {
    return hostFill(index, fill, 1);
  }
  export function fillQuantity(index: i32, fill: i32): i64 {
    return hostFill(index, fill, 2);
  }
  /** × 10^8 of the quote currency; negative for a rebate. */
  export function fillFee(index: i32, fill: i32): i64 {
    return hostFill(index, fill, 3);
  }
  export function fillTimeNs(index: i32, fill: i32): i64 {
    return hostFill(index, fill, 4);
  }
}

/**
 * The parameters: one flat JSON object of texts and integers. The runner has parsed the JSON before, so that
 * here only its shape is checked. Whatever is missing, out of range or left over makes `accepted` false.
 */
export class Parameters {
  private readonly values: Map<string, string> = new Map();
  private good: bool = true;
  private json: string = '';
  private at: i32 = 0;

  constructor() {
    this.json = textOf(0, 0);
    this.good = this.read();
  }

  /** A text without escapes. */
  text(name: string): string {
    const value = this.take(name);
    if (value.length < 2 || value.charCodeAt(0) != 0x22) {
      this.good = false;
      return '';
    }
    return value.slice(1, value.length - 1);
  }

  /** A whole number of at most 18 digits, written without fraction and exponent. */
  integer(name: string, minimum: i64, maximum: i64): i64 {
    const value = this.take(name);
    const sign = value.startsWith('-') ? 1 : 0;
    const digits = value.length - sign;
    let number: i64 = 0;
    for (let at = sign; at < value.length; at++) {
      const digit = value.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) this.good = false;
      number = number * 10 + digit;
    }
    if (sign == 1) number = -number;
    if (digits < 1 || digits > 18 || number < minimum || number > maximum) this.good = false;
    return number;
  }

  /** To be asked last: every parameter was there and in range, and no other was. */
  get accepted(): bool {
    return this.good && this.values.size == 0;
  }

  private take(name: string): string {
    if (!this.values.has(name)) return '';
    const value = this.values.get(name);
    this.values.delete(name);
    return value;
  }

  private read(): bool {
    if (this.next() != '{') return false;
    let token = this.next();
    while (token != '}') {
      const name = token.slice(1, token.length - 1);
      if (token.charCodeAt(0) != 0x22 || this.values.has(name) || this.next() != ':') return false;
      const value = this.next();
      if (value == '{' || value == '[') return false;
      this.values.set(name, value);
      token = this.next();
      if (token == ',') token = this.next();
    }
    return true;
  }

  /** A punctuation mark, a text with its quotation marks, or what stands between such. */
  private next(): string {
    const json = this.json;
    while (this.at < json.length && json.charCodeAt(this.at) <= 0x20) this.at++;
    const start = this.at;
    const first = json.charCodeAt(this.at++);
    if (first == 0x22) {
      while (json.charCodeAt(this.at++) != 0x22) {
        if (json.charCodeAt(this.at - 1) == 0x5c) return '';
      }
      return json.slice(start, this.at);
    }
    if ('{}[]:,'.includes(String.fromCharCode(first))) return json.slice(start, this.at);
    while (this.at < json.length && !' \t\r\n{}[]:,'.includes(json.charAt(this.at))) this.at++;
    return json.slice(start, this.at);
  }
}
