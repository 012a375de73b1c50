// What a strategy finds in its V8 context: batch, books, context, signal. `buildRealm` is turned into text
// and evaluated inside that context (context.ts), so it uses nothing from outside its own braces, and
// every object that a strategy can reach is of that context. For a WebAssembly strategy it is called where it
// is (wasm-realm.ts). Its checks decide what the strategy's end is called; the enclave checks every answer again.

import type { Realm, RealmColumns, RealmHost, RealmVerdict } from './realm-types.ts';
import type {
  BarView,
  BatchView,
  BookView,
  FillView,
  InstrumentInfo,
  ReportView,
  SignalRequest,
  StrategyContext,
  StrategyDefinition,
} from './sdk.ts';

export function buildRealm(host: RealmHost): Realm {
  'use strict';
  const columns: RealmColumns = Object.freeze({
    instrument: new Uint16Array(host.maxRows),
    kind: new Uint8Array(host.maxRows),
    side: new Uint8Array(host.maxRows),
    flags: new Uint8Array(host.maxRows),
    exchangeNs: new BigInt64Array(host.maxRows),
    receiveNs: new BigInt64Array(host.maxRows),
    price: new Float64Array(host.maxRows),
    quantity: new Float64Array(host.maxRows),
    id: new Float64Array(host.maxRows),
    tops: new Float64Array(host.maxSubscribed * host.bookFields),
    signals: new Float64Array(host.maxOutputs * 5),
  });
  const { tops, signals } = columns;

  const instruments = new Map<number, InstrumentInfo>();
  const books: BookView[] = [];
  const slots = new Map<number, number>();
  const positions = new Map<number, number>();
  /** Signals that may still be filled, oldest first: instrument × 4 + side. */
  const open = new Map<number, number>();
  const { isSafeInteger } = Number;

  let definition: StrategyDefinition<unknown, unknown> | null = null;
  let barsMs: readonly number[] = [];
  let nextSignal = 0;
  let signalCount = 0;
  let fault: RealmVerdict = 'ok';
  let reports: ReportView[] = [];
  let lastFills: FillView[] = [];
  let lastPosition = 0;
  let lastSign = 0;

  // A call at the end of the stack fails in the runner's context: that error must not come out as it is.
  function askLevel(
    what: 'levelPrice' | 'levelQuantity',
    slot: number,
    side: 1 | 2,
    level: number,
  ): number {
    try {
      return isSafeInteger(level) ? host[what](slot, side === 1 ? 1 : 2, level) : 0;
    } catch {
      throw new RangeError('stack');
    }
  }

  function random(): number {
    try {
      return host.random();
    } catch {
      throw new RangeError('stack');
    }
  }

  function askBar(
    slot: number,
    interval: number,
    back: number,
    field: keyof BarView,
  ): number | bigint {
    try {
      return host.bar(slot, interval, back, field);
    } catch {
      throw new RangeError('stack');
    }
  }

  function makeBar(slot: number, interval: number, back: number): BarView | null {
    if (!isSafeInteger(interval) || !isSafeInteger(back) || back < 0) return null;
    const trades = Number(askBar(slot, interval, back, 'trades'));
    if (trades === 0) return null;
    return {
      startNs: BigInt(askBar(slot, interval, back, 'startNs')),
      open: Number(askBar(slot, interval, back, 'open')),
      high: Number(askBar(slot, interval, back, 'high')),
      low: Number(askBar(slot, interval, back, 'low')),
      close: Number(askBar(slot, interval, back, 'close')),
      volume: BigInt(askBar(slot, interval, back, 'volume')),
      buyVolume: BigInt(askBar(slot, interval, back, 'buyVolume')),
      trades,
    };
  }

  function makeBook(instrument: InstrumentInfo, slot: number): BookView {
    const top = (field: number): number => tops[slot * host.bookFields + field] ?? 0;
    return Object.freeze({
      instrument,
      get valid() {
        return top(0) === 1;
      },
      get bidPrice() {
        return top(1);
      },
      get bidQuantity() {
        return top(2);
      },
      get askPrice() {
        return top(3);
      },
      get askQuantity() {
        return top(4);
      },
      get lastPrice() {
        return top(5);
      },
      get lastQuantity() {
        return top(6);
      },
      get trades() {
        return top(7);
      },
      bar: (interval: number, back: number) => makeBar(slot, interval, back),
      price: (side: 1 | 2, level: number) => askLevel('levelPrice', slot, side, level),
      quantity: (side: 1 | 2, level: number) => askLevel('levelQuantity', slot, side, level),
    });
  }

  function requireSlot(instrument: number): number {
    const slot = slots.get(instrument);
    if (slot === undefined) throw new RangeError('the instrument is not subscribed');
    return slot;
  }

  function fail(verdict: RealmVerdict): never {
    if (fault === 'ok') fault = verdict;
    throw new RangeError(verdict);
  }

  function signal(request: SignalRequest): number {
    // Hostile code may pass more than the types say; nothing is left for V8 to complain about in words.
    const isRequest = typeof (request as unknown) === 'object' && (request as unknown) !== null;
    if (!isRequest) return fail('strategy_output_malformed');
    const { instrument, side, quantity, limit, ttlMs } = request;
    const whole = isSafeInteger(quantity) && isSafeInteger(limit) && isSafeInteger(ttlMs);
    if (!whole || quantity < 1 || limit < 1 || ttlMs < 1 || ttlMs > host.maxTtlMs) {
      return fail('strategy_output_malformed');
    }
    if (((side as number) !== 1 && side !== 2) || !slots.has(instrument)) {
      return fail('strategy_output_malformed');
    }
    if (signalCount >= host.maxOutputs) return fail('strategy_output_limit');
    signals[signalCount * 5] = instrument;
    signals[signalCount * 5 + 1] = side;
    signals[signalCount * 5 + 2] = quantity;
    signals[signalCount * 5 + 3] = limit;
    signals[signalCount * 5 + 4] = ttlMs;
    const id = nextSignal + signalCount;
    signalCount += 1;
    return id;
  }

  const batchFields = { stream: 0, sequence: 0, length: 0 };
  const contextFields = {
    parameters: undefined as unknown,
    state: undefined as unknown,
    instruments: [] as readonly InstrumentInfo[],
    timeNs: 0n,
    timeMs: 0,
    reports: [] as readonly ReportView[],
  };
  const batchView: BatchView = Object.freeze({
    instrument: columns.instrument,
    kind: columns.kind,
    side: columns.side,
    flags: columns.flags,
    exchangeNs: columns.exchangeNs,
    receiveNs: columns.receiveNs,
    price: columns.price,
    quantity: columns.quantity,
    id: columns.id,
    get stream() {
      return batchFields.stream;
    },
    get sequence() {
      return batchFields.sequence;
    },
    get length() {
      return batchFields.length;
    },
  });
  const context: StrategyContext<unknown, unknown> = Object.freeze({
    get parameters() {
      return contextFields.parameters;
    },
    get state() {
      return contextFields.state;
    },
    get instruments() {
      return contextFields.instruments;
    },
    get timeNs() {
      return contextFields.timeNs;
    },
    get timeMs() {
      return contextFields.timeMs;
    },
    get reports() {
      return contextFields.reports;
    },
    // Wrapped, because the name of an arrow function is that of its field, however the runner was bundled.
    random: () => random(),
    book: (instrument: number) => {
      const book = books[requireSlot(instrument)];
      if (book === undefined) throw new RangeError('the instrument is not subscribed');
      return book;
    },
    position: (instrument: number) => {
      requireSlot(instrument);
      return positions.get(instrument) ?? 0;
    },
    signal: (request: SignalRequest) => signal(request),
  });

  function load(value: unknown, parametersJson: string): RealmVerdict {
    try {
      if (typeof value !== 'object' || value === null) return 'strategy_malformed';
      const { parameters, subscribe, start, onBatch } = value as Record<string, unknown>;
      if (typeof parameters !== 'object' || parameters === null) return 'strategy_malformed';
      for (const part of [subscribe, start, onBatch]) {
        if (typeof part !== 'function') return 'strategy_malformed';
      }
      return loadDefinition(value as StrategyDefinition<unknown, unknown>, parametersJson);
    } catch {
      return 'strategy_crashed';
    }
  }

  function readBars(intervals: unknown): boolean {
    if (intervals === undefined) return true;
    if (!Array.isArray(intervals) || intervals.length > host.maxBars) return false;
    const copied = Array.from(intervals, Number);
    // A proxy can tell another length than it gives.
    if (copied.length > host.maxBars) return false;
    barsMs = copied;
    return copied.every((one) => isSafeInteger(one) && one >= 1 && one <= host.maxTtlMs);
  }

  function loadDefinition(
    strategy: StrategyDefinition<unknown, unknown>,
    parametersJson: string,
  ): RealmVerdict {
    let json: unknown;
    try {
      json = JSON.parse(parametersJson);
    } catch {
      return 'strategy_parameters';
    }
    const parsed = strategy.parameters.safeParse(json);
    if (!parsed.success) return 'strategy_parameters';
    const chosen = new Set<number>();
    const selectors = strategy.subscribe(parsed.data);
    if (!Array.isArray(selectors)) return 'strategy_malformed';
    if (selectors.length < 1 || selectors.length > host.maxSubscribed) return 'strategy_malformed';
    for (const { venue, symbol, market } of selectors) {
      const match = Array.from(instruments.values()).find(
        (known) => known.venue === venue && known.symbol === symbol && known.market === market,
      );
      if (match === undefined) return 'instrument_unknown';
      chosen.add(match.id);
    }
    if (chosen.size > host.maxSubscribed) return 'strategy_malformed';
    if (!readBars(strategy.barsMs)) return 'strategy_malformed';
    const infos: InstrumentInfo[] = [];
    for (const id of Array.from(chosen).sort((a, b) => a - b)) {
      const info = instruments.get(id);
      if (info === undefined) return 'instrument_unknown';
      slots.set(id, infos.length);
      books.push(makeBook(info, infos.length));
      infos.push(info);
    }
    contextFields.instruments = Object.freeze(infos);
    contextFields.parameters = parsed.data;
    contextFields.state = strategy.start(parsed.data, contextFields.instruments);
    definition = strategy;
    return fault;
  }

  function report(id: number, status: number, reason: string | null, filled: number): void {
    const known = open.get(id);
    lastFills = [];
    lastSign = 0;
    if (known === undefined) return;
    const instrument = Math.floor(known / 4);
    const side = known % 4 === 1 ? 1 : 2;
    lastPosition = instrument;
    lastSign = side === 1 ? 1 : -1;
    reports.push({
      signal: id,
      instrument,
      side,
      status,
      reason,
      filledQuantity: filled,
      fills: lastFills,
    });
    if (reports.length > host.maxReports) reports.shift();
    if (status >= 3) open.delete(id);
  }

  function fill(price: number, quantity: number, fee: number, timeNs: bigint): void {
    if (lastSign === 0) return;
    lastFills.push(Object.freeze({ price, quantity, fee, timeNs }));
    positions.set(lastPosition, (positions.get(lastPosition) ?? 0) + lastSign * quantity);
  }

  function rememberSignals(): void {
    for (let index = 0; index < signalCount; index++) {
      const packed = (signals[index * 5] ?? 0) * 4 + (signals[index * 5 + 1] ?? 0);
      open.set(nextSignal + index, packed);
    }
    for (const oldest of open.keys()) {
      if (open.size <= host.maxOpenSignals) break;
      open.delete(oldest);
    }
  }

  function batch(stream: number, sequence: number, timeNs: bigint, length: number): RealmVerdict {
    if (definition === null) return 'strategy_malformed';
    nextSignal += signalCount;
    signalCount = 0;
    batchFields.stream = stream;
    batchFields.sequence = sequence;
    batchFields.length = length;
    contextFields.timeNs = timeNs;
    contextFields.timeMs = Number(timeNs / 1_000_000n);
    contextFields.reports = reports;
    reports = [];
    try {
      const returned: unknown = definition.onBatch(batchView, context);
      if (fault !== 'ok') return fault;
      // A promise would mean work that nobody waits for.
      if (returned !== undefined) return 'strategy_malformed';
      rememberSignals();
      return 'ok';
    } catch {
      return fault === 'ok' ? 'strategy_crashed' : fault;
    }
  }

  return Object.freeze({
    columns,
    instrument: (
      id: number,
      venue: string,
      symbol: string,
      market: string,
      priceScale: number,
      quantityScale: number,
    ) => {
      const info = { id, venue, symbol, market, priceScale, quantityScale };
      instruments.set(id, Object.freeze(info));
    },
    load,
    barInterval: (number: number) => barsMs[number] ?? -1,
    subscribed: (slot: number) => contextFields.instruments[slot]?.id ?? -1,
    report,
    fill,
    batch,
    signalCount: () => signalCount,
    firstSignal: () => nextSignal,
  });
}
