import { describe, expect, it } from 'vitest';
import { snapshotOf } from '../../../../enclave/ledger/track/answers.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import type { MarketFigures } from '../../../../wire/track/figures.ts';
import {
  encodeSnapshotStatement,
  parseSnapshotStatement,
} from '../../../../wire/track/snapshot.ts';
import { FIGURES, HOUR, ORIGIN, vectorChain } from '../../../vectors/track.ts';

const UNIT = 10n ** 18n;
const [, bytes = new Uint8Array()] = vectorChain().statements;
const SNAPSHOT = assertAccepted(parseSnapshotStatement(bytes));
const SIGNED = {
  statement: bytes,
  signature: new Uint8Array(64),
  origin: ORIGIN,
  leafIndex: 97,
  position: 0,
  leafSalt: new Uint8Array(16),
};

/** The snapshot of the vectors, with a market beside spot. */
function withSwap(more: Partial<MarketFigures>): ReturnType<typeof snapshotOf> {
  const [spot] = FIGURES.byMarket;
  if (spot === undefined) throw new Error('no row of spot');
  const swap: MarketFigures = {
    market: 'swap',
    trades: 2,
    volume: 9n * UNIT,
    fees: UNIT,
    funding: -UNIT,
    realised: 7n * UNIT,
    equity: 4n * UNIT,
    outlay: -7n * UNIT,
    income: 0n,
    unrealised: 4n * UNIT,
    ...more,
  };
  const statement = { ...SNAPSHOT, unrealised: UNIT, byMarket: [spot, swap] };
  return snapshotOf(statement, { ...SIGNED, statement: encodeSnapshotStatement(statement) });
}

describe('a day as it is answered', () => {
  it('has each market as its statement says it, and what they make together', () => {
    const { breakdown, atMs, unrealizedPnl } = withSwap({});
    expect([atMs, unrealizedPnl]).toEqual([HOUR + 3_600_000, '1']);
    expect(Object.keys(breakdown).toSorted()).toEqual(['global', 'spot', 'swap']);
    expect(breakdown.swap).toEqual({
      equity: '4',
      availableMargin: null,
      volume: '9',
      trades: 2,
      tradingFees: '1',
      fundingFees: '-1',
      realizedPnl: '7',
      unrealizedPnl: '4',
    });
    expect(breakdown.spot).toMatchObject({ realizedPnl: '20', unrealizedPnl: '-3' });
    expect(breakdown.global).toMatchObject({
      equity: '26012.5',
      volume: '51009',
      trades: 5,
      tradingFees: '3.5',
      realizedPnl: '27',
      unrealizedPnl: '1',
    });
  });

  it('has no sum of markets where one of them is not known', () => {
    const { breakdown } = withSwap({ realised: null, unrealised: null });
    expect(breakdown.swap).toMatchObject({ realizedPnl: null, unrealizedPnl: null });
    expect(breakdown.global?.realizedPnl).toBeNull();
    expect(breakdown.global?.fundingFees).toBeNull();
  });
});
