// ProcessSyncJob over the ledger as it is put together: what the exchange tells after it was asked for is counted, and where the
// exchange does not tell everything it is no success.

import { expect, it } from 'vitest';
import { openParts } from '../../../../enclave/ledger/parts.ts';
import { userTagOf } from '../../../../enclave/ledger/user-hash.ts';
import { SyncType } from '../../../../wire/grpc/messages.ts';
import type { SyncJobResponse } from '../../../../wire/grpc/messages.ts';
import { enclaveService } from '../../../../wire/grpc/services.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { failureOf } from '../../../helpers/grpc-scene.ts';
import { ask, listenGrpc } from '../../../helpers/ledger-grpc.ts';
import type { LedgerScene } from '../../../helpers/ledger-scene.ts';
import { ledgerScene } from '../../../helpers/ledger-scene.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const POLL_MS = 300_000;
const { methods } = enclaveService;
const QUESTION = { userUid: 'trader-1', exchange: '' };

/** Just behind the last poll of an hour: the next one is of the next hour. Gives the end of the hour. */
async function behindLastPoll(scene: LedgerScene, hours: number): Promise<number> {
  const now = scene.time.nowMs();
  const endMs = now - (now % HOUR_MS) + hours * HOUR_MS;
  const lastMs = (): number => Number((scene.polls.at(-1)?.startedNs ?? 0n) / 1_000_000n);
  await scene.until(() => lastMs() >= endMs - POLL_MS, MINUTE_MS / 2);
  await scene.idle();
  expect(scene.time.nowMs()).toBeLessThan(endMs);
  return endMs;
}

it('counts what is new, and is refused where a poll is not whole', async () => {
  const scene = await ledgerScene({ openParts, startMs: Date.UTC(2026, 10, 20, 12, 10) });
  const { control } = scene.exchange;
  const registered = control.account({ venue: 'binance' });
  const { account } = registered;
  control.deposit({ account, currency: 'USDT', amount: '100000' });
  const added = { ...scene.account(registered, 'binance'), userTag: userTagOf('trader-1') };
  scene.polling.add(added, null);
  await scene.untilPolls(1);
  const client = await listenGrpc(scene);
  const trade = (amount: string): void => {
    const timeMs = scene.time.nowMs();
    control.trade({ account, symbol: 'BTC/USDT', side: 'buy', amount, price: '60000', timeMs });
  };
  const sync = async (): Promise<SyncJobResponse> => {
    const polls = scene.polls.length;
    const resyncs = scene.ledger.counters['ledger_resyncs'] ?? 0;
    let settled = false;
    const request = { ...QUESTION, type: SyncType.INCREMENTAL, startDate: 0, endDate: 0 };
    const asked = ask(client, methods.processSyncJob, request).finally(() => {
      settled = true;
    });
    asked.catch(() => undefined);
    // The exchange is not asked before its time: nothing is answered until it is.
    await scene.until(() => settled || scene.ledger.counters['ledger_resyncs'] === resyncs + 1);
    expect([settled, scene.polls.length]).toEqual([false, polls]);
    await scene.until(() => settled, SECOND_MS);
    expect(scene.polls.length).toBeGreaterThan(polls);
    const { answer } = await asked;
    return answer;
  };

  const endMs = await behindLastPoll(scene, 2);
  trade('0.1');
  trade('0.2');
  expect(await sync()).toEqual({
    success: true,
    userUid: 'trader-1',
    exchange: '',
    synced: 2,
    hourlyReturnsGenerated: 1,
    latestSnapshot: null,
    accounts: 1,
  });
  const range = { ...QUESTION, startDate: 0, endDate: 0, pageSize: 500, pageToken: '' };
  const { answer: hours } = await ask(client, methods.calculateHistoricalReturns, range);
  expect(hours.returns.at(-1)).toMatchObject({ end: endMs, reconciliation: 1 });

  await behindLastPoll(scene, 2);
  control.fault({ type: 'trouble', kind: 'unavailable', venue: 'binance' });
  trade('0.3');
  expect(await failureOf(sync())).toMatchObject({ status: 14, code: 'poll_incomplete' });
}, 120_000);
