// A track record without books or storage: rows over real statements with real signatures, answers that a test may change.

import type {
  AccountMetrics,
  Evidence,
  MetricsAnswer,
  RangeQuery,
  ReturnsAnswer,
  SnapshotsAnswer,
  SyncAnswer,
  SyncQuery,
  TrackCaller,
  TrackHealth,
  TrackQuery,
  TrackReturn,
  TrackService,
  TrackSnapshot,
} from '../../enclave/ledger/track-service-types.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { formatFixed } from '../../wire/fixed.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import {
  encodeTrackStatement,
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import {
  Chain,
  gapAt,
  HOUR,
  hourAt,
  metricsOf,
  snapshotAt,
  ACCOUNT,
  ORIGIN,
} from '../vectors/track.ts';

const HOUR_MS = 3_600_000;
const LEAF = 97;

function textOf(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

export interface FakeTrackOptions {
  /** Ed25519 of the desk. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly origin?: string;
  readonly hours?: number;
}

/** What its sums say, as the statement has it. */
const FIGURES: readonly (readonly [string, string])[] = [
  ['equity_end', '26012.5'],
  ['realised', '20'],
  ['unrealised_end', '-3'],
  ['funding', '-0.000000000000000001'],
  ['volume', '51000'],
];

export class FakeTrack implements TrackService {
  readonly chain: Chain = new Chain();
  readonly asked: { readonly what: string; readonly caller: string; readonly query: unknown }[] =
    [];
  readonly origin: string;
  readonly #sign: FakeTrackOptions['sign'];
  healthy = true;
  /** In place of an answer. */
  refusal: Result<never> | null = null;
  /** Awaited before each answer. */
  wait: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  /** Changed rows, for answers that lie. */
  changeReturn: (row: TrackReturn) => TrackReturn = (row) => row;
  changeMetrics: (answer: MetricsAnswer) => MetricsAnswer = (answer) => answer;

  constructor({ sign, origin = ORIGIN, hours = 4 }: FakeTrackOptions) {
    this.#sign = sign;
    this.origin = origin;
    for (let index = 0; index < hours; index++) {
      const startMs = HOUR + index * HOUR_MS;
      this.chain.link({ ...(index === 2 ? gapAt(startMs) : hourAt(startMs)), origin });
      if (index === 0) this.chain.link({ ...snapshotAt(HOUR + HOUR_MS, 1), origin });
    }
  }

  async syncJob(
    caller: TrackCaller,
    query: SyncQuery,
    signal: AbortSignal,
  ): Promise<Result<SyncAnswer>> {
    const refusal = await this.#take('syncJob', caller, query, signal);
    if (refusal !== null) return refusal;
    const [latestSnapshot] = this.#snapshots();
    return accept({
      accounts: 1,
      synced: 12,
      hourlyReturnsGenerated: 4,
      latestSnapshot: latestSnapshot ?? null,
    });
  }

  async historicalReturns(
    caller: TrackCaller,
    query: RangeQuery,
    signal: AbortSignal,
  ): Promise<Result<ReturnsAnswer>> {
    const refusal = await this.#take('historicalReturns', caller, query, signal);
    if (refusal !== null) return refusal;
    const from = Number(query.pageToken ?? 0);
    const rows = this.#returns();
    const page = rows.slice(from, from + query.pageSize);
    const next = from + page.length;
    return accept({
      returns: page,
      nextPage: next < rows.length ? String(next) : null,
      freshness: 'fresh',
    });
  }

  async aggregatedMetrics(
    caller: TrackCaller,
    query: TrackQuery,
    signal: AbortSignal,
  ): Promise<Result<MetricsAnswer>> {
    const refusal = await this.#take('aggregatedMetrics', caller, query, signal);
    if (refusal !== null) return refusal;
    const account = this.#metrics();
    return accept(
      this.changeMetrics({
        totals: account.sums,
        currency: 'USD',
        lastSyncMs: account.lastSyncMs,
        accounts: [account],
        freshness: 'consistent',
      }),
    );
  }

  async snapshotTimeSeries(
    caller: TrackCaller,
    query: RangeQuery,
    signal: AbortSignal,
  ): Promise<Result<SnapshotsAnswer>> {
    const refusal = await this.#take('snapshotTimeSeries', caller, query, signal);
    if (refusal !== null) return refusal;
    return accept({ snapshots: this.#snapshots(), nextPage: null, freshness: 'consistent' });
  }

  health(): TrackHealth {
    const { healthy, origin } = this;
    return { healthy, version: '0.1.0', uptimeMs: 61_500, stored: true, origin };
  }

  async #take(
    what: string,
    caller: TrackCaller,
    query: TrackQuery,
    signal: AbortSignal,
  ): Promise<Result<never> | null> {
    this.asked.push({ what, caller: Buffer.from(caller.certificate).toString('hex'), query });
    await this.wait(signal);
    if (this.refusal !== null) return this.refusal;
    return query.userUid === 'nobody' ? refuse('account_unknown') : null;
  }

  #evidence(statement: Uint8Array, position: number, counter: number | null): Evidence {
    const domain = trackDomainOf(statement) ?? '';
    return {
      statement,
      signature: this.#sign(trackSignedBytes(domain, LEAF, position, statement)),
      origin: this.origin,
      leafIndex: LEAF,
      position,
      leafSalt: new Uint8Array(16).fill(5),
      accountCommitment: ACCOUNT.accountCommitment,
      counter,
    };
  }

  #returns(): readonly TrackReturn[] {
    return this.chain.statements.flatMap((bytes, position) => {
      const parsed = parseTrackStatement(bytes);
      if (!parsed.ok || parsed.value.kind !== 'hour') return [];
      const { figures, venue, counter, supersedes } = parsed.value;
      const row: TrackReturn = {
        startMs: figures.startMs,
        endMs: figures.startMs + HOUR_MS,
        exchange: venue,
        netReturn: figures.equityEnd === null ? null : '12.5',
        ...parsed.value.return,
        balance: textOf(figures.equityEnd),
        currency: 'USD',
        residual: textOf(figures.residual),
        reconciliation: figures.status,
        coverage: { polls: figures.polls, complete: figures.complete, gaps: figures.gaps },
        supersedes: supersedes?.counter ?? null,
        evidence: this.#evidence(bytes, position, counter),
      };
      return [this.changeReturn(row)];
    });
  }

  #snapshots(): readonly TrackSnapshot[] {
    return this.chain.statements.flatMap((bytes, position) => {
      const parsed = parseTrackStatement(bytes);
      if (!parsed.ok || parsed.value.kind !== 'snapshot') return [];
      const { atMs, equity, balance, unrealised, deposits, withdrawals } = parsed.value;
      return [
        {
          exchange: parsed.value.venue,
          atMs,
          equity: textOf(equity),
          realizedBalance: textOf(balance),
          unrealizedPnl: textOf(unrealised),
          deposits: textOf(deposits),
          withdrawals: textOf(withdrawals),
          breakdown: {
            spot: {
              equity: textOf(equity),
              availableMargin: null,
              volume: '51000',
              trades: 3,
              tradingFees: '2.5',
              fundingFees: null,
            },
          },
          currency: 'USD',
          residual: '0',
          coverage: { polls: 288, complete: true, gaps: [] },
          supersedes: null,
          evidence: this.#evidence(bytes, position, parsed.value.counter),
        },
      ];
    });
  }

  #metrics(): AccountMetrics {
    const metrics = metricsOf(this.chain);
    const figures = new Map([...metrics.figures, ...FIGURES]);
    const statement = encodeTrackStatement({ ...metrics, figures, origin: this.origin });
    return {
      exchange: ACCOUNT.venue,
      sums: {
        balance: '26015.5',
        equity: '26012.5',
        realizedPnl: '20',
        unrealizedPnl: '-3',
        fees: '2.5',
        funding: '-0.000000000000000001',
        volume: '51000',
        trades: 3,
      },
      capital: {
        gain: '-260.5',
        lowestCapital: '0.000000000000000001',
        meanCapital: '26000',
        smallCapitalShare: '0.5',
      },
      period: { startMs: HOUR, endMs: HOUR + 2 * HOUR_MS },
      ratios: {
        cumulativeReturn: null,
        cumulativeReturnBridged: '-0.01',
        volatility: '0.12',
        sharpe: null,
        sortino: null,
        calmar: null,
        maxDrawdown: '0.01',
        drawdownPeakMs: HOUR,
        drawdownTroughMs: HOUR + HOUR_MS,
        drawdownRecoveryMs: null,
        winRate: '0.5',
        profitFactor: null,
        xirr: null,
      },
      conventions: { frequency: 'hourly' },
      lotMethod: 'fifo',
      coverage: { polls: 24, complete: false, gaps: ['exchange_unavailable'] },
      residual: '0',
      currency: 'USD',
      lastSyncMs: HOUR + 2 * HOUR_MS,
      evidence: this.#evidence(statement, 0, null),
    };
  }
}
