// Figures over all of an account's record as one signed statement, made from the statements themselves as they are stored:
// whoever has them gets the same figures. One for each head of a chain: asked again it is the same one, and nobody fills
// the log by asking.

import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { metricsFigures } from '../../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { HOUR_MS, MAX_TRACK_STATEMENT_BYTES } from '../../../wire/track/head.ts';
import type { MetricsStatement } from '../../../wire/track/metrics.ts';
import { encodeMetricsStatement } from '../../../wire/track/metrics.ts';
import { parseTrackStatement } from '../../../wire/track/statement.ts';
import type { LedgerServices } from '../services.ts';
import type { TrackStore } from '../store/contract.ts';
import { trackAccountOf } from '../store/postgres-store.ts';
import type { AccountTrack } from './account-track.ts';

/** Five years. */
export const MAX_METRICS_HOURS: number = 5 * 366 * 24;
const PAGE = 500;

export interface SignedMetrics {
  readonly statement: MetricsStatement;
  readonly signed: SignedStatement;
}

/** Counters that hold for the hours of `[fromMs, toMs)`, in their order; those that were revoked are left out. */
export function effectiveHours(chain: ChainCheck, fromMs: number, toMs: number): readonly number[] {
  const { firstHourMs, lastHourMs } = chain;
  if (firstHourMs === null || lastHourMs === null) return [];
  const counters: number[] = [];
  const first = Math.max(firstHourMs, Math.ceil(fromMs / HOUR_MS) * HOUR_MS);
  for (let startMs = first; startMs <= lastHourMs && startMs < toMs; startMs += HOUR_MS) {
    const counter = chain.effective('hour', startMs);
    if (counter !== null) counters.push(counter);
  }
  return counters;
}

interface Cached {
  readonly counter: number;
  readonly made: Promise<Result<SignedMetrics>>;
}

export class MetricsMaker {
  readonly #services: LedgerServices;
  readonly #store: TrackStore;
  readonly #cached = new Map<string, Cached>();
  /** One at a time: a record of years is read for each. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(services: LedgerServices, store: TrackStore) {
    this.#services = services;
    this.#store = store;
  }

  /** Refuses `no_figures` before the first hour, and what store and signature refuse. */
  make(track: AccountTrack): Promise<Result<SignedMetrics>> {
    const { account, chain } = track;
    if (track.refusal !== null) return Promise.resolve({ ok: false, refusal: track.refusal });
    if (chain?.firstHourMs === null || chain === null) return Promise.resolve(refuse('no_figures'));
    const { counter } = chain.head;
    const cached = this.#cached.get(account.id);
    if (cached?.counter === counter) return cached.made;
    const made = this.#last.then(() => this.#make(track, chain));
    this.#last = made.catch(() => undefined);
    this.#cached.set(account.id, { counter, made });
    void made.then((result) => {
      // What failed is tried again.
      if (!result.ok && this.#cached.get(account.id)?.made === made)
        this.#cached.delete(account.id);
    });
    return made;
  }

  async #make({ account }: AccountTrack, chain: ChainCheck): Promise<Result<SignedMetrics>> {
    const head = chain.head.counter;
    const counters = effectiveHours(chain, 0, Infinity).slice(-MAX_METRICS_HOURS);
    const figures: HourFigures[] = [];
    let first: { counter: number; hash: Uint8Array } | null = null;
    for (let at = 0; at < counters.length; at += PAGE) {
      const rows = await this.#store.rows(account, chain, counters.slice(at, at + PAGE));
      if (!rows.ok) return rows;
      for (const { statement } of rows.value) {
        const parsed = parseTrackStatement(statement);
        if (!parsed.ok) return parsed;
        if (parsed.value.kind !== 'hour') continue;
        figures.push(parsed.value.figures);
        const { counter } = parsed.value;
        if (first === null || counter < first.counter) {
          first = { counter, hash: nodeCrypto.sha256(statement) };
        }
      }
    }
    const [begin, end] = [figures[0], figures.at(-1)];
    if (first === null || begin === undefined || end === undefined) return refuse('no_figures');
    const tail = await this.#store.rows(account, chain, [head]);
    if (!tail.ok) return tail;
    const [last] = tail.value;
    if (last === undefined) return refuse('no_figures');
    const statement: MetricsStatement = {
      kind: 'metrics',
      origin: this.#services.origin,
      ...trackAccountOf(account),
      fromMs: begin.startMs,
      toMs: end.startMs + HOUR_MS,
      asOfMs: this.#services.nowMs(),
      first,
      last: { counter: head, hash: nodeCrypto.sha256(last.statement) },
      ...metricsFigures(performanceOf(figures)),
    };
    return this.#sign(statement);
  }

  async #sign(statement: MetricsStatement): Promise<Result<SignedMetrics>> {
    const bytes = encodeMetricsStatement(statement);
    if (bytes.length > MAX_TRACK_STATEMENT_BYTES) return refuse('result_malformed');
    const leaf = await this.#services.sign([bytes]);
    if (!leaf.ok) return leaf;
    const { leafIndex, leafSalt, signatures } = leaf.value;
    const [signature] = signatures;
    if (signature === undefined) return refuse('result_malformed');
    const { origin } = this.#services;
    const signed = { statement: bytes, signature, origin, leafIndex, position: 0, leafSalt };
    return accept({ statement, signed });
  }
}
