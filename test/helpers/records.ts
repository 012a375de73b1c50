// Records as connectors write them: a test says what it is about, the rest is filled in. No test's set-up is in here, so that
// fuzzing can take its seeds from it too.

import type { Balance, Fill, Flow } from '../../enclave/connector/records.ts';

/** BTC/USDT bought on spot, by an order that nobody knows and for no fee. */
export function tradeOf(
  facts: Partial<Fill> & Pick<Fill, 'id' | 'price' | 'amount' | 'timeMs'>,
): Fill {
  return {
    kind: 'fill',
    orderId: null,
    clientOrderId: null,
    symbol: 'BTC/USDT',
    market: 'spot',
    base: 'BTC',
    quote: 'USDT',
    settle: null,
    side: 'buy',
    contractSize: null,
    inverse: null,
    cost: null,
    fees: [],
    liquidity: null,
    rawDigest: new Uint8Array(32),
    ...facts,
  };
}

/** A deposit that has come. */
export function transferOf(
  facts: Partial<Flow> & Pick<Flow, 'id' | 'currency' | 'amount' | 'timeMs'>,
): Flow {
  return {
    kind: 'flow',
    type: 'deposit',
    direction: 'in',
    fee: null,
    status: 'ok',
    networkId: null,
    from: null,
    to: null,
    market: null,
    ...facts,
  };
}

export function balanceOf(currency: string, total: string, wallet = 'spot'): Balance {
  return { kind: 'balance', wallet, currency, total, free: null };
}

/** BTC/USD, for a fee of 1.5 USD. */
export function boughtAt(id: string, timeMs: number, amount: string, price: string): Fill {
  return tradeOf({
    id,
    symbol: 'BTC/USD',
    quote: 'USD',
    price,
    amount,
    fees: [{ currency: 'USD', amount: '1.5' }],
    timeMs,
    liquidity: 'taker',
    rawDigest: new Uint8Array(32).fill(4),
  });
}

export function depositedAt(id: string, timeMs: number, amount: string): Flow {
  return transferOf({ id, currency: 'USD', amount, timeMs });
}
