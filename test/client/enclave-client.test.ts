// EnclaveClient against the whole way of a call: ingress, mutual TLS in the desk, the link, the ledger's service.

import 'reflect-metadata';
import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseGrpcAddress } from '../../client/node/grpc-channel.ts';
import { originOf } from '../../wire/header.ts';
import { refuse } from '../../wire/result.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import { HOUR, ORIGIN } from '../vectors/track.ts';
import { hourStatement } from '../helpers/track-record.ts';
import { money } from '../wire/performance/golden.ts';
import { hour, HOUR_MS } from '../wire/performance/hours.ts';
import { ClientAuthority } from '../helpers/client-certificates.ts';
import { TrackClients } from '../helpers/track-clients.ts';
import type { TrackScene } from '../helpers/track-scene.ts';
import { openTrackScene } from '../helpers/track-scene.ts';

let clients: TrackClients;
let scene: TrackScene;

beforeAll(async () => {
  clients = await TrackClients.open();
  ({ scene } = clients);
});
afterAll(() => scene.close());

beforeEach(async () => {
  await clients.begin();
  scene.track.refusal = null;
  scene.track.changeReturn = (row) => row;
  scene.track.changeReturns = (rows) => rows;
  scene.track.changeMetrics = (answer) => answer;
  scene.track.asked.length = 0;
});
afterEach(() => {
  clients.end();
});

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'resolved',
    (error: unknown) => (error as { readonly code?: unknown }).code ?? error,
  );
}

/** The code of a refusal, and what it names. */
async function whatOf(call: Promise<unknown>): Promise<unknown> {
  const error = await call.catch((thrown: unknown) => thrown);
  const { code, detail } = error as { code?: unknown; detail?: Record<string, unknown> };
  return [code, detail?.['what']];
}

function refused(what: string): unknown {
  return ['record_mismatch', what];
}

const USER = { userId: 'trader-1' };

describe('EnclaveClient', () => {
  it('attests, and reads hours that the attested key has signed', async () => {
    const client = clients.open();
    const { rows, verified, fresh } = await client.calculateHistoricalReturns({
      ...USER,
      exchange: 'kraken',
      fromMs: HOUR,
      toMs: HOUR + 86_400_000,
    });
    expect({ verified, fresh, rows: rows.length }).toEqual({
      verified: true,
      fresh: true,
      rows: 4,
    });
    expect(rows[0]).toMatchObject({
      startMs: HOUR,
      exchange: 'kraken',
      counter: 1,
      ratio: '0.000480769230769231',
      method: 'twr',
      equity: '26012.5',
      netReturn: '12.5',
      residual: '0',
      reconciliation: 'reconciled',
      rebuilt: false,
      verified: true,
    });
    expect(rows[2]).toMatchObject({
      ratio: null,
      equity: null,
      reason: 'no_valuation',
      complete: false,
    });
    expect(await client.attest()).toBe(ORIGIN);
    expect(scene.connected).toContain(clients.identity.sha256);
    expect(scene.track.asked[0]?.caller).toBe(clients.identity.sha256);
  });

  it('snapshots, metrics, a sync, health', async () => {
    const client = clients.open();
    const snapshots = await client.getSnapshotTimeSeries(USER);
    expect(snapshots.rows[0]).toMatchObject({
      equity: '26012.5',
      deposits: '1000',
      verified: true,
    });
    const metrics = await client.getAggregatedMetrics(USER);
    expect(metrics.rows[0]).toMatchObject({
      figures: { trades: 3, fees: '2.5', cumulative_return: null },
      reasons: { cumulative_return: 'gap' },
      conventions: { frequency: 'hourly' },
      verified: true,
    });
    expect(metrics.fresh).toBe(false);
    expect(metrics.totals).toEqual({
      accounts: 1,
      balance: '26015.5',
      equity: '26012.5',
      realizedPnl: '20',
      unrealizedPnl: '-3',
      fees: '2.5',
      funding: '-0.000000000000000001',
      volume: '51000',
      trades: 3,
    });
    expect(await client.processSyncJob(USER)).toEqual({
      accounts: 1,
      synced: 12,
      hourlyReturnsGenerated: 4,
    });
    expect(await client.healthCheck()).toMatchObject({ healthy: true, origin: ORIGIN });
  });

  it('an hour that was worked out backwards says so, and is what its statement says otherwise', async () => {
    const statements = [true, false].map((rebuilt, at) => hourStatement(hour(at, { rebuilt })));
    clients.answer({ statements });
    const { rows } = await clients.open().calculateHistoricalReturns(USER);
    const known = { complete: true, gaps: [], ratio: '0', verified: true };
    expect(rows).toMatchObject([
      { ...known, rebuilt: true },
      { ...known, rebuilt: false },
    ]);
  });

  it('reads all pages', async () => {
    const other = clients.answer({ hours: 1203 });
    const { rows, verified } = await clients.open().calculateHistoricalReturns(USER);
    expect(rows).toHaveLength(1203);
    expect(verified).toBe(true);
    expect(other.asked).toHaveLength(3);
  });

  it('an enclave that starts anew is challenged again; statements of its epoch before need a document', async () => {
    const client = clients.open();
    await client.healthCheck();
    const before = scene.keys.ed25519;
    await scene.restart();
    const { verified } = await client.calculateHistoricalReturns(USER);
    expect(verified).toBe(true);
    // Of an earlier epoch, signed by its key.
    const origin = originOf('trackseal.example/vectors', 6);
    clients.answer({ sign: (message) => before.sign(message), origin });
    const unproven = await clients.open().calculateHistoricalReturns(USER);
    expect(unproven.verified).toBe(false);
    expect(unproven.rows.map((row) => row.verified)).toEqual([false, false, false, false]);
    const epochs = [await scene.document(origin, before.publicKey)];
    const proven = await clients.open({ epochs }).calculateHistoricalReturns(USER);
    expect(proven.verified).toBe(true);
    const wrong = [await scene.document(origin, scene.keys.ed25519.publicKey)];
    expect(await codeOf(clients.open({ epochs: wrong }).calculateHistoricalReturns(USER))).toBe(
      'record_signature',
    );
    const foreign = [await scene.document(originOf('another.example/log', 6), before.publicKey)];
    expect(await codeOf(clients.open({ epochs: foreign }).attest())).toBe('origin_mismatch');
  });
});

