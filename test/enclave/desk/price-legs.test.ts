import { describe, expect, it } from 'vitest';
import type { Venue } from '../../../enclave/connector/classes.ts';
import type { PriceItem } from '../../../enclave/connector/job.ts';
import { askPrices } from '../../../enclave/desk/price-legs.ts';
import type { PriceAnswer } from '../../../enclave/ledger/services.ts';

const AT = { fromMs: 0, toMs: 0, stepMs: 3_600_000 } as const;

function spot(symbol: string): PriceItem {
  return { kind: 'spot', symbol, ...AT };
}

/** Who was asked for what; `lacking`: what a venue does not have. */
function desk(lacking: Readonly<Partial<Record<Venue, readonly string[]>>> = {}): {
  readonly asked: string[];
  readonly ask: Parameters<typeof askPrices>[0]['ask'];
} {
  const asked: string[] = [];
  return {
    asked,
    ask: (venue, environment, items) => {
      const answer: {
        rows: PriceAnswer['rows'][number][];
        missing: PriceAnswer['missing'][number][];
      } = {
        rows: [],
        missing: [],
      };
      for (const { kind, symbol } of items) {
        asked.push(`${venue} ${environment} ${kind} ${symbol}`);
        if (lacking[venue]?.includes(symbol) === true) {
          answer.missing.push({ symbol, reason: `not_at_${venue}` });
        } else answer.rows.push({ kind, symbol, atMs: 0, price: '1', source: venue, tradedMs: 0 });
      }
      return Promise.resolve(answer);
    },
  };
}

describe('prices of an account', () => {
  it('come from its own venue, rates to the dollar from Kraken', async () => {
    const { ask, asked } = desk();
    const items = [
      spot('BTC/USDT'),
      spot('USDT/USD'),
      spot('USD/JPY'),
      spot('BTC/USD'),
      spot('ETH'),
      { kind: 'mark', symbol: 'EUR/USD', ...AT } as const,
    ];
    const answer = await askPrices({ ask }, { venue: 'bybit', environment: 'sandbox', items });
    expect(asked).toEqual([
      'bybit sandbox spot BTC/USDT',
      'bybit sandbox spot BTC/USD',
      'bybit sandbox spot ETH',
      'bybit sandbox mark EUR/USD',
      'kraken live spot USDT/USD',
      'kraken live spot USD/JPY',
    ]);
    expect(answer.rows).toHaveLength(6);
    expect(answer.missing).toEqual([]);
  });

  it('and what Kraken lacks from Coinbase; what both lack is missing, once', async () => {
    const { ask, asked } = desk({ kraken: ['USDC/USD', 'PYUSD/USD'], coinbase: ['PYUSD/USD'] });
    const items = [spot('USDC/USD'), spot('EUR/USD'), spot('PYUSD/USD')];
    const answer = await askPrices({ ask }, { venue: 'okx', environment: 'live', items });
    expect(asked).toEqual([
      'kraken live spot USDC/USD',
      'kraken live spot EUR/USD',
      'kraken live spot PYUSD/USD',
      'coinbase live spot USDC/USD',
      'coinbase live spot PYUSD/USD',
    ]);
    expect(answer.rows.map(({ symbol, source }) => [symbol, source])).toEqual([
      ['EUR/USD', 'kraken'],
      ['USDC/USD', 'coinbase'],
    ]);
    expect(answer.missing).toEqual([{ symbol: 'PYUSD/USD', reason: 'not_at_coinbase' }]);
  });

  it('an account at Coinbase has its own rates, and nobody is asked for nothing', async () => {
    const { ask, asked } = desk();
    await askPrices({ ask }, { venue: 'coinbase', environment: 'live', items: [spot('EUR/USD')] });
    await askPrices({ ask }, { venue: 'coinbase', environment: 'live', items: [] });
    expect(asked).toEqual(['coinbase live spot EUR/USD']);
  });
});
