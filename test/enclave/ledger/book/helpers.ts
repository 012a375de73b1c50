// Records as connectors write them, with what a test does not care about filled in, and a book with some hours of it.

import type {
  Balance,
  Fill,
  Flow,
  Funding,
  Position,
} from '../../../../enclave/connector/records.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import type {
  BookOptions,
  BookRecord,
  HourCoverage,
  Observation,
  PriceRow,
} from '../../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import type { Fixed } from '../../../../wire/fixed.ts';
import { formatFixed, toFixed } from '../../../../wire/fixed.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { balanceOf, tradeOf, transferOf } from '../../../helpers/records.ts';

/** A full hour. */
export const T0: number = 1_700_000_000_000 - (1_700_000_000_000 % HOUR_MS);
export const MINUTE_MS = 60_000;
export const COVERED: HourCoverage = { polls: 12, complete: true, gaps: [] };

let counter = 0;

export function fx(text: string): Fixed {
  const fixed = toFixed(text);
  if (fixed === null) throw new RangeError(`no amount: ${text}`);
  return fixed;
}

export function text(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

export type FillFacts = Partial<Fill> & Pick<Fill, 'side' | 'price' | 'amount' | 'timeMs'>;

/** Of spot BTC/USDT, unless something else is said. */
export function spot(facts: FillFacts): Fill {
  return tradeOf({ id: `f${++counter}`, ...facts });
}

/** A linear contract of 1 BTC that settles in USDT. */
export function linear(facts: FillFacts): Fill {
  return spot({
    symbol: 'BTC/USDT:USDT',
    market: 'swap',
    settle: 'USDT',
    contractSize: '1',
    inverse: false,
    ...facts,
  });
}

/** An inverse contract of 100 USD that settles in BTC. */
export function inverse(facts: FillFacts): Fill {
  return spot({
    symbol: 'BTC/USD:BTC',
    market: 'swap',
    quote: 'USD',
    settle: 'BTC',
    contractSize: '100',
    inverse: true,
    ...facts,
  });
}

export function funding(facts: Partial<Funding> & Pick<Funding, 'amount' | 'timeMs'>): Funding {
  const common = { kind: 'funding', id: `p${++counter}`, symbol: 'BTC/USDT:USDT' } as const;
  return { ...common, currency: 'USDT', ...facts };
}

export function flow(
  facts: Partial<Flow> & Pick<Flow, 'type' | 'direction' | 'currency' | 'amount' | 'timeMs'>,
): Flow {
  return transferOf({ id: `w${++counter}`, ...facts });
}

export { balanceOf as balance };

export function position(facts: Partial<Position> & Pick<Position, 'contracts'>): Position {
  return {
    kind: 'position',
    symbol: 'BTC/USDT:USDT',
    market: 'swap',
    side: 'long',
    contractSize: '1',
    entry: null,
    mark: null,
    unrealized: null,
    settle: 'USDT',
    marginMode: null,
    ...facts,
  };
}

export function observation(
  atMs: number,
  balances: readonly Balance[],
  positions: readonly Position[] = [],
): Observation {
  return { fromMs: atMs, atMs, balances, positions };
}

export function row(
  symbol: string,
  atMs: number,
  price: string,
  kind: PriceRow['kind'] = 'spot',
  tradedMs: number = atMs,
): PriceRow {
  return { kind, symbol, atMs, price, source: `venue.example/${kind}`, tradedMs };
}

/** USDT at one dollar, each full hour from T0 on: written down, never assumed. */
export function parUsdt(hours: number): readonly PriceRow[] {
  return hourly(
    'USDT/USD',
    Array.from({ length: hours + 1 }, () => '1'),
  );
}

/** One price for each full hour from T0 on. */
export function hourly(
  symbol: string,
  prices: readonly string[],
  kind: PriceRow['kind'] = 'spot',
): readonly PriceRow[] {
  return prices.map((price, at) => row(symbol, T0 + at * HOUR_MS, price, kind));
}

export interface Story {
  readonly options?: Partial<BookOptions>;
  /** At T0 unless it says otherwise. */
  readonly opening: Observation;
  readonly records?: readonly BookRecord[];
  readonly observations?: readonly Observation[];
  readonly prices: readonly PriceRow[];
  readonly hours: number;
}

export interface Told {
  readonly book: AccountBook;
  readonly table: PriceTable;
  readonly figures: readonly HourFigures[];
}

/** Everything is told first and then closed, hour by hour. */
export function tell(story: Story): Told {
  const book = new AccountBook({ pricedIn: 'USDT', ...story.options });
  book.observe(story.opening);
  for (const record of story.records ?? []) book.apply(record);
  for (const observed of story.observations ?? []) book.observe(observed);
  const table = PriceTable.of(story.prices);
  return { book, table, figures: close(book, table, story.hours) };
}

export function close(book: AccountBook, table: PriceTable, hours: number): HourFigures[] {
  const figures: HourFigures[] = [];
  for (let at = 0; at < hours; at++) {
    figures.push(book.closeHour(book.nextHourMs ?? 0, table, COVERED));
  }
  return figures;
}

/** What the figures of an hour leave unexplained of the change of equity; null where a term is not known. */
export function unexplained(figures: HourFigures): Fixed | null {
  const { equityStart, equityEnd, realised, unrealisedChange, funding: paid, fees } = figures;
  const { income, inflow, outflow, residual } = figures;
  if (equityStart === null || equityEnd === null || realised === null) return null;
  if (unrealisedChange === null || paid === null || fees === null || income === null) return null;
  if (inflow === null || outflow === null) return null;
  const explained = realised + unrealisedChange + paid - fees + income + inflow - outflow;
  return equityEnd - equityStart - explained - (residual ?? 0n);
}
