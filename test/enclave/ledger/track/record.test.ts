import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openStore, openTrackRecord } from '../../../../enclave/ledger/track/open-track.ts';
import type { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import { OUTCOME } from '../../../../wire/exchange-call.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { exactRatio } from '../../../../wire/performance/ratio.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { checkChain } from '../../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../../wire/track/evidence.ts';

import type { HourStatement } from '../../../../wire/track/hour.ts';
import type { ChainStatement } from '../../../../wire/track/statement.ts';
import {
  parseChainStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../../../wire/track/statement.ts';
import type { LedgerScene, LedgerSceneOptions } from '../../../helpers/ledger-scene.ts';
import { ledgerScene } from '../../../helpers/ledger-scene.ts';

const MINUTE_MS = 60_000;

interface Opened {
  readonly scene: LedgerScene;
  readonly records: TrackRecord[];
  readonly id: string;
  readonly account: string;
}

async function opened(options: Partial<LedgerSceneOptions> = {}): Promise<Opened> {
  const records: TrackRecord[] = [];
  const scene = await ledgerScene({
    openParts: (services) => {
      const record = openTrackRecord(services, { store: openStore(services), retryMs: 5 });
      records.push(record);
      return Promise.resolve([record]);
    },
    ...options,
  });
  const { control } = scene.exchange;
  const answer = control.account({ venue: 'binance' });
  const { account } = answer;
  control.deposit({ account, currency: 'USDT', amount: '100000' });
  const added = scene.account(answer, 'binance');
  scene.polling.add(added, null);
  await scene.untilPolls(1);
  return { scene, records, id: added.id, account };
}

function lastOf(records: readonly TrackRecord[]): TrackRecord {
  const record = records.at(-1);
  if (record === undefined) throw new Error('no ledger was started');
  return record;
}

/** Until the chain has so many statements, while time goes on. */
async function untilCounter({ scene, records, id }: Opened, counter: number): Promise<void> {
  await scene.until(() => {
    const record = lastOf(records);
    record.look();
    return (record.track(id)?.chain?.head.counter ?? 0) >= counter;
  }, MINUTE_MS);
}

async function statementsOf({ records, id }: Opened): Promise<readonly SignedStatement[]> {
  const record = lastOf(records);
  const track = record.track(id);
  const chain = track?.chain ?? null;
  if (track === null || chain === null) throw new Error('no track');
  const counters = Array.from({ length: chain.head.counter }, (_, at) => at + 1);
  return assertAccepted(await record.store.rows(track.account, chain, counters));
}

function parsed(statements: readonly SignedStatement[]): readonly ChainStatement[] {
  return statements.map(({ statement }) => assertAccepted(parseChainStatement(statement)));
}

function hoursOf(statements: readonly ChainStatement[]): readonly HourStatement[] {
  return statements.filter((statement) => statement.kind === 'hour');
}

describe('the track record of a polled account', () => {
  it('states every hour, signed and in the log, and a snapshot at midnight', async () => {
    const all = await opened({ startMs: Date.UTC(2026, 10, 20, 21, 30) });
    const { scene, account } = all;
    const { control } = scene.exchange;
    await untilCounter(all, 1);
    control.trade({
      account,
      symbol: 'BTC/USDT',
      side: 'buy',
      amount: '0.5',
      price: '60000',
      timeMs: scene.time.nowMs(),
    });
    await untilCounter(all, 5);
    const signed = await statementsOf(all);
    const statements = parsed(signed);
    // The whole list is one chain, signed by the desk's key, statement by statement.
    const bytes = signed.map(({ statement }) => statement);
    expect(checkChain(nodeCrypto, bytes).ok).toBe(true);
    const spki = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      scene.keys.ed25519.publicKey,
    ]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    for (const { statement, leafIndex, position, signature, leafSalt } of signed) {
      const domain = trackDomainOf(statement) ?? '';
      const message = trackSignedBytes(domain, leafIndex, position, statement);
      expect(verify(null, message, key, signature)).toBe(true);
      expect(scene.leaves[leafIndex]?.salt).toEqual(leafSalt);
    }
    const hours = hoursOf(statements);
    expect(hours.length).toBeGreaterThanOrEqual(4);
    for (const { figures } of hours.slice(1)) {
      expect(figures, JSON.stringify(figures.gaps)).toMatchObject({ complete: true, residual: 0n });
    }
    expect(statements.find(({ kind }) => kind === 'snapshot')).toMatchObject({
      atMs: Date.UTC(2026, 10, 21),
    });
    expect(hours.some(({ figures }) => figures.trades === 1)).toBe(true);
  }, 120_000);

  it('does not let a deposit move the return, and states an outage as a gap', async () => {
    const all = await opened();
    const { scene, account } = all;
    const { control } = scene.exchange;
    control.move({ isMoving: true });
    await untilCounter(all, 2);
    control.deposit({ account, currency: 'USDT', amount: '50000' });
    await untilCounter(all, 4);
    const hours = hoursOf(parsed(await statementsOf(all)));
    const flow = hours.find(({ figures }) => (figures.inflow ?? 0n) > 0n && !figures.rebuilt);
    if (flow === undefined) throw new Error('no hour with the deposit');
    const { equityStart, equityEnd, inflow, flows, ...figures } = flow.figures;
    expect(Number(formatFixed(inflow ?? 0n))).toBeGreaterThan(49_000);
    expect(figures).toMatchObject({ status: 'reconciled', residual: 0n, complete: true });
    // Up to the deposit, and from what was there with it.
    const [paid] = flows;
    const before = paid?.equityBefore ?? 0n;
    const after = before + (paid?.amount ?? 0n);
    const [start, end] = [equityStart ?? 0n, equityEnd ?? 0n];
    expect(flow.return).toMatchObject({
      ratio: exactRatio(before * end - start * after, start * after),
      method: 'twr',
    });
    expect(flow.return.ratio).not.toBe('0');
    expect(Math.abs(Number(flow.return.ratio))).toBeLessThan(0.001);

    // Polls fail until hours are closed without one: no return, and the polls that failed or were missed are named.
    control.fault({ venue: 'binance', type: 'trouble', kind: 'unavailable' });
    const first = (lastOf(all.records).track(all.id)?.chain?.head.counter ?? 0) + 1;
    await untilCounter(all, first + 2);
    const down = hoursOf(parsed(await statementsOf(all))).filter(
      ({ counter, return: made }) => counter >= first && made.ratio === null,
    );
    expect(down.length).toBeGreaterThan(0);
    for (const { figures: seen, return: made, basis } of down) {
      expect(made).toMatchObject({ ratio: null, reason: 'incomplete' });
      expect(seen).toMatchObject({ complete: false, status: 'unknown', residual: null });
      expect(seen.gaps).toContain('not_completed');
      expect(basis.polls.some(({ outcome }) => outcome >= OUTCOME.failed)).toBe(true);
    }
  }, 120_000);
});
