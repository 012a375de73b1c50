// The verdict on a track record, as JSON and for people: whose record it is, every figure as it was computed here from the
// signed hours, and what such a record cannot show.

import { toHex } from '../../wire/bytes.ts';
import type { BridgedGap } from '../../wire/performance/bridges.ts';
import type { CalendarReturn } from '../../wire/performance/calendar.ts';
import { drawdowns } from '../../wire/performance/drawdown.ts';
import { metricsFigures } from '../../wire/performance/metrics-figures.ts';
import type { Performance } from '../../wire/performance/performance.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import type { Refusal } from '../../wire/result.ts';
import type { Judgement } from '../log/verdict-frame.ts';
import {
  printable,
  refusedJudgement,
  renderJudgement,
  row,
  verifiedJudgement,
} from '../log/verdict-frame.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { ResidualRisk, RiskFields } from '../residual-risks.ts';
import { NO_RISKS, renderRisks, riskFields, risksOfOptions } from '../residual-risks.ts';
import type { SigningEpoch, VerifiedRecord } from './check-record.ts';
import type { HourJson, PriceSourceJson } from './hour-json.ts';
import { hourJson, priceSourceJson, priceSources } from './hour-json.ts';
import type { LossJson, LossLeaves } from './losses.ts';
import { lossJson, lossRisks, lossText } from './losses.ts';
import { monthlyReturns } from './months.ts';

/** Times in ms since the Unix epoch, hashes in hex, ratios and amounts as decimal texts; null is not known. */
export interface RecordSummary extends FiguresJson {
  readonly account: string;
  readonly venue: string;
  readonly environment: 'live' | 'sandbox';
  readonly lot_method: string | null;
  readonly chain: { readonly counter: number; readonly hash: string; readonly ended: boolean };
  readonly statements: {
    readonly hours: number;
    readonly snapshots: number;
    readonly corrections: number;
    readonly revocations: number;
    readonly metrics: number;
  };
  readonly hourly: readonly HourJson[];
  /** Where prices of the period came from. */
  readonly price_sources: readonly PriceSourceJson[];
  readonly corrected: readonly CorrectionJson[];
  readonly lost: readonly LossJson[];
  readonly epochs: readonly EpochJson[];
}

/** What is computed from hours, of one account or of several. */
export interface FiguresJson {
  /** Null: no hour was seen. */
  readonly period: { readonly start_ms: number; readonly end_ms: number } | null;
  readonly figures: Readonly<Record<string, string | number | null>>;
  readonly reasons: Readonly<Record<string, string>>;
  readonly conventions: Readonly<Record<string, string>>;
  readonly gaps: readonly GapJson[];
  /** Of the hours that were worked out backwards, which are in no figure but those named `rebuilt.`. */
  readonly rebuilt_gaps: readonly GapJson[];
  readonly months: readonly PeriodJson[];
  readonly days: readonly PeriodJson[];
  readonly drawdowns: readonly DrawdownJson[];
}

interface GapJson {
  readonly from_ms: number;
  readonly to_ms: number;
  readonly reason: string;
  /** What the value changed over it; null is not known, for the reason beside it. */
  readonly change: string | null;
  readonly unknown: string | null;
}

interface PeriodJson {
  readonly start_ms: number;
  readonly end_ms: number;
  readonly whole: boolean;
  readonly return: string | null;
  /** With what the value changed over gaps that end in it. */
  readonly bridged: string | null;
  /** Over the hours that have a return: no return of the period where there are gaps. */
  readonly observed: string | null;
  readonly hours: number;
  readonly method: string | null;
}

interface DrawdownJson {
  readonly depth: string;
  readonly peak_ms: number;
  readonly trough_ms: number;
  readonly recovery_ms: number | null;
}

interface CorrectionJson {
  readonly counter: number;
  readonly supersedes: number;
  readonly reason: string;
  readonly at_ms: number;
}

interface EpochJson {
  readonly origin: string;
  readonly document_sha256: string;
  readonly module_id: string;
  readonly attested_ms: number;
  readonly pcr0: string;
  readonly config_digest: string | null;
  readonly statements: number;
  readonly counters: readonly [number, number];
  readonly leaves: readonly [number, number];
}

