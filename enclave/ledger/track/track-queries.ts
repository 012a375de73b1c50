// What gRPC is answered (track-service-types.ts): rows of the store as they were signed, page by page, and nothing that is
// not in a signed statement. Who asks has been checked; what is asked for is bounded here again where it costs something.

import { setTimeout } from 'node:timers/promises';
import { parseHex } from '../../../wire/bytes.ts';
import { equalBytes, toHex } from '../../../wire/bytes.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { fixedOf } from '../../../wire/grpc/track-messages.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import type { MetricsStatement } from '../../../wire/track/metrics.ts';
import type { ChainStatement } from '../../../wire/track/statement.ts';
import { parseChainStatement } from '../../../wire/track/statement.ts';
import type { LedgerServices } from '../services.ts';
import type {
  Freshness,
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
} from '../track-service-types.ts';
import { MAX_ANSWER_ROWS_BYTES, MAX_PAGE_ROWS } from '../track-service-types.ts';
import type { AccountTrack } from './account-track.ts';
import type { MetricsMaker } from './metrics-maker.ts';
import type { TrackRecord } from './track-record.ts';

const VERSION = '1';
const COMMITMENT = /^[0-9a-f]{64}$/u;
const TOKEN = /^([0-9]{1,15})\.([0-9a-f]{64})$/u;
const LOOK_MS = 250;

interface Place {
  readonly atMs: number;
  readonly track: AccountTrack;
  readonly counter: number;
}

type ReadPlace = Place & SignedRow<ChainStatement>;

interface Page {
  readonly rows: readonly ReadPlace[];
  readonly nextPage: string | null;
}

function nameOf({ account }: AccountTrack): string {
  return toHex(account.commitment);
}

/** All of the same age; the weakest word counts. */
function freshnessOf(tracks: readonly AccountTrack[]): Freshness {
  return tracks.every(({ fresh }) => fresh) ? 'fresh' : 'consistent';
}

/** Money of a test environment is none: it stands for nothing beside money that is. */
function realOf(tracks: readonly AccountTrack[]): readonly AccountTrack[] {
  const live = tracks.filter(({ account }) => account.environment === 'live');
  return live.length === 0 ? tracks : live;
}

export class TrackQueries implements TrackService {
  readonly #services: LedgerServices;
  readonly #record: TrackRecord;
  readonly #metrics: MetricsMaker;
  readonly #startedMs: number;

  constructor(services: LedgerServices, record: TrackRecord, metrics: MetricsMaker) {
    this.#services = services;
    this.#record = record;
    this.#metrics = metrics;
    this.#startedMs = services.nowMs();
  }

  async syncJob(
    _caller: TrackCaller,
    query: SyncQuery,
    signal: AbortSignal,
  ): Promise<Result<SyncAnswer>> {
    const found = this.#find(query);
    if (!found.ok) return found;
    const nowMs = this.#services.nowMs();
    const today = nowMs - (nowMs % DAY_MS);
    const fromMs = query.range?.startMs ?? (query.type === 'incremental' ? today : 0);
    // What is read anew is read until now.
    if ((query.range?.endMs ?? nowMs) < nowMs - (nowMs % HOUR_MS))
      return refuse('api_malformed', { field: 'end_date' });
    for (const { chain } of found.value) {
      // What a snapshot rests on is not told anew because somebody asks for it.
      if ((chain?.lastSnapshotMs ?? 0) > fromMs) return refuse('snapshot_exists');
    }
    const before = found.value.map((track) => ({ track, sums: track.sums }));
    for (const track of found.value) if (!track.resync(fromMs, true)) return refuse('rate_limited');
    for (const track of found.value) {
      // What had begun before, whole or not, is not what was asked for.
      while (track.refusal === null && track.closed.startedMs <= nowMs) {
        if (signal.aborted) return refuse('call_deadline');
        await setTimeout(LOOK_MS, undefined, { signal }).catch(() => undefined);
      }
      const { refusal, closed } = track;
      if (refusal !== null) return { ok: false, refusal };
      const { outcome } = closed;
      if (outcome === 'missed') return refuse('poll_missed');
      if (outcome !== 'complete') return refuse('poll_incomplete');
    }
    const latest = await this.#latestSnapshot(found.value);
    if (!latest.ok) return latest;
    return accept({
      accounts: before.length,
      synced: before.reduce((sum, { track, sums }) => sum + track.sums.records - sums.records, 0),
      hourlyReturnsGenerated: before.reduce(
        (sum, { track, sums }) => sum + track.sums.hours - sums.hours,
        0,
      ),
      latestSnapshot: latest.value,
    });
  }

