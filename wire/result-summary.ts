// The readable form of a result's statement, the same from the enclave and from a verifier: it is derived and never
// signed, so a reader may show it and a verifier derives it again. Amounts stay decimal texts.

import { toHex } from './bytes.ts';
import type {
  Amounts,
  ResultHour,
  ResultMatched,
  ResultPolls,
  ResultStatement,
} from './result-statement.ts';

export type ReadableAmounts = Readonly<Record<string, string>>;

export interface ReadableMatched {
  readonly trades: number;
  readonly volume: ReadableAmounts;
}

export interface ReadableHour {
  readonly start_ms: number;
  readonly trades: number;
  readonly volume: ReadableAmounts;
  readonly fees: ReadableAmounts;
  readonly complete: boolean;
}

/** Times with `_ns` are decimal texts, because they are beyond 2^53. */
export interface ResultSummary {
  readonly origin: string;
  readonly account_commitment: string;
  readonly venue: string;
  readonly hosts: readonly { readonly host: string; readonly spki_sha256: string }[];
  readonly environment: 'live' | 'sandbox';
  readonly observed_since_ns: string;
  readonly period: { readonly start_ns: string; readonly end_ns: string };
  readonly as_of_ns: string;
  readonly polls: ResultPolls;
  readonly coverage: readonly {
    readonly what: string;
    readonly market: string | null;
    readonly from_ms: number;
    readonly to_ms: number;
    readonly complete: boolean;
    readonly reason: string | null;
  }[];
  readonly gaps: readonly {
    readonly from_ms: number;
    readonly to_ms: number;
    readonly reason: string;
  }[];
  readonly method: string;
  readonly trades: number;
  readonly volume: ReadableAmounts;
  readonly fees: ReadableAmounts;
  readonly funding: ReadableAmounts;
  readonly deposits: ReadableAmounts;
  readonly withdrawals: ReadableAmounts;
  readonly balances: ReadableAmounts | null;
  readonly positions: number | null;
  readonly unrealized: ReadableAmounts | null;
  readonly matched: ReadableMatched | null;
  readonly unmatched: ReadableMatched | null;
  readonly missing: readonly string[];
}

function readable(amounts: Amounts): ReadableAmounts {
  return Object.fromEntries(amounts);
}

function readableOrNull(amounts: Amounts | null): ReadableAmounts | null {
  return amounts === null ? null : readable(amounts);
}

function readableMatched(matched: ResultMatched | null): ReadableMatched | null {
  return matched === null ? null : { trades: matched.trades, volume: readable(matched.volume) };
}

function readableHour({ startMs, trades, volume, fees, complete }: ResultHour): ReadableHour {
  return {
    start_ms: startMs,
    trades,
    volume: readable(volume),
    fees: readable(fees),
    complete,
  };
}

export function summaryOf(statement: ResultStatement): ResultSummary {
  const { figures } = statement;
  return {
    origin: statement.origin,
    account_commitment: toHex(statement.accountCommitment),
    venue: statement.venue,
    hosts: statement.hosts.map(({ host, spkiHash }) => ({ host, spki_sha256: toHex(spkiHash) })),
    environment: statement.environment,
    observed_since_ns: String(statement.observedSinceNs),
    period: {
      start_ns: String(statement.periodStartNs),
      end_ns: String(statement.periodEndNs),
    },
    as_of_ns: String(statement.asOfNs),
    polls: statement.polls,
    coverage: statement.coverage.map(({ what, market, fromMs, toMs, complete, reason }) => ({
      what,
      market,
      from_ms: fromMs,
      to_ms: toMs,
      complete,
      reason,
    })),
    gaps: statement.gaps.map(({ fromMs, toMs, reason }) => ({
      from_ms: fromMs,
      to_ms: toMs,
      reason,
    })),
    method: statement.method,
    trades: figures.trades,
    volume: readable(figures.volume),
    fees: readable(figures.fees),
    funding: readable(figures.funding),
    deposits: readable(figures.deposits),
    withdrawals: readable(figures.withdrawals),
    balances: readableOrNull(figures.balances),
    positions: figures.positions,
    unrealized: readableOrNull(figures.unrealized),
    matched: readableMatched(figures.matched),
    unmatched: readableMatched(figures.unmatched),
    missing: statement.missing,
  };
}

/** The hours of a statement: the `metrics` of an answer. */
export function hoursOf(statement: ResultStatement): readonly ReadableHour[] {
  return statement.figures.hours.map(readableHour);
}