/** Null where it was refused. */
export interface RecordVerdict extends Judgement {
  readonly record: RecordSummary | null;
  /** Every statement was looked up in the log. */
  readonly logged: boolean | null;
  readonly operator_could_still: RiskFields['operator_could_still'] | null;
  readonly rests_on: RiskFields['rests_on'] | null;
  readonly residual_risks: RiskFields['residual_risks'] | null;
}

export function refusedRecord(
  source: string,
  trust: TrustOptions,
  refusal: Refusal,
): RecordVerdict {
  return { ...refusedJudgement(source, trust, refusal), record: null, logged: null, ...NO_RISKS };
}

function periodJson({
  startMs,
  endMs,
  ratio,
  bridged,
  observed,
  periods,
  method,
  ...rest
}: CalendarReturn): PeriodJson {
  return {
    start_ms: startMs,
    end_ms: endMs,
    whole: rest.whole,
    return: ratio,
    bridged,
    observed,
    hours: periods,
    method,
  };
}

function gapJson({ fromMs, toMs, reason, change, unknown }: BridgedGap): GapJson {
  return { from_ms: fromMs, to_ms: toMs, reason, change, unknown };
}

function epochJson(epoch: SigningEpoch): EpochJson {
  return {
    origin: epoch.origin,
    document_sha256: epoch.documentSha256,
    module_id: epoch.moduleId,
    attested_ms: epoch.timestampMs,
    pcr0: epoch.pcr0,
    config_digest: epoch.configDigest,
    statements: epoch.statements,
    counters: [epoch.firstCounter, epoch.lastCounter],
    leaves: [epoch.firstLeaf, epoch.lastLeaf],
  };
}

function correctionJson({ statement }: VerifiedRecord['corrections'][number]): CorrectionJson {
  const { counter, supersedes } = statement;
  return {
    counter,
    supersedes: supersedes?.counter ?? 0,
    reason: supersedes?.reason ?? '',
    at_ms: statement.kind === 'hour' ? statement.figures.startMs : statement.atMs,
  };
}

export function figuresJson(performance: Performance): FiguresJson {
  const { coverage, gaps, rebuilt, days, points } = performance;
  const { figures, reasons, conventions } = metricsFigures(performance);
  const { startMs, endMs, recorded } = coverage;
  return {
    period: recorded === 0 ? null : { start_ms: startMs, end_ms: endMs },
    figures: Object.fromEntries(figures),
    reasons: Object.fromEntries(reasons),
    conventions: Object.fromEntries(conventions),
    gaps: gaps.map(gapJson),
    rebuilt_gaps: (rebuilt?.gaps ?? []).map(gapJson),
    months: monthlyReturns(points).map(periodJson),
    days: days.map(periodJson),
    drawdowns: drawdowns(points).map(({ depth, peakMs, troughMs, recoveryMs }) => ({
      depth,
      peak_ms: peakMs,
      trough_ms: troughMs,
      recovery_ms: recoveryMs,
    })),
  };
}

function summaryOf(
  record: VerifiedRecord,
  performance: Performance,
  leaves: LossLeaves | null,
): RecordSummary {
  const { account, head, ended, hours, snapshots, corrections, revocations, metrics } = record;
  const { coverage } = performance;
  return {
    account: toHex(account.accountCommitment),
    venue: account.venue,
    environment: account.environment,
    lot_method: hours.at(-1)?.statement.lotMethod ?? null,
    chain: { counter: head.counter, hash: head.hash === null ? '' : toHex(head.hash), ended },
    statements: {
      hours: hours.length,
      snapshots: snapshots.length,
      corrections: corrections.length,
      revocations: revocations.length,
      metrics: metrics.length,
    },
    ...figuresJson(performance),
    hourly: hours.map(hourJson),
    price_sources: priceSources(
      hours
        .map(({ statement }) => statement.figures)
        .filter(({ startMs }) => startMs >= coverage.startMs && startMs < coverage.endMs),
    ).map(priceSourceJson),
    corrected: corrections.map(correctionJson),
    lost: record.losses.map((loss) => lossJson(loss, leaves)),
    epochs: record.epochs.map(epochJson),
  };
}