  async historicalReturns(
    _caller: TrackCaller,
    query: RangeQuery,
    _signal: AbortSignal,
  ): Promise<Result<ReturnsAnswer>> {
    const found = this.#find(query);
    if (!found.ok) return found;
    const page = await this.#page(found.value, query, 'hour', HOUR_MS);
    if (!page.ok) return page;
    const { rows, nextPage } = page.value;
    const returns = rowsOf(rows, 'hour');
    return accept({ returns, nextPage, freshness: freshnessOf(found.value) });
  }

  async snapshotTimeSeries(
    _caller: TrackCaller,
    query: RangeQuery,
    _signal: AbortSignal,
  ): Promise<Result<SnapshotsAnswer>> {
    const found = this.#find(query);
    if (!found.ok) return found;
    const page = await this.#page(found.value, query, 'snapshot', DAY_MS);
    if (!page.ok) return page;
    const { rows, nextPage } = page.value;
    const snapshots = rowsOf(rows, 'snapshot');
    return accept({ snapshots, nextPage, freshness: freshnessOf(found.value) });
  }

  async aggregatedMetrics(
    _caller: TrackCaller,
    query: TrackQuery,
    signal: AbortSignal,
  ): Promise<Result<MetricsAnswer>> {
    const found = this.#find(query);
    if (!found.ok) return found;
    const accounts: MetricsRow[] = [];
    const added: MetricsStatement[] = [];
    const counted = new Set(realOf(found.value));
    for (const track of found.value) {
      if (signal.aborted) return refuse('call_deadline');
      const made = await this.#metrics.make(track);
      if (!made.ok) return made;
      const { statement, signed } = made.value;
      accounts.push({ statement, signed, lastSyncMs: track.sync?.lastSyncMs ?? null });
      if (counted.has(track)) added.push(statement);
    }
    const syncs = found.value.map(({ sync }) => sync?.lastSyncMs ?? 0).filter((ms) => ms > 0);
    return accept({
      totals: totalsOf(added),
      lastSyncMs: syncs.length === 0 ? null : Math.min(...syncs),
      accounts,
      freshness: freshnessOf(found.value),
    });
  }

  health(): TrackHealth {
    const { store } = this.#record;
    return {
      healthy: this.#services.isReady() && !this.#services.logStalled() && store.available,
      version: VERSION,
      uptimeMs: this.#services.nowMs() - this.#startedMs,
      stored: store.persistent && store.available,
      origin: this.#services.origin,
    };
  }

  /** By commitment, or all of a user's. Refuses `account_unknown`, and the first account that is refused itself. */
  #find({ userUid, exchange }: TrackQuery): Result<readonly AccountTrack[]> {
    const commitment = COMMITMENT.test(userUid) ? parseHex(userUid) : null;
    const userHash = commitment === null ? this.#services.userHash(userUid) : null;
    const found = this.#record.tracks().filter(({ account }) => {
      if (exchange !== null && account.venue !== exchange) return false;
      return commitment === null
        ? userHash !== null && equalBytes(account.userHash, userHash)
        : equalBytes(account.commitment, commitment);
    });
    if (found.length === 0) return refuse('account_unknown');
    for (const { refusal, chain } of found) {
      if (refusal !== null) return { ok: false, refusal };
      if (chain === null) return refuse('not_ready');
    }
    return accept(found.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)));
  }

  async #page(
    tracks: readonly AccountTrack[],
    { range, pageSize, pageToken }: RangeQuery,
    kind: 'hour' | 'snapshot',
    stepMs: number,
  ): Promise<Result<Page>> {
    const token = pageToken === null ? null : TOKEN.exec(pageToken);
    if (pageToken !== null && token === null)
      return refuse('api_malformed', { field: 'page_token' });
    const after = token === null ? null : { atMs: Number(token[1]), name: token[2] ?? '' };
    const limit = Math.min(Math.max(1, pageSize), MAX_PAGE_ROWS);
    const places = placesOf(tracks, kind, stepMs, {
      fromMs: Math.max(range?.startMs ?? 0, after?.atMs ?? 0),
      toMs: range?.endMs ?? Infinity,
      after,
      limit: limit + 1,
    });
    const read = await this.#read(places.slice(0, limit));
    if (!read.ok) return read;
    const rows: ReadPlace[] = [];
    let bytes = 0;
    for (const row of read.value) {
      bytes += row.signed.statement.length;
      if (rows.length > 0 && bytes > MAX_ANSWER_ROWS_BYTES) break;
      rows.push(row);
    }
    const last = rows.at(-1);
    const isWhole = rows.length === places.length || last === undefined;
    return accept({ rows, nextPage: isWhole ? null : `${last.atMs}.${nameOf(last.track)}` });
  }

  async #read(places: readonly Place[]): Promise<Result<readonly ReadPlace[]>> {
    const signed = new Map<Place, SignedStatement>();
    for (const [track, own] of Map.groupBy(places, (place) => place.track)) {
      if (track.chain === null) return refuse('not_ready');
      const counters = own.map(({ counter }) => counter);
      const rows = await this.#record.store.rows(track.account, track.chain, counters);
      if (!rows.ok) return rows;
      own.forEach((place, at) => {
        const row = rows.value[at];
        if (row !== undefined) signed.set(place, row);
      });
    }
    const read: ReadPlace[] = [];
    for (const place of places) {
      const row = signed.get(place);
      if (row === undefined) return refuse('store_deleted');
      const parsed = parseChainStatement(row.statement);
      if (!parsed.ok) return parsed;
      read.push({ ...place, signed: row, statement: parsed.value });
    }
    return accept(read);
  }

  async #latestSnapshot(
    tracks: readonly AccountTrack[],
  ): Promise<Result<SyncAnswer['latestSnapshot']>> {
    const places = realOf(tracks).flatMap((track): readonly Place[] => {
      const atMs = track.chain?.lastSnapshotMs ?? null;
      const counter = atMs === null ? null : (track.chain?.effective('snapshot', atMs) ?? null);
      return atMs === null || counter === null ? [] : [{ atMs, track, counter }];
    });
    const newest = places.toSorted((a, b) => b.atMs - a.atMs).slice(0, 1);
    const read = await this.#read(newest);
    if (!read.ok) return read;
    const [row = null] = rowsOf(read.value, 'snapshot');
    return accept(row);
  }
}