describe('refuses', () => {
  it('without a policy, and an image of another', async () => {
    expect(() => clients.open({ policy: undefined as unknown as string })).toThrow(
      /policy_missing/u,
    );
    const policy = scene.policy.replaceAll(/"PCR0":\s*"[0-9a-f]{2}/gu, '"PCR0": "00');
    expect(await codeOf(clients.open({ policy }).attest())).toBe('pcr_mismatch');
    expect(scene.track.asked).toEqual([]);
  });

  it('another TLS key on the gRPC port than the attested one', async () => {
    const impostor = await openTrackScene();
    try {
      const client = clients.open({ grpcAddress: impostor.grpc });
      expect(await codeOf(client.calculateHistoricalReturns(USER))).toBe('tls_key_mismatch');
      expect(impostor.track.asked).toEqual([]);
    } finally {
      await impostor.close();
    }
  });

  it('as a client that the enclave does not let in', async () => {
    const foreign = await (await ClientAuthority.create()).issue();
    const { certificate, key } = foreign;
    expect(await codeOf(clients.open({ certificate, key }).healthCheck())).toBe(
      'source_unreachable',
    );
    expect(await codeOf(clients.open({ key: 'no key' }).healthCheck())).toBe('certificate_refused');
  });

  it('codes of the enclave', async () => {
    scene.track.refusal = refuse('snapshot_exists');
    expect(await codeOf(clients.open().processSyncJob(USER))).toBe('snapshot_exists');
    scene.track.refusal = null;
    expect(await codeOf(clients.open().getAggregatedMetrics({ userId: 'nobody' }))).toBe(
      'account_unknown',
    );
    expect(await codeOf(clients.open().getAggregatedMetrics({ userId: '' }))).toBe(
      'call_malformed',
    );
  });

  it('a statement that another key has signed', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    clients.answer({ sign: (message) => new Uint8Array(sign(null, message, privateKey)) });
    expect(await codeOf(clients.open().calculateHistoricalReturns(USER))).toBe('record_signature');
    expect(await codeOf(clients.open().getSnapshotTimeSeries(USER))).toBe('record_signature');
    expect(await codeOf(clients.open().getAggregatedMetrics(USER))).toBe('record_signature');
  });

  it.each<[string, Partial<HourStatement> | ((own: HourFigures) => Partial<HourFigures>)]>([
    ['percentage_return', { return: { ratio: '0.5', method: 'twr', reason: null } }],
    ['net_return', () => ({ inflow: 1n })],
    ['balance', () => ({ equityStart: money(1), equityEnd: money('1013.5') })],
    ['period', ({ startMs }) => ({ startMs: startMs + HOUR_MS })],
    ['coverage.polls', () => ({ polls: 13 })],
    ['rebuilt', ({ rebuilt }) => ({ rebuilt: !rebuilt })],
    ['exchange', { venue: 'binance' }],
    ['residual', () => ({ residual: null })],
  ])('a readable row that says another %s than its statement', async (what, change) => {
    scene.track.changeReturn = ({ statement, signed }) => {
      const { figures } = statement;
      if (statement.return.ratio === null) return { statement, signed };
      const changed =
        typeof change === 'function' ? { figures: { ...figures, ...change(figures) } } : change;
      return { statement: { ...statement, ...changed }, signed };
    };
    const call = clients.open().calculateHistoricalReturns(USER);
    expect(await codeOf(call)).toBe('record_mismatch');
    await expect(call).rejects.toMatchObject({ detail: { what } });
  });

  it('a sum that is not that of what is signed', async () => {
    const client = clients.open();
    const lies = {
      total_balance: { balance: money(26015) },
      total_equity: { equity: null },
      total_realized_pnl: { realizedPnl: money(21) },
      total_unrealized_pnl: { unrealizedPnl: money(3) },
      total_fees: { fees: 0n },
      total_funding: { funding: 0n },
      total_volume: { volume: money(51001) },
      total_trades: { trades: 4 },
    };
    for (const [what, change] of Object.entries(lies)) {
      scene.track.changeMetrics = (answer) => {
        return { ...answer, totals: { ...answer.totals, ...change } };
      };
      const call = client.getAggregatedMetrics(USER);
      await expect(call).rejects.toMatchObject({ code: 'record_mismatch', detail: { what } });
    }
    // An account that is in no sum, and sums of accounts that are not shown.
    for (const count of [0, 2]) {
      scene.track.changeMetrics = (answer) => {
        return { ...answer, accounts: [...answer.accounts, ...answer.accounts].slice(0, count) };
      };
      expect(await codeOf(client.getAggregatedMetrics(USER))).toBe('record_mismatch');
    }
  });

  it('an account whose figures are there twice, in sums that fit', async () => {
    scene.track.changeMetrics = ({ accounts, totals, ...rest }) => {
      const { trades, ...amounts } = totals;
      const doubled = Object.entries(amounts).map(([name, value]) => [name, (value ?? 0n) * 2n]);
      const sums = { ...(Object.fromEntries(doubled) as typeof amounts), trades: trades * 2 };
      return { ...rest, accounts: [...accounts, ...accounts], totals: sums };
    };
    expect(await whatOf(clients.open().getAggregatedMetrics(USER))).toEqual(refused('order'));
  });

  it('rows that were not asked for, there again, or out of their order', async () => {
    const client = clients.open();
    const venue = { ...USER, exchange: 'binance' };
    for (const call of [
      client.calculateHistoricalReturns(venue),
      client.getSnapshotTimeSeries(venue),
      client.getAggregatedMetrics(venue),
    ]) {
      expect(await whatOf(call)).toEqual(refused('exchange'));
    }
    const later = { ...USER, fromMs: HOUR + HOUR_MS + 1, toMs: HOUR + 10 * HOUR_MS };
    expect(await whatOf(client.calculateHistoricalReturns(later))).toEqual(refused('range'));
    expect(await whatOf(client.getSnapshotTimeSeries(later))).toEqual(refused('range'));
    const earlier = { ...USER, fromMs: HOUR, toMs: HOUR + 3 * HOUR_MS };
    expect(await whatOf(client.calculateHistoricalReturns(earlier))).toEqual(refused('range'));
    for (const change of [
      (rows: readonly never[]) => [...rows, ...rows],
      (rows: readonly never[]) => rows.toReversed(),
    ]) {
      scene.track.changeReturns = change as never;
      expect(await whatOf(client.calculateHistoricalReturns(USER))).toEqual(refused('order'));
    }
    const account = { userId: 'ab'.repeat(32) };
    scene.track.changeReturns = (rows) => rows;
    expect(await whatOf(client.calculateHistoricalReturns(account))).toEqual(refused('account'));
  });

  it('rows that begin again on the next page', async () => {
    const other = clients.answer({ hours: 501 });
    other.changeReturns = (rows) => [...rows.slice(0, 500), ...rows.slice(0, 1)];
    expect(await whatOf(clients.open().calculateHistoricalReturns(USER))).toEqual(refused('order'));
    expect(other.asked).toHaveLength(2);
  });

  it.each([
    ['another leaf', { leafIndex: 98 }, 'record_signature'],
    ['another position', { position: 77 }, 'record_signature'],
    ['another origin', { origin: originOf('trackseal.example/vectors', 8) }, 'record_mismatch'],
    ['bytes that are no statement', { statement: new Uint8Array(3) }, 'record_malformed'],
    ['a short signature', { signature: new Uint8Array(63) }, 'record_malformed'],
  ])('evidence with %s', async (_, change, code) => {
    scene.track.changeReturn = (row) => ({ ...row, signed: { ...row.signed, ...change } });
    expect(await codeOf(clients.open().calculateHistoricalReturns(USER))).toBe(code);
  });

  it.each([
    ['account', { accountCommitment: new Uint8Array(32) }],
    ['counter', { counter: 99 }],
  ])('evidence with another %s', async (what, change) => {
    scene.track.changeReturn = ({ statement, signed }) => {
      return { statement: { ...statement, ...change }, signed };
    };
    const call = clients.open().calculateHistoricalReturns(USER);
    await expect(call).rejects.toMatchObject({ code: 'record_mismatch', detail: { what } });
  });
});

it.each([
  ['enclave.example:50051', { host: 'enclave.example', port: 50_051 }],
  ['[::1]:1', { host: '::1', port: 1 }],
  ['127.0.0.1:65535', { host: '127.0.0.1', port: 65_535 }],
  ['enclave.example', null],
  ['enclave.example:0', null],
  ['enclave.example:65536', null],
  ['https://enclave.example:1', null],
  ['user@enclave.example:1', null],
])('address %s', (text, address) => {
  expect(parseGrpcAddress(text)).toEqual(address);
});
