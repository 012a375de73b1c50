// Prices for whoever values accounts: asked of the venue's own candles by jobs without keys, behind everything else that the
// venue is asked for. What was answered is kept, since the price of a finished candle does not change, and questions of many
// accounts become one job. A price that cannot be had is missing, with the reason; it is never made from another one.

import type { Environment } from '../../wire/exchange-call.ts';
import { TRIGGER } from '../../wire/exchange-call.ts';
import type { Venue } from '../connector/classes.ts';
import type { PriceItem } from '../connector/job.ts';
import { MAX_PRICE_ITEMS } from '../connector/job.ts';
import type { Price } from '../connector/records.ts';
import type { MissingPrice, PriceRow } from '../ledger/protocol.ts';
import type { Account } from './accounts.ts';
import type { JobQueue } from './job-queue.ts';
import type { JobRunner } from './job-runner.ts';
import { PRIORITY } from './poll-entry.ts';
import type { DeskServices } from './services.ts';
import type { Time } from './time.ts';

export interface PriceAnswer {
  /** In the symbol's quote currency, with host and endpoint. */
  readonly rows: readonly PriceRow[];
  /** With the reason of coverage, or why no job brought it. */
  readonly missing: readonly MissingPrice[];
}

interface Parts {
  readonly services: Pick<DeskServices, 'isReady' | 'logStalled'>;
  readonly time: Time;
  readonly runner: JobRunner;
  readonly queue: JobQueue;
  readonly accounts: () => readonly Account[];
}

interface Batch {
  readonly items: Map<string, PriceItem>;
  steps: number;
  /** Why something is missing, by symbol; of all of it under the empty one. */
  readonly reasons: Promise<ReadonlyMap<string, string>>;
}

interface Market extends Pick<PriceItem, 'kind' | 'symbol'> {
  readonly stepMs: number;
}

/** By time; null: asked for, and the venue has none. */
type Series = Map<number, PriceRow | null>;

/** Wallets and futures are priced where the venue's spot markets are. */
const SPOT_AT: Readonly<Partial<Record<Venue, Venue>>> = {
  binancemargin: 'binance',
  binanceusdm: 'binance',
  binancecoinm: 'binance',
  krakenfutures: 'kraken',
};
/** Its bars of stocks are for customers only, and so asked for with the keys of one. */
const NEEDS_KEYS: Venue = 'alpaca';
/** Its prices come with the statements of polls, at the end of a day. */
const BY_STATEMENT: Venue = 'ibkr';
const MAX_ROWS = 200_000;
/** Also without rows: a ledger can ask for any symbol. */
const MAX_SERIES = 20_000;
/** Of one item: more than a year of hours, a week of minutes. */
export const MAX_STEPS = 10_081;
const MAX_BATCH_STEPS = 50_000;
/** A candle that is not there yet may still come. */
const LATE_MS = 10 * 60_000;
const PAGE_STEPS = 100;
const NOBODY: Omit<Account, 'environment' | 'venue'> = {
  id: 'prices',
  commitment: new Uint8Array(32),
  userTag: new Uint8Array(32),
  label: '',
  accountType: 'spot',
  symbols: [],
  allowTrading: false,
  credentials: { apiKey: Buffer.alloc(0), secret: Buffer.alloc(0), passphrase: null },
  createdNs: 0n,
  source: 'sealed',
};

export class PriceDesk {
  readonly #parts: Parts;
  /** The last used at the end. */
  readonly #series = new Map<string, Series>();
  readonly #waiting = new Map<string, Batch>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Never rejects, and answers when the job is over: seconds, or minutes behind a venue's limit. Rows of an item
   * ascend; where there is none at its begin, the last known one before it comes first.
   */
  async ask(
    venue: Venue,
    environment: Environment,
    items: readonly PriceItem[],
  ): Promise<PriceAnswer> {
    const answers = items.map(async (item) => {
      const at = (item.kind === 'spot' ? SPOT_AT[venue] : undefined) ?? venue;
      const place = `${at}|${environment}`;
      const { symbol } = item;
      let reason = at === BY_STATEMENT ? 'delayed' : 'history_limit';
      if (stepsOf(item, item.toMs).length > MAX_STEPS) reason = 'too_large';
      else if (at !== BY_STATEMENT && !this.#isKnown(place, item)) {
        const reasons = await this.#join(at, environment, item);
        reason = reasons.get(symbol) ?? reasons.get('') ?? reason;
      }
      const rows = this.#found(this.#seriesOf(place, item), item);
      return { rows, missing: rows.length === 0 ? [{ symbol, reason }] : [] };
    });
    const given = await Promise.all(answers);
    const rows = new Set(given.flatMap((one) => one.rows));
    return { rows: [...rows], missing: given.flatMap((one) => one.missing) };
  }