interface Window {
  readonly fromMs: number;
  readonly toMs: number;
  readonly after: { readonly atMs: number; readonly name: string } | null;
  readonly limit: number;
}

/** By time, then account; `tracks` are in the order of their names. */
function placesOf(
  tracks: readonly AccountTrack[],
  kind: 'hour' | 'snapshot',
  stepMs: number,
  { fromMs, toMs, after, limit }: Window,
): readonly Place[] {
  const firsts: number[] = [];
  const lasts: number[] = [];
  for (const { chain } of tracks) {
    const first = kind === 'hour' ? chain?.firstHourMs : chain?.firstSnapshotMs;
    const last = kind === 'hour' ? chain?.lastHourMs : chain?.lastSnapshotMs;
    if (typeof first === 'number' && typeof last === 'number') {
      firsts.push(first);
      lasts.push(last);
    }
  }
  const places: Place[] = [];
  const lastMs = Math.max(...lasts, 0);
  const from = Math.max(Math.min(...firsts), Math.ceil(fromMs / stepMs) * stepMs);
  for (let atMs = from; atMs <= lastMs && atMs < toMs && places.length < limit; atMs += stepMs) {
    for (const track of tracks) {
      const counter = track.chain?.effective(kind, atMs) ?? null;
      if (counter === null || places.length === limit) continue;
      if (after !== null && atMs === after.atMs && nameOf(track) <= after.name) continue;
      places.push({ atMs, track, counter });
    }
  }
  return places;
}

function rowsOf<Kind extends ChainStatement['kind']>(
  read: readonly ReadPlace[],
  kind: Kind,
): readonly SignedRow<Extract<ChainStatement, { kind: Kind }>>[] {
  const isKind = (
    row: ReadPlace,
  ): row is Place & SignedRow<Extract<ChainStatement, { kind: Kind }>> =>
    row.statement.kind === kind;
  const rows: SignedRow<Extract<ChainStatement, { kind: Kind }>>[] = [];
  for (const row of read) if (isKind(row)) rows.push(row);
  return rows;
}

function totalsOf(accounts: readonly MetricsStatement[]): TrackSums {
  const sum = (name: string): Fixed | null => {
    let total: Fixed = 0n;
    for (const { figures } of accounts) {
      const value = fixedOf(figures, name);
      if (value === null) return null;
      total += value;
    }
    return total;
  };
  const [equity, unrealizedPnl] = [sum('equity_end'), sum('unrealised_end')];
  let trades = 0;
  for (const { figures } of accounts) trades += Number(figures.get('trades') ?? 0);
  return {
    balance: equity === null || unrealizedPnl === null ? null : equity - unrealizedPnl,
    equity,
    realizedPnl: sum('realised'),
    unrealizedPnl,
    fees: sum('fees'),
    funding: sum('funding'),
    volume: sum('volume'),
    trades,
  };
}