function risksOf(
  trust: TrustOptions,
  { account, losses }: VerifiedRecord,
  logged: boolean,
): readonly ResidualRisk[] {
  const risks: readonly ResidualRisk[] = [
    ...risksOfOptions(trust),
    {
      risk: 'chosen_account',
      sentence:
        account.environment === 'sandbox'
          ? 'trade as it likes here: the account is on a test system, nothing was at stake'
          : 'have other accounts, and accounts that were ended when they did badly: agree on the commitment before the period begins',
    },
    {
      risk: 'chosen_result',
      sentence:
        'show a record that ends when it suits: ask the enclave for the head of the chain, and compare the counter',
    },
    ...lossRisks(losses),
  ];
  if (logged) return risks;
  const sentence = 'have dropped the end of the log with leaves of this record: give --log';
  return [...risks, { risk: 'unlogged_result', sentence }];
}

export interface JudgedRecord {
  readonly verdict: RecordVerdict;
  readonly performance: Performance;
}

export function verifiedRecord(
  source: string,
  trust: TrustOptions,
  record: VerifiedRecord,
  leaves: LossLeaves | null,
): JudgedRecord {
  const logged = leaves !== null;
  const performance = performanceOf(record.hours.map(({ statement }) => statement.figures));
  const venue: ResidualRisk = {
    risk: 'venue_word',
    sentence: `what ${record.account.venue} answered over TLS: the enclave adds up what the venue says`,
  };
  const verdict = {
    ...verifiedJudgement(source, trust, logged ? [] : ['log']),
    logged,
    record: summaryOf(record, performance, leaves),
    ...riskFields(trust, risksOf(trust, record, logged), [venue]),
  };
  return { verdict, performance };
}

const SHOWN = [
  'return',
  'return_bridged',
  'return_observed',
  'gain',
  'capital_lowest',
  'capital_mean',
  'capital_highest',
  'capital_small_share',
  'xirr',
  'daily.volatility',
  'daily.sharpe',
  'daily.sortino',
  'daily.calmar',
  'hourly.drawdown',
  'hourly.worst',
  'equity_start',
  'equity_end',
  'inflow',
  'outflow',
  'residual_absolute',
  'hours',
  'hours_with_return',
  'gaps',
  'gaps_unknown',
  'hours_rebuilt',
  'rebuilt.return',
  'trades',
] as const;

export function renderRecord(verdict: RecordVerdict): string {
  const { record } = verdict;
  return renderJudgement(verdict, record === null ? [] : renderFacts(verdict, record));
}

export function renderFigures({ figures, reasons }: FiguresJson): readonly string[] {
  return SHOWN.filter((name) => name in figures).map((name) => {
    const value = figures[name] ?? null;
    return `  ${name.padEnd(20)}${printable(value === null ? `not known: ${reasons[name] ?? ''}` : String(value))}`;
  });
}

function periodText(period: FiguresJson['period']): string {
  if (period === null) return 'no hour was seen yet';
  const [from, to] = [period.start_ms, period.end_ms].map((ms) => new Date(ms).toISOString());
  return `${from ?? ''} to ${to ?? ''}`;
}

function renderFacts(verdict: RecordVerdict, record: RecordSummary): readonly string[] {
  const { period, statements, chain } = record;
  const lines = [
    row('account', record.account),
    row('venue', `${record.venue}, ${record.environment}`),
    row('period', periodText(period)),
    row('chain', `${chain.counter} statements, last ${chain.hash}`),
    row(
      'statements',
      `${statements.hours} hours, ${statements.snapshots} snapshots, ${statements.corrections} corrections, ${statements.revocations} revocations, ${statements.metrics} metrics`,
    ),
    ...record.lost.map((loss) => row('LOST', lossText(loss))),
    ...record.epochs.map(({ origin, statements: count }) =>
      row('signed by', `${origin}: ${count}`),
    ),
    ...renderFigures(record),
  ];
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = verdict;
  if (operator === null || rests === null || risks === null) return lines;
  const fields = { operator_could_still: operator, rests_on: rests, residual_risks: risks };
  return [...lines, ...renderRisks(fields).map(printable)];
}
