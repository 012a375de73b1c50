// A track record without books or storage: rows over real statements with real signatures, answers that a test may change.

import type {
  MetricsAnswer,
  MetricsRow,
  RangeQuery,
  ReturnsAnswer,
  SignedRow,
  SnapshotsAnswer,
  SyncAnswer,
  SyncQuery,
  TrackCaller,
  TrackHealth,
  TrackQuery,
  TrackService,
  TrackSums,
} from '../../enclave/ledger/track-service-types.ts';
import { parseFixed } from '../../wire/fixed.ts';
import type { Result } from '../../wire/result.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';
import { checkChain } from '../../wire/track/chain.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import {
  encodeTrackStatement,
  parseChainPlace,
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import type { Place } from '../vectors/track.ts';
import { Chain, gapAt, HOUR, hourAt, metricsOf, snapshotAt, ORIGIN } from '../vectors/track.ts';

const HOUR_MS = 3_600_000;
const LEAF = 97;

export interface FakeTrackOptions {
  /** Ed25519 of the desk. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly origin?: string;
  readonly hours?: number;
  /** In place of sample hours. */
  readonly statements?: readonly Place[];
}

/** What its sums say, as the statement has it. */
const FIGURES: readonly (readonly [string, string | number])[] = [
  ['equity_end', '26012.5'],
  ['realised', '20'],
  ['unrealised_end', '-3'],
  ['funding', '-0.000000000000000001'],
  ['volume', '51000'],
  ['spot.unrealised', '-3'],
  ['swap.daily.win_rate', '0.6'],
  ['gain', '-260.5'],
  ['capital_lowest', '0.000000000000000001'],
  ['capital_mean', '26000'],
  ['capital_small_share', '0.5'],
  ['return_bridged', '-0.01'],
  ['daily.volatility', '0.12'],
  ['daily.drawdown', '0.01'],
  ['daily.drawdown_peak_ms', HOUR],
  ['daily.drawdown_trough_ms', HOUR + HOUR_MS],
  ['daily.win_rate', '0.5'],
  ['polls', 24],
  ['hours_incomplete', 1],
  ['residual', '0'],
];

const TOTALS: TrackSums = {
  balance: parseFixed('26015.5'),
  equity: parseFixed('26012.5'),
  realizedPnl: parseFixed('20'),
  unrealizedPnl: parseFixed('-3'),
  fees: parseFixed('2.5'),
  funding: parseFixed('-0.000000000000000001'),
  volume: parseFixed('51000'),
  trades: 3,
};

function startOf({ statement }: SignedRow<HourStatement>): number {
  return statement.figures.startMs;
}

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
  changeReturn: (row: SignedRow<HourStatement>) => SignedRow<HourStatement> = (row) => row;
  /** Rows that are left out, moved or there again. */
  changeReturns: (rows: ReturnsAnswer['returns']) => ReturnsAnswer['returns'] = (rows) => rows;
  changeMetrics: (answer: MetricsAnswer) => MetricsAnswer = (answer) => answer;

  constructor({ sign, origin = ORIGIN, hours = 4, statements }: FakeTrackOptions) {
    this.#sign = sign;
    this.origin = origin;
    for (const statement of statements ?? []) this.chain.link({ ...statement, origin });
    if (statements !== undefined) return;
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
    const rows = this.changeReturns(this.#returns());
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
        totals: TOTALS,
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

  #signed(statement: Uint8Array, position: number): SignedStatement {
    const domain = trackDomainOf(statement) ?? '';
    return {
      statement,
      signature: this.#sign(trackSignedBytes(domain, LEAF, position, statement)),
      origin: this.origin,
      leafIndex: LEAF,
      position,
      leafSalt: new Uint8Array(16).fill(5),
    };
  }

  /** In the order of time, wherever in the chain they are. */
  #returns(): readonly SignedRow<HourStatement>[] {
    const held = assertAccepted(checkChain(nodeCrypto, this.chain.statements));
    const rows = this.chain.statements.flatMap((bytes, position) => {
      const parsed = parseTrackStatement(bytes);
      if (!parsed.ok || parsed.value.kind !== 'hour' || !held.holds(parsed.value)) return [];
      return [{ statement: parsed.value, signed: this.#signed(bytes, position) }];
    });
    return rows.toSorted((a, b) => startOf(a) - startOf(b)).map((row) => this.changeReturn(row));
  }

  #snapshots(): readonly SignedRow<SnapshotStatement>[] {
    const held = assertAccepted(checkChain(nodeCrypto, this.chain.statements));
    return this.chain.statements.flatMap((bytes, position) => {
      const parsed = parseTrackStatement(bytes);
      if (!parsed.ok || parsed.value.kind !== 'snapshot' || !held.holds(parsed.value)) return [];
      return [{ statement: parsed.value, signed: this.#signed(bytes, position) }];
    });
  }

  #metrics(): MetricsRow {
    const metrics = metricsOf(this.chain);
    const figures = new Map([...metrics.figures, ...FIGURES]);
    // As the ledger has it: over all of the chain, whatever is at its end.
    const bytes = this.chain.statements.at(-1) ?? new Uint8Array();
    const last = {
      counter: assertAccepted(parseChainPlace(bytes)).counter,
      hash: nodeCrypto.sha256(bytes),
    };
    const statement = { ...metrics, figures, origin: this.origin, last };
    const signed = this.#signed(encodeTrackStatement(statement), 0);
    return { statement, signed, lastSyncMs: HOUR + 2 * HOUR_MS };
  }
}
