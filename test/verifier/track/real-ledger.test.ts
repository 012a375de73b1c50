// The verifier on what the ledger really states: an account of the simulated exchange is polled by the connector's own code, and
// hours, snapshots, corrections and figures over all of them come out of the ledger, signed by the desk's key. Nothing of
// it was made for a verifier.

import { expect, it } from 'vitest';
import { MetricsMaker } from '../../../enclave/ledger/track/metrics-maker.ts';
import { openStore, openTrackRecord } from '../../../enclave/ledger/track/open-track.ts';
import type { TrackRecord } from '../../../enclave/ledger/track/track-record.ts';
import { renderReport } from '../../../verifier/report/document.ts';
import { checkRecord } from '../../../verifier/track/check-record.ts';
import { verifiedRecord } from '../../../verifier/track/record-verdict.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { parseTrackStatement } from '../../../wire/track/statement.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';
import { documentFor, trust } from './scene-record.ts';

const MINUTE_MS = 60_000;

it('a record of the real ledger verifies, with every figure, and prints', async () => {
  let record: TrackRecord | null = null;
  const scene = await ledgerScene({
    startMs: Date.UTC(2026, 10, 20, 20, 30),
    openParts: (services) => {
      record = openTrackRecord(services, { store: openStore(services), retryMs: 5 });
      return Promise.resolve([record]);
    },
  });
  const { control } = scene.exchange;
  const registered = control.account({ venue: 'binance' });
  const { account } = registered;
  control.deposit({ account, currency: 'USDT', amount: '100000' });
  const added = scene.account(registered, 'binance');
  scene.polling.add(added, null);
  await scene.untilPolls(1);
  const track = (): ReturnType<TrackRecord['track']> => record?.track(added.id) ?? null;
  const until = (counter: number): Promise<void> =>
    scene.until(() => {
      record?.look();
      return (track()?.chain?.head.counter ?? 0) >= counter;
    }, MINUTE_MS);
  await until(1);
  const nowMs = scene.time.nowMs();
  const trade = {
    account,
    symbol: 'BTC/USDT',
    side: 'buy',
    amount: '0.5',
    price: '60000',
  } as const;
  control.trade({ ...trade, timeMs: nowMs });
  await until(3);
  control.deposit({ account, currency: 'USDT', amount: '50000' });
  await until(5);
  // Across midnight: a snapshot.
  await until(7);
  const [services] = scene.services;
  const found = track();
  const chain = found?.chain ?? null;
  if (record === null || services === undefined || found === null || chain === null) {
    throw new Error('no track');
  }
  const { store } = record as TrackRecord;
  const metrics = assertAccepted(await new MetricsMaker(services, store).make(found));
  const counters = Array.from({ length: chain.head.counter }, (_, at) => at + 1);
  const rows: readonly SignedStatement[] = assertAccepted(
    await store.rows(found.account, chain, counters),
  );
  const kinds = rows.map(({ statement }) => assertAccepted(parseTrackStatement(statement)).kind);
  expect(kinds).toContain('snapshot');

  const evidence = {
    statements: [...rows, metrics.signed],
    attestations: [await documentFor(scene)],
  };
  const verified = assertAccepted(checkRecord(evidence, await trust(), null));
  const { verdict, performance } = verifiedRecord('scene', await trust(), verified, null);
  expect(verdict.verdict).toBe('verified');
  expect(verdict.record?.statements).toMatchObject({ snapshots: 1, metrics: 1 });
  const figures = verdict.record?.figures ?? {};
  expect([...metrics.statement.figures].filter(([name, value]) => figures[name] !== value)).toEqual(
    [],
  );
  // The deposit of half of what was there moved nothing.
  const paid = verdict.record?.hourly.find(
    ({ inflow }) => inflow !== null && Number(inflow) > 1000 && Number(inflow) < 90_000,
  );
  expect(Math.abs(Number(paid?.return))).toBeLessThan(0.01);
  expect(figures['residual_absolute']).toBe('0');
  expect(performance.coverage.returns).toBeGreaterThan(3);
  expect(renderReport({ verdict, performance, record: verified })).toContain('Track record');

  // Of whoever keeps it: without the snapshot, with an hour of it changed.
  const without = rows.filter((_, at) => kinds[at] !== 'snapshot');
  const cut = checkRecord({ ...evidence, statements: without }, await trust(), null);
  expect(cut).toMatchObject({ ok: false, refusal: { code: 'chain_hole' } });
}, 240_000);