  /** Prices that came with a poll. */
  learn(of: Pick<Account, 'environment' | 'venue'>, prices: readonly Price[]): void {
    for (const { kind: _, of: kind, stepMs, ...price } of prices) {
      if (price.price === '0') continue;
      const row: PriceRow = { kind, ...price };
      this.#seriesOf(`${of.venue}|${of.environment}`, { ...row, stepMs }).set(row.atMs, row);
    }
    let rows = 0;
    for (const [key, series] of [...this.#series].toReversed()) {
      rows += series.size;
      if (rows > MAX_ROWS) this.#series.delete(key);
    }
  }

  /** Candles of minutes say more of when something was dealt than those of hours, and are kept by themselves. */
  #seriesOf(place: string, { kind, symbol, stepMs }: Market): Series {
    const key = `${place}|${kind}|${symbol}|${place.startsWith(BY_STATEMENT) ? 0 : stepMs}`;
    const series: Series = this.#series.get(key) ?? new Map();
    this.#series.delete(key);
    this.#series.set(key, series);
    const [oldest] = this.#series.keys();
    if (this.#series.size > MAX_SERIES && oldest !== undefined) this.#series.delete(oldest);
    return series;
  }

  #isKnown(place: string, item: PriceItem): boolean {
    const series = this.#seriesOf(place, item);
    return stepsOf(item, this.#parts.time.nowMs()).every((atMs) => series.has(atMs));
  }

  #found(series: Series, { fromMs, toMs }: PriceItem): readonly PriceRow[] {
    const known = [...series.values()].filter((row) => row !== null && row.atMs <= toMs);
    const rows = (known as PriceRow[]).sort((a, b) => a.atMs - b.atMs);
    const first = rows.findLastIndex(({ atMs }) => atMs <= fromMs);
    return rows.slice(Math.max(first, 0));
  }

  /** Into the job that waits for the venue, or a new one. */
  #join(venue: Venue, environment: Environment, item: PriceItem): Batch['reasons'] {
    const { kind, symbol, fromMs, toMs, stepMs } = item;
    const place = `${venue}|${environment}`;
    const page = Math.floor(fromMs / (PAGE_STEPS * stepMs));
    const key = [kind, symbol, stepMs, page].join('|');
    const steps = stepsOf(item, toMs).length;
    const open = this.#waiting.get(place);
    const most = open === undefined ? 0 : MAX_BATCH_STEPS - open.steps;
    if (open !== undefined && open.items.size < MAX_PRICE_ITEMS && steps <= most) {
      const known = open.items.get(key) ?? item;
      const span = { fromMs: Math.min(known.fromMs, fromMs), toMs: Math.max(known.toMs, toMs) };
      open.items.set(key, { ...item, ...span });
      open.steps += steps;
      return open.reasons;
    }
    const { promise, resolve } = Promise.withResolvers<ReadonlyMap<string, string>>();
    const batch: Batch = { items: new Map([[key, item]]), steps, reasons: promise };
    this.#waiting.set(place, batch);
    const start = async (): Promise<void> => {
      if (this.#waiting.get(place) === batch) this.#waiting.delete(place);
      resolve(await this.#fetch(venue, environment, [...batch.items.values()]));
    };
    this.#parts.queue.add({ ...NOBODY, venue, environment }, PRIORITY.prices, start, () => {
      resolve(new Map([['', 'not_running']]));
    });
    return promise;
  }

  async #fetch(
    venue: Venue,
    environment: Environment,
    items: readonly PriceItem[],
  ): Promise<ReadonlyMap<string, string>> {
    const { services, runner, accounts, time } = this.#parts;
    if (!services.isReady() || services.logStalled()) return new Map([['', 'log_stalled']]);
    const own = accounts().find((one) => one.venue === venue && one.environment === environment);
    const { id, credentials } = (venue === NEEDS_KEYS ? own : undefined) ?? NOBODY;
    const account = { ...NOBODY, id, credentials, venue, environment };
    const { done, reason, records } = await runner.single(account, TRIGGER.prices, items);
    const reasons = new Map<string, string>(reason === null ? [] : [['', reason]]);
    // What a job brought that broke off does not count.
    if (done !== null) this.learn(account, records?.prices ?? []);
    for (const { complete, market, reason: why } of done?.coverage ?? []) {
      if (!complete && why !== null) reasons.set(market === 'all' ? '' : market, why);
    }
    for (const item of items) {
      if (reasons.has('') || reasons.has(item.symbol)) continue;
      const series = this.#seriesOf(`${venue}|${environment}`, item);
      for (const atMs of stepsOf(item, time.nowMs() - LATE_MS)) {
        if (!series.has(atMs)) series.set(atMs, null);
      }
    }
    return reasons;
  }
}

/** The moments of an item that were before `nowMs`, at most MAX_STEPS and one. */
function stepsOf({ fromMs, toMs, stepMs }: PriceItem, nowMs: number): readonly number[] {
  const firstMs = Math.ceil(fromMs / stepMs) * stepMs;
  const count = Math.floor((Math.min(toMs, nowMs) - firstMs) / stepMs) + 1;
  return Array.from(
    { length: Math.min(Math.max(count, 0), MAX_STEPS + 1) },
    (_, at) => firstMs + at * stepMs,
  );
}
