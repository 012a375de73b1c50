// Which prices closing some hours needs: at each full hour of everything that is held, by the minute around flows of
// everything, and by the minute of coins that are paid with. Hours of several accounts need the same rows, mostly.

import type { BookState } from './book-state.ts';
import type { PriceQuestion } from './contract.ts';
import type { BookEvent } from './event.ts';
import { VALUATION_MAX_AGE_MS } from './hour-prices.ts';
import type { Instrument } from './instrument.ts';
import type { Observed } from './observed.ts';
import { REPORTING_CURRENCY } from './price-table.ts';
import { hourOf } from './timeline.ts';

const MINUTE_MS = 60_000;
const STEP_MS = 3_600_000;

/** The pair that tells a currency's rate. What hardly moves within an hour is asked for by the hour. */
const RATES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['USDT', 'USDC', 'DAI', 'TUSD', 'FDUSD', 'PYUSD', 'USDP', 'EURC', 'EUR', 'GBP', 'AUD'].map(
      (name) => [name, `${name}/USD`],
    ),
  ),
  ...Object.fromEntries(['JPY', 'CHF', 'CAD', 'SEK', 'HKD'].map((name) => [name, `USD/${name}`])),
};

export interface Asked {
  readonly fromMs: number;
  /** Not itself. */
  readonly toMs: number;
  readonly pricedIn: string;
  readonly state: BookState | null;
  readonly observed: readonly Observed[];
  /** Sorted. */
  readonly events: readonly BookEvent[];
}

class Questions {
  readonly #spans = new Map<string, PriceQuestion>();
  readonly #asked: Asked;
  readonly #instruments = new Map<string, Instrument>();
  readonly #quotes = new Map<string, string>();

  constructor(asked: Asked) {
    this.#asked = asked;
    for (const [name, instrument] of asked.state?.instruments ?? []) {
      this.#instruments.set(name, instrument);
    }
    for (const { securities, contracts } of asked.observed) {
      for (const [name, instrument] of securities) this.#instruments.set(name, instrument);
      for (const [name, { instrument }] of contracts) this.#instruments.set(name, instrument);
    }
    for (const event of asked.events) {
      if (event.kind === 'contract')
        this.#instruments.set(event.instrument.symbol, event.instrument);
      if (event.kind !== 'trade') continue;
      if (event.instrument !== null) this.#instruments.set(event.asset, event.instrument);
      else if (event.currency === REPORTING_CURRENCY || event.currency in RATES) {
        this.#quotes.set(event.asset, event.currency);
      }
    }
  }

  /** Everything that may be held in the hours that are asked about. */
  names(): ReadonlySet<string> {
    const { state, observed, events } = this.#asked;
    const names = new Set<string>([
      ...(state?.ledger.currencies ?? []),
      ...this.#instruments.keys(),
    ]);
    for (const { assets } of observed) for (const asset of assets.keys()) names.add(asset);
    for (const event of events) {
      if (event.kind === 'trade') names.add(event.asset);
      for (const name of paidWith(event)) names.add(name);
    }
    return names;
  }

  /** The rows that value `name`, legs to the dollar with it. */
  ask(name: string, fromMs: number, toMs: number, stepMs: number): void {
    if (name === REPORTING_CURRENCY || name === '') return;
    const instrument = this.#instruments.get(name);
    if (instrument !== undefined) {
      this.#add({ kind: 'mark', symbol: name, fromMs, toMs, stepMs });
      this.#rate(instrument.settle, fromMs, toMs, stepMs);
    } else this.#rate(name, fromMs, toMs, stepMs);
  }

  get all(): readonly PriceQuestion[] {
    return [...this.#spans.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  #rate(asset: string, fromMs: number, toMs: number, stepMs: number): void {
    if (asset === REPORTING_CURRENCY || asset === '') return;
    const own = RATES[asset];
    if (own !== undefined) {
      this.#add({ kind: 'spot', symbol: own, fromMs, toMs, stepMs });
      return;
    }
    const quote = this.#quotes.get(asset) ?? this.#asked.pricedIn;
    if (quote === asset) return;
    this.#add({ kind: 'spot', symbol: `${asset}/${quote}`, fromMs, toMs, stepMs });
    if (quote in RATES) this.#rate(quote, fromMs, toMs, stepMs);
  }

  /** One span of each hour for minutes, and one for hours. */
  #add(question: PriceQuestion): void {
    const key = keyOf(question);
    const known = this.#spans.get(key) ?? question;
    const fromMs = Math.min(known.fromMs, question.fromMs);
    this.#spans.set(key, { ...known, fromMs, toMs: Math.max(known.toMs, question.toMs) });
  }
}

function keyOf({ kind, symbol, stepMs, toMs }: PriceQuestion): string {
  return `${kind} ${symbol} ${stepMs} ${stepMs === STEP_MS ? 0 : hourOf(toMs)}`;
}

/** What an event has to be valued in. */
function paidWith(event: BookEvent): readonly string[] {
  if (event.kind === 'trade') {
    return [event.currency, ...event.fees.map(({ currency }) => currency)];
  }
  if (event.kind === 'contract') {
    const { settle, quote, style } = event.instrument;
    const counted = style === 'inverse' ? [quote] : [];
    return [settle, ...counted, ...event.fees.map(({ currency }) => currency)];
  }
  if (event.kind === 'funding') return [event.currency];
  return [event.currency, ...(event.fee === null ? [] : [event.fee.currency])];
}

function isExternal(event: BookEvent): boolean {
  return (
    event.kind === 'flow' &&
    !['interest', 'dividend', 'fee', 'rebate', 'conversion'].includes(event.type)
  );
}

export function questionsOf(asked: Asked): readonly PriceQuestion[] {
  const { fromMs, toMs, events } = asked;
  const questions = new Questions(asked);
  const names = questions.names();
  for (const name of names) questions.ask(name, fromMs, toMs, STEP_MS);
  for (const event of events) {
    const sinceMs = event.atMs - VALUATION_MAX_AGE_MS;
    if (isExternal(event)) {
      for (const name of names) questions.ask(name, sinceMs, event.atMs, MINUTE_MS);
      continue;
    }
    for (const name of paidWith(event)) {
      if (!(name in RATES)) questions.ask(name, sinceMs, event.atMs, MINUTE_MS);
    }
  }
  return questions.all;
}
