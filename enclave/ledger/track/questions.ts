// Questions out of HTTPS, for the one account of the session that asks: the statements of its chain as they were signed, page
// by page, and behind the last of them the figures over all of it.

import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { signedStatementToJson } from '../../../wire/track/evidence.ts';
import type { LedgerAsk } from '../protocol.ts';
import type { LedgerServices } from '../services.ts';
import {
  encodeTrackPage,
  MAX_PAGE_BYTES,
  MAX_PAGE_STATEMENTS,
  parseTrackAsk,
} from '../track-page.ts';
import type { MetricsMaker } from './metrics-maker.ts';
import type { TrackRecord } from './track-record.ts';

/** Beside the statement's base64. */
const ROW_BYTES = 320;

export function answerQuestions(
  services: LedgerServices,
  record: TrackRecord,
  metrics: MetricsMaker,
): void {
  services.onAsk((ask) => answer(ask, record, metrics));
}

/** How many of the rows one answer holds; one at least. */
function fitting(rows: readonly SignedStatement[]): number {
  let bytes = 0;
  for (const [at, { statement }] of rows.entries()) {
    bytes += Math.ceil((statement.length * 4) / 3) + ROW_BYTES;
    if (bytes > MAX_PAGE_BYTES) return Math.max(1, at);
  }
  return rows.length;
}

async function answer(
  { operation, account, arguments: given }: LedgerAsk,
  record: TrackRecord,
  metrics: MetricsMaker,
): Promise<Result<Uint8Array>> {
  const asked = parseTrackAsk(given);
  if (operation !== 'track' || !asked.ok) return refuse('api_malformed');
  const track = record.track(account);
  if (track === null) return refuse('session_unknown');
  const { chain, refusal, fresh } = track;
  if (refusal !== null) return { ok: false, refusal };
  if (chain === null) return refuse('not_ready');
  const after = asked.value;
  const head = chain.head.counter;
  const counters: number[] = [];
  // One place is left for the figures.
  for (let at = after + 1; at <= head && counters.length < MAX_PAGE_STATEMENTS - 1; at++) {
    if (!chain.isLost(at)) counters.push(at);
  }
  const rows = await record.store.rows(track.account, chain, counters);
  if (!rows.ok) return rows;
  const shown = rows.value.slice(0, fitting(rows.value));
  const last = counters[shown.length - 1] ?? head;
  const isWhole = last === head;
  const made = isWhole && head > 0 ? await metrics.make(track) : null;
  const figures = made?.ok === true ? [made.value.signed] : [];
  const page = {
    statements: [...shown, ...figures].map(signedStatementToJson),
    head,
    next: isWhole ? null : last,
    freshness: fresh ? ('fresh' as const) : ('consistent' as const),
  };
  return accept(encodeTrackPage(page));
}
