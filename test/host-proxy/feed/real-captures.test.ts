// Real Binance data: the committed file always, the others where ../shared has them.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Batcher } from '../../../wire/market/batcher.ts';
import { BinanceParser } from '../../../wire/market/venues/binance.ts';
import { readCapture } from '../../../host-proxy/feed/capture.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import { parseBatch } from '../../../wire/batch.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { Market } from '../../../wire/market/market.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import type { Gap } from '../../../wire/payloads.ts';
import type { Refusal } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';

const COMMITTED = new URL('../../../data/binance-2024-08/', import.meta.url);
const SHARED = new URL('../../../../shared/data/binance-2024-08/', import.meta.url);

const SPOT: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  // The step is 10^-4, but old orders far from the market have five decimals.
  quantity_scale: 8,
  sequence_rule: 'binance-spot',
};

const CAPTURES: readonly { file: string; url: URL; instrument: Instrument; counts: unknown }[] = [
  {
    file: 'spot_ethusdt_20240808.gz',
    url: COMMITTED,
    instrument: SPOT,
    counts: { depth: 3435, best: 24_077, trade: 6106 },
  },
  {
    file: 'spot_btcusdt_20240808.gz',
    url: SHARED,
    instrument: { ...SPOT, symbol: 'BTCUSDT' },
    counts: { depth: 3452, best: 28_040, trade: 9757 },
  },
  {
    file: 'usdm_btcusdt_20240808.gz',
    url: SHARED,
    instrument: {
      ...SPOT,
      symbol: 'BTCUSDT',
      market: 'linear',
      price_scale: 1,
      quantity_scale: 3,
      sequence_rule: 'binance-futures',
    },
    counts: { depth: 6552, best: 66_089, trade: 21_313 },
  },
];

/** Follows one capture event by event and compares the book with the venue's best prices. */
class Follower {
  readonly counts = { depth: 0, best: 0, trade: 0 };
  readonly gaps: Gap[] = [];
  readonly market: Market;
  synced = 0;
  crossed = 0;
  compared = 0;
  different = 0;
  readonly #tracker: SequenceTracker;
  readonly #batcher: Batcher;
  readonly #bestAt = new Map<number, string>();
  readonly #instrument: Instrument;

  constructor(instrument: Instrument) {
    this.#instrument = instrument;
    this.market = new Market([instrument], [1000]);
    this.#tracker = new SequenceTracker([instrument]);
    const known = new Set([instrument.id]);
    this.#batcher = new Batcher({
      stream: 1,
      closeRows: 1,
      closeMs: 1000,
      onBatch: ({ bytes }) => {
        const batch = assertAccepted(parseBatch(bytes, known));
        this.market.apply(batch);
        this.gaps.push(...this.#tracker.apply(batch));
      },
    });
  }

  follow(event: MarketEvent): void {
    this.counts[event.type]++;
    this.#batcher.add(event);
    const book = this.market.of(this.#instrument.id)?.book;
    if (book === undefined || !book.valid) return;
    this.synced++;
    const { bestBid, bestAsk } = book;
    if (bestBid === null || bestAsk === null || bestBid >= bestAsk) this.crossed++;
    if (event.type === 'trade') return;
    const levels = [bestBid, book.bids.quantity(0), bestAsk, book.asks.quantity(0)].join(' ');
    if (event.type === 'best') {
      const { bidPrice, bidQuantity, askPrice, askQuantity, updateId } = event;
      const best = [bidPrice, bidQuantity, askPrice, askQuantity].join(' ');
      this.#bestAt.set(updateId, best);
      if (updateId === book.lastUpdateId) this.#compare(levels, best);
    } else {
      const best = this.#bestAt.get(book.lastUpdateId);
      if (best !== undefined) this.#compare(levels, best);
    }
  }

  #compare(levels: string, best: string): void {
    this.compared++;
    if (levels !== best) this.different++;
  }
}

describe('real captures', () => {
  for (const { file, url, instrument, counts } of CAPTURES) {
    const path = fileURLToPath(new URL(file, url));
    const present = url === COMMITTED || existsSync(path);
    if (!present) console.log(`skipped: ${file} is not in ../shared`);
    it.skipIf(!present)(`${file} makes a book without a gap`, async () => {
      const follower = new Follower(instrument);
      const refusals: Refusal[] = [];
      const parser = new BinanceParser([instrument]);
      for await (const chunk of readCapture(path, parser, { onMalformed: 'continue' })) {
        for (const event of chunk.events) follower.follow(event);
        refusals.push(...chunk.refusals);
      }
      expect(refusals).toEqual([]);
      expect(follower.counts).toEqual(counts);
      expect(follower.gaps).toEqual([]);
      const market = follower.market.of(instrument.id);
      expect(market?.trades).toBe(follower.counts.trade);
      expect(market?.bars[0]?.closed.length).toBeGreaterThan(300);
      expect(follower.synced).toBeGreaterThan(33_000);
      expect(follower.crossed).toBe(0);
      expect(follower.different).toBe(0);
      console.log(
        `${file}: best prices and quantities of the book equal the bookTicker of the same update id, ` +
          `${follower.compared.toString()} of ${follower.compared.toString()} times`,
      );
      expect(follower.compared).toBeGreaterThan(100);
    });
  }
});
