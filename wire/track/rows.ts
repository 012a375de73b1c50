// The rows that a signed statement has in the database of a track record (docs/PROTOCOL.md 12j): what the ledger writes, and
// what an audit of a database compares with. Columns with figures repeat what the statement says, for readers.

import type { Fixed } from '../fixed.ts';
import { formatFixed } from '../fixed.ts';
import type { SignedStatement } from './evidence.ts';
import { TRACK_CURRENCY } from './head.ts';
import type { HourStatement } from './hour.ts';
import type { SnapshotStatement } from './snapshot.ts';
import type { ChainStatement } from './statement.ts';

export type TrackTable = 'chain' | 'hourly_returns' | 'balance_snapshots' | 'corrections';
/** By the name of the column; amounts and ratios are canonical decimal texts. */
export type TrackColumns = Readonly<Record<string, string | number | boolean | Uint8Array | null>>;

export interface TrackRow {
  readonly table: TrackTable;
  readonly columns: TrackColumns;
}

function amount(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

function hourColumns({
  figures,
  return: returned,
  supersedes,
  venue,
  environment,
}: HourStatement): TrackColumns {
  return {
    supersedes: supersedes?.counter ?? null,
    start_ms: figures.startMs,
    venue,
    environment,
    currency: TRACK_CURRENCY,
    return_ratio: returned.ratio,
    return_method: returned.method,
    return_reason: returned.reason,
    equity_start: amount(figures.equityStart),
    equity_end: amount(figures.equityEnd),
    inflow: amount(figures.inflow),
    outflow: amount(figures.outflow),
    realised: amount(figures.realised),
    unrealised_change: amount(figures.unrealisedChange),
    funding: amount(figures.funding),
    fees: amount(figures.fees),
    residual: amount(figures.residual),
    status: figures.status,
    trades: figures.trades,
    volume: amount(figures.volume),
    complete: figures.complete,
    rebuilt: figures.rebuilt,
  };
}

function snapshotColumns(statement: SnapshotStatement): TrackColumns {
  return {
    supersedes: statement.supersedes?.counter ?? null,
    at_ms: statement.atMs,
    venue: statement.venue,
    environment: statement.environment,
    currency: TRACK_CURRENCY,
    equity: amount(statement.equity),
    balance: amount(statement.balance),
    unrealised: amount(statement.unrealised),
    deposits: amount(statement.deposits),
    withdrawals: amount(statement.withdrawals),
  };
}

/**
 * The chain's row without its MAC, that of its kind, and the correction where it is one. `parsed` and `hash` (SHA-256) are
 * of `signed.statement`.
 */
export function trackRows(
  { statement, signature, origin, leafIndex, leafSalt, position }: SignedStatement,
  parsed: ChainStatement,
  hash: Uint8Array,
): readonly TrackRow[] {
  const { counter, kind } = parsed;
  const place = { account: parsed.accountCommitment, counter };
  const signed = {
    statement,
    signature,
    origin,
    leaf_index: leafIndex,
    leaf_salt: leafSalt,
    position,
  };
  // That of a statement that was lost is in no row.
  const previous = kind === 'revocation' && parsed.lost !== null ? null : parsed.previous;
  const rows: TrackRow[] = [
    { table: 'chain', columns: { ...place, kind, previous, hash, ...signed } },
  ];
  if (kind === 'hour') {
    const columns = { ...place, ...hourColumns(parsed), ...signed };
    rows.push({ table: 'hourly_returns', columns });
  } else if (kind === 'snapshot') {
    const columns = { ...place, ...snapshotColumns(parsed), ...signed };
    rows.push({ table: 'balance_snapshots', columns });
  }
  const replaced =
    kind === 'revocation' ? { counter: null, reason: parsed.reason } : parsed.supersedes;
  if (replaced !== null) {
    const { counter: superseded, reason } = replaced;
    rows.push({ table: 'corrections', columns: { ...place, kind, superseded, reason } });
  }
  return rows;
}
