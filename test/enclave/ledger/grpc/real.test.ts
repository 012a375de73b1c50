// The ledger as it is put together, from a polled exchange to the answers of gRPC, through the real link: rows verify under the
// desk's key, and of a trade that the exchange told nothing but sums is in any answer.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import protobuf from 'protobufjs';
import { readMetrics, readReturn, readSnapshot } from '../../../../client/node/track-rows.ts';
import { openParts } from '../../../../enclave/ledger/parts.ts';
import { userTagOf } from '../../../../enclave/ledger/user-hash.ts';
import { ed25519Verifier } from '../../../../wire/node/ed25519.ts';
import type { GrpcMethod } from '../../../../wire/grpc/services.ts';
import { enclaveService } from '../../../../wire/grpc/services.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { walkAnswer } from '../../../helpers/aggregate-walk.ts';
import { PROTO } from '../../../helpers/grpc-scene.ts';
import { ask, listenGrpc } from '../../../helpers/ledger-grpc.ts';
import { ledgerScene } from '../../../helpers/ledger-scene.ts';

const ROOT = new protobuf.Root().loadSync(join(PROTO, 'enclave.proto'), { keepCase: true });
const MINUTE_MS = 60_000;
const PRICE = '60123.45';
const AMOUNT = '0.51234';

function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return Promise.resolve(ed25519Verifier(key)(message, signature));
}

describe('gRPC over the real record', () => {
  it('rows that the desk’s key has signed, for the user who registered; and of a trade only sums', async () => {
    const scene = await ledgerScene({ openParts, startMs: Date.UTC(2026, 10, 20, 21, 30) });
    const { control } = scene.exchange;
    const registered = control.account({ venue: 'binance' });
    const { account } = registered;
    control.deposit({ account, currency: 'USDT', amount: '100000' });
    const added = { ...scene.account(registered, 'binance'), userTag: userTagOf('trader-1') };
    scene.polling.add(added, null);
    await scene.untilPolls(1);
    const client = await listenGrpc(scene);
    const { methods } = enclaveService;
    const question = { userUid: 'trader-1', exchange: '' };
    const range = { ...question, startDate: 0, endDate: 0, pageSize: 2, pageToken: '' };
    const returns = async (): Promise<number> => {
      const all = { ...range, pageSize: 500 };
      const asked = await ask(client, methods.calculateHistoricalReturns, all).catch(() => null);
      return asked?.answer.returns.length ?? 0;
    };
    let known = 0;
    let asking = false;
    const until = (hours: number): Promise<void> =>
      scene.until(() => {
        if (!asking) {
          asking = true;
          void returns().then((count) => {
            known = count;
            asking = false;
          });
        }
        return known >= hours;
      }, MINUTE_MS);
    await until(1);
    control.trade({
      account,
      symbol: 'BTC/USDT',
      side: 'buy',
      amount: AMOUNT,
      price: PRICE,
      timeMs: scene.time.nowMs(),
    });
    await until(5);

    const origin = scene.services[0]?.origin ?? '';
    const keys = new Map([[origin, scene.keys.ed25519.publicKey]]);
    const seen: (readonly [GrpcMethod<object, object>, Buffer])[] = [];

    let pageToken = '';
    const starts: number[] = [];
    let trades = 0;
    do {
      const { answer, bytes } = await ask(client, methods.calculateHistoricalReturns, {
        ...range,
        pageToken,
      });
      seen.push([methods.calculateHistoricalReturns, bytes]);
      for (const shown of answer.returns) {
        const row = assertAccepted(await readReturn(shown, keys, verify));
        expect(row.verified).toBe(true);
        starts.push(row.startMs);
        trades += row.statement.figures.trades;
      }
      expect(answer.returns.length).toBeLessThanOrEqual(2);
      pageToken = answer.nextPageToken;
    } while (pageToken !== '');
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(new Set(starts).size).toBe(starts.length);
    expect(trades).toBe(1);

    const snapshots = await ask(client, methods.getSnapshotTimeSeries, { ...range, pageSize: 10 });
    const [snapshot] = snapshots.answer.snapshots;
    const day =
      snapshot === undefined ? null : await readSnapshot(snapshot, range.userUid, keys, verify);
    expect(day?.ok === true ? [day.value.verified, day.value.atMs] : day).toEqual([
      true,
      Date.UTC(2026, 10, 21),
    ]);
    const metrics = await ask(client, methods.getAggregatedMetrics, question);
    const [figures] = metrics.answer.accounts;
    const read = figures === undefined ? null : await readMetrics(figures, keys, verify);
    expect(read?.ok === true ? read.value.verified : read).toBe(true);
    expect(metrics.answer.totalTrades).toBe(1);
    const health = await ask(client, methods.healthCheck, {});
    expect(health.answer).toMatchObject({ enclave: true, stored: false });
    seen.push(
      [methods.getSnapshotTimeSeries, snapshots.bytes],
      [methods.getAggregatedMetrics, metrics.bytes],
      [methods.healthCheck, health.bytes],
    );

    // Every value of every answer, as another library reads the bytes; and there is nothing else in them.
    let statements = 0;
    for (const [{ response }, bytes] of seen) {
      const type = ROOT.lookupType(response.name);
      const message = type.decode(bytes);
      expect(type.encode(message).finish().length, response.name).toBe(bytes.length);
      const plain = type.toObject(message, { longs: Number, enums: String });
      const walked = walkAnswer(response.name, plain);
      expect(walked.wrong).toEqual([]);
      expect(walked.leaves).toBeGreaterThan(2);
      statements += walked.statements;
    }
    expect(statements).toBeGreaterThanOrEqual(starts.length + 2);

    // What the exchange told of the trade, and what nobody hears.
    const text = Buffer.concat(seen.map(([, bytes]) => bytes)).toString('latin1');
    expect(text.length).toBeGreaterThan(5000);
    for (const secret of [PRICE, AMOUNT, 'BTC/USDT', 'BTCUSDT', 'BTC', registered.api_key]) {
      expect(text.includes(secret), secret).toBe(false);
    }

    const nobody = ask(client, methods.getAggregatedMetrics, { userUid: 'trader-2', exchange: '' });
    await expect(nobody).rejects.toMatchObject({ code: 5 });
    const elsewhere = ask(client, methods.getAggregatedMetrics, {
      ...question,
      exchange: 'kraken',
    });
    await expect(elsewhere).rejects.toMatchObject({ code: 5 });
    // Once a snapshot of the period exists nobody chooses what it rests on.
    const sync = { ...question, type: 2, startDate: 0, endDate: 0 };
    await expect(ask(client, methods.processSyncJob, sync)).rejects.toMatchObject({ code: 9 });
  }, 120_000);
});
