// Rows of the track record that keep all constraints, for tests of what breaks one.

import type { ClientBase } from 'pg';

export type Row = Readonly<Record<string, unknown>>;

export function bytes(length: number, fill: number): Buffer {
  return Buffer.alloc(length, fill);
}

export const ACCOUNT: Buffer = bytes(32, 1);
export const HOUR_MS = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;
const START_MS = 20_000 * DAY_MS;

const SIGNED = {
  statement: Buffer.from('statement'),
  signature: bytes(64, 7),
  origin: 'example.org/log/e1',
  leaf_index: 4,
  leaf_salt: bytes(16, 8),
  position: 0,
};

export function accountRow(changes: Row = {}): Row {
  return {
    account: ACCOUNT,
    user_hash: bytes(32, 2),
    venue: 'binance',
    label: 'main',
    account_type: 'spot',
    environment: 'production',
    created_ms: START_MS,
    mac: bytes(32, 3),
    ...changes,
  };
}

export function sealedRow(counter: number, changes: Row = {}): Row {
  return {
    account: ACCOUNT,
    record_key: bytes(32, counter),
    counter,
    poll: 1,
    key_version: 1,
    nonce: bytes(12, counter),
    sealed: bytes(48, counter),
    ...changes,
  };
}

export function chainRow(counter: number, changes: Row = {}): Row {
  return {
    account: ACCOUNT,
    counter,
    kind: 'hour',
    previous: counter === 1 ? null : bytes(32, counter - 1),
    hash: bytes(32, counter),
    ...SIGNED,
    position: counter,
    mac: bytes(32, 9),
    ...changes,
  };
}

export function hourRow(counter: number, changes: Row = {}): Row {
  return {
    account: ACCOUNT,
    counter,
    supersedes: null,
    start_ms: START_MS + counter * HOUR_MS,
    venue: 'binance',
    environment: 'production',
    currency: 'USD',
    return_ratio: '0.012300000000000000',
    return_method: 'twr',
    return_reason: null,
    equity_start: '1000.10',
    equity_end: '1012.401230000000000001',
    inflow: '0',
    outflow: '0',
    realised: '-0.000000000000000001',
    unrealised_change: '12.3',
    funding: '0',
    fees: '0.1',
    residual: '0',
    status: 'reconciled',
    trades: 3,
    volume: '123456789012345678901234567890.5',
    complete: true,
    rebuilt: false,
    ...SIGNED,
    position: counter,
    ...changes,
  };
}

export function snapshotRow(counter: number, changes: Row = {}): Row {
  return {
    account: ACCOUNT,
    counter,
    at_ms: START_MS + DAY_MS,
    venue: 'binance',
    environment: 'production',
    currency: 'USD',
    equity: '1012.4',
    balance: '1000',
    unrealised: '12.4',
    deposits: '0',
    withdrawals: '0',
    ...SIGNED,
    position: counter,
    ...changes,
  };
}

export function syncRow(): Row {
  return {
    account: ACCOUNT,
    poll: 1,
    leaf_index: 4,
    slot_ms: START_MS,
    last_sync_ms: START_MS + 1,
    outcome: 'complete',
    reason: null,
    records: 2,
    origin: SIGNED.origin,
    mac: bytes(32, 5),
  };
}

export async function insert(client: ClientBase, table: string, row: Row): Promise<void> {
  const columns = Object.keys(row);
  const places = columns.map((_, at) => `$${at + 1}`);
  await client.query(
    `INSERT INTO trackseal.${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`,
    Object.values(row),
  );
}

/** Something in every table: two hours, a correction of the first, a snapshot and a revocation. */
export async function fill(client: ClientBase): Promise<void> {
  await insert(client, 'accounts', accountRow({ label: 'Zürich "a"\n\\N\u2028' }));
  await insert(client, 'sealed_fills', sealedRow(1));
  await insert(client, 'sealed_fills', sealedRow(2, { sealed: bytes(16, 0) }));
  await insert(client, 'chain', chainRow(1));
  await insert(client, 'chain', chainRow(2));
  await insert(client, 'chain', chainRow(3, { leaf_salt: null }));
  await insert(client, 'chain', chainRow(4, { kind: 'snapshot' }));
  await insert(client, 'chain', chainRow(5, { kind: 'revocation' }));
  await insert(client, 'hourly_returns', hourRow(1));
  const gap = { return_ratio: null, return_method: null, return_reason: 'no_price' };
  await insert(client, 'hourly_returns', hourRow(2, { ...gap, equity_end: null }));
  const corrected = { supersedes: 1, start_ms: START_MS + HOUR_MS, rebuilt: true };
  await insert(client, 'hourly_returns', hourRow(3, corrected));
  await insert(client, 'balance_snapshots', snapshotRow(4));
  const correction = { kind: 'hour', superseded: 1, reason: 'late_data' };
  await insert(client, 'corrections', { account: ACCOUNT, counter: 3, ...correction });
  const revocation = { kind: 'revocation', superseded: null, reason: 'account_ended' };
  await insert(client, 'corrections', { account: ACCOUNT, counter: 5, ...revocation });
  await insert(client, 'chain_heads', {
    account: ACCOUNT,
    counter: 5,
    hash: bytes(32, 5),
    records: 2,
    origin: SIGNED.origin,
    mac: bytes(32, 4),
  });
  await insert(client, 'sync_status', syncRow());
  await insert(client, 'sealed_states', {
    account: ACCOUNT,
    purpose: 'book',
    counter: 1,
    key_version: 1,
    nonce: bytes(12, 1),
    sealed: bytes(4096, 6),
  });
}
