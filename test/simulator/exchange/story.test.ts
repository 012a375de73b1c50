import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatAmount } from '../../../simulator/exchange/amount.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { tellStory } from '../../../simulator/exchange/story.ts';

const HOUR_MS = 3_600_000;
const NOW_MS: number = Date.UTC(2026, 10, 20, 12, 20);

let exchange: RunningExchange;

beforeAll(async () => {
  exchange = await startExchange({ clock: () => NOW_MS });
});

afterAll(() => exchange.close());

describe('a story', () => {
  it('has a trade each hour at the market’s own price, a deposit in the middle, a withdrawal', () => {
    const { control } = exchange;
    const story = tellStory(control, { venue: 'binance', hours: 24 });
    const ledger = control.ledger({ account: story.account });
    expect(ledger).toMatchObject({
      fills: 24,
      deposits: { USDT: '15000' },
      withdrawals: { USDT: '500' },
    });
    const fills = control.world.account(story.account).fills;
    expect(fills.map(({ price }) => formatAmount(price))).toEqual(
      fills.map(({ timeMs }) => {
        return control.priceAt({ venue: 'binance', symbol: 'BTC/USDT', timeMs }).price;
      }),
    );
    expect(new Set(fills.map(({ price }) => price)).size).toBe(24);
    expect(new Set(fills.map(({ side }) => side)).size).toBe(2);
    expect(fills.every(({ timeMs }) => timeMs < NOW_MS)).toBe(true);
    expect(story.depositMs - story.startMs).toBeGreaterThan(11 * HOUR_MS);
    expect(story.withdrawalMs).toBeGreaterThan(story.depositMs);
  });

  it('is none of derivatives, or of less than four hours', () => {
    const { control } = exchange;
    expect(() => tellStory(control, { venue: 'binance', symbol: 'BTC/USDT:USDT' })).toThrow(
      RangeError,
    );
    expect(() => tellStory(control, { venue: 'binance', hours: 3 })).toThrow(RangeError);
    expect(tellStory(control, { venue: 'binance', hours: 4 }).trades).toBe(4);
  });
});
