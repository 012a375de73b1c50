// What a backtest came to, as `--json` prints it. Amounts are decimal text of the quote currency, exact;
// prices and quantities are decimal text; times are ISO text.

import { basename } from 'node:path';
import type { Amount } from '../../host-proxy/execution/money.ts';
import { notional } from '../../host-proxy/execution/money.ts';
import { formatDecimal } from '../../wire/market/scaled.ts';
import { toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { BacktestOptions, BacktestRun } from './backtest.ts';
import type { Drawdown, InstrumentRecord } from './recorder.ts';
import { resultOf } from './recorder.ts';
import type { Account } from '../../host-proxy/execution/account.ts';

const AMOUNT_SCALE = 24;
const SHOWN_DECIMALS = 8;

/** Exact, with at least eight decimals. */
export function amountText(amount: Amount): string {
  const text = formatDecimal(amount, AMOUNT_SCALE);
  const end = text.length - (AMOUNT_SCALE - SHOWN_DECIMALS);
  return text.slice(0, end) + text.slice(end).replace(/0+$/u, '');
}

function textOf(amount: Amount | undefined): string | null {
  return amount === undefined ? null : amountText(amount);
}

function isoOf(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}

export interface DrawdownResult {
  readonly amount: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface InstrumentResult {
  readonly instrument: number;
  readonly symbol: string;
  readonly market: string;
  readonly signals: number;
  readonly buys: number;
  readonly sells: number;
  readonly orders: {
    readonly accepted: number;
    readonly filled: number;
    readonly expired: number;
    readonly cancelled: number;
    readonly rejected: Readonly<Partial<Record<RefusalCode, number>>>;
  };
  readonly fills: number;
  readonly bought: string;
  readonly sold: string;
  readonly position: string;
  /** Null without a position. */
  readonly average_price: string | null;
  /** Middle of the book at the end; null where there was none. */
  readonly mid: string | null;
  readonly volume: string;
  readonly fees: string;
  readonly realised: string;
  /** The position at the middle of the book, less what it cost. */
  readonly unrealised_at_mid: string | null;
  readonly profit_at_mid: string | null;
  readonly drawdown_at_mid: DrawdownResult;
}

export interface BacktestResult {
  readonly strategy: string;
  readonly bundle_sha256: string;
  readonly parameters_sha256: string;
  readonly seed: string;
  readonly instruments: readonly Instrument[];
  readonly captures: readonly {
    readonly file: string;
    readonly stream: number;
    readonly messages: number;
    readonly rows: number;
    readonly batches: number;
    readonly first: string;
    readonly last: string;
    /** `limit` when --limit ended it. */
    readonly ended: string;
  }[];
  readonly cuts: { readonly rows: number; readonly ms: number };
  readonly model: {
    readonly latency_ms: number;
    readonly taker_fee_ppm: number;
    readonly maker_fee_ppm: number;
    readonly slippage_ticks: number;
    readonly limits: boolean;
  };
  readonly batches: number;
  readonly rows: number;
  readonly gaps: number;
  readonly signals: number;
  readonly reports: number;
  readonly ended: { readonly code: RefusalCode; readonly batch: number } | null;
  readonly by_instrument: readonly InstrumentResult[];
  readonly fees: string | null;
  readonly realised: string | null;
  readonly unrealised_at_mid: string | null;
  readonly profit_at_mid: string | null;
  readonly drawdown_at_mid: DrawdownResult;
  /** The same for every run of the same strategy, parameters, seed, captures and cuts. */
  readonly outputs_sha256: string;
  readonly leaves: number;
  readonly root: string;
  /** Of this machine and this run. */
  readonly machine: {
    readonly seconds: number;
    readonly rows_per_second: number;
    readonly slowest_batch_ms: number;
    readonly time_budget_ms: number;
  };
}

function drawdownOf({ largest, fromNs, toNs }: Drawdown): DrawdownResult {
  return {
    amount: amountText(largest),
    from: fromNs === null ? null : isoOf(fromNs),
    to: toNs === null ? null : isoOf(toNs),
  };
}

function instrumentResult(record: InstrumentRecord, account: Account): InstrumentResult {
  const { instrument, counts, rejected, drawdown } = record;
  const { price_scale: priceScale, quantity_scale: quantityScale } = instrument;
  const position = account.of(instrument.id);
  const { quantity, cost, mark, unrealised } = position;
  const unit = notional(instrument, 1, quantity);
  const result = resultOf(position);
  return {
    instrument: instrument.id,
    symbol: instrument.symbol,
    market: instrument.market,
    signals: counts.signals,
    buys: counts.buys,
    sells: counts.sells,
    orders: {
      accepted: counts.accepted,
      filled: counts.filled,
      expired: counts.expired,
      cancelled: counts.cancelled,
      rejected: { ...rejected },
    },
    fills: record.fills,
    bought: formatDecimal(record.bought, quantityScale),
    sold: formatDecimal(record.sold, quantityScale),
    position: formatDecimal(quantity, quantityScale),
    average_price: unit === 0n ? null : formatDecimal(cost / unit, priceScale),
    // Twice the mid has one binary place more than a price, so one decimal place is exact.
    mid: mark === null ? null : formatDecimal(mark * 5n, priceScale + 1),
    volume: amountText(position.volume),
    fees: amountText(position.fees),
    realised: amountText(position.realised),
    unrealised_at_mid: unrealised === null ? null : amountText(unrealised),
    profit_at_mid: result === null ? null : amountText(result),
    drawdown_at_mid: drawdownOf(drawdown),
  };
}

export function resultOfRun(
  crypto: WireCrypto,
  options: BacktestOptions,
  run: BacktestRun,
  limits: boolean,
): BacktestResult {
  const { epoch, cuts } = options;
  const { recorder } = run;
  const { paper } = epoch.trading;
  const { account } = recorder;
  const totals = account.totals();
  return {
    strategy: epoch.name,
    bundle_sha256: toHex(crypto.sha256(epoch.bundle)),
    parameters_sha256: toHex(crypto.sha256(epoch.parameters)),
    seed: toHex(epoch.seed),
    instruments: epoch.instruments,
    captures: run.captures.map(({ path, summary }, at) => ({
      file: basename(path),
      stream: at + 1,
      messages: summary.messages,
      rows: summary.events,
      batches: summary.batches,
      first: isoOf(summary.firstTimeNs),
      last: isoOf(summary.lastTimeNs),
      ended: summary.ended,
    })),
    cuts: { rows: cuts.closeRows, ms: cuts.closeMs },
    model: {
      latency_ms: paper.latencyMs,
      taker_fee_ppm: paper.takerFeePpm,
      maker_fee_ppm: paper.makerFeePpm,
      slippage_ticks: paper.slippageTicks,
      limits,
    },
    batches: recorder.batches,
    rows: recorder.rows,
    gaps: recorder.gaps,
    signals: recorder.outputs,
    reports: recorder.reports,
    ended: run.ended,
    by_instrument: recorder.instruments
      .filter(({ instrument }) => run.subscribed.includes(instrument.id))
      .map((record) => instrumentResult(record, account)),
    fees: textOf(totals?.fees),
    realised: textOf(totals?.realised),
    unrealised_at_mid: textOf(totals?.unrealised),
    profit_at_mid: textOf(totals?.equity),
    drawdown_at_mid: drawdownOf(recorder.drawdown),
    outputs_sha256: run.outputsSha256,
    leaves: run.leaves,
    root: toHex(run.root),
    machine: {
      seconds: run.seconds,
      rows_per_second: Math.round(recorder.rows / run.seconds),
      slowest_batch_ms: run.slowestMs,
      time_budget_ms: epoch.timeBudgetMs,
    },
  };
}
