// The example over the real capture that comes with the project.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { Batcher } from '../../wire/market/batcher.ts';
import { BinanceParser } from '../../wire/market/venues/binance.ts';
import { readCapture } from '../../host-proxy/feed/capture.ts';
import { bundleStrategy } from '../../scripts/strategy-bundle.ts';
import { parseBatch } from '../../wire/batch.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { Market } from '../../wire/market/market.ts';
import { STATUS } from '../../wire/payloads.ts';
import type { Signal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  ETH,
  ROOT,
  Watched,
  reportOf,
  specification,
  fateOf,
} from '../enclave/strategy/support.ts';

const INSTRUMENT = { ...ETH, id: 1, quantity_scale: 5 };

let batches: EncodedBatch[] = [];
let bundle = '';
let parameters = '';

beforeAll(async () => {
  const path = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');
  const batcher = new Batcher({
    stream: 1,
    closeRows: 1024,
    closeMs: 50,
    onBatch: (batch) => batches.push({ ...batch, bytes: new Uint8Array(batch.bytes) }),
  });
  const parser = new BinanceParser([INSTRUMENT]);
  for await (const { events, refusals } of readCapture(path, parser, { onMalformed: 'stop' })) {
    if (refusals.length > 0) throw new Error(`capture: ${JSON.stringify(refusals)}`);
    for (const event of events) batcher.add(event);
  }
  batcher.flush();
  bundle = Buffer.from(await bundleStrategy(join(ROOT, 'strategies/order-flow.ts'))).toString(
    'utf8',
  );
  parameters = await readFile(join(ROOT, 'strategies/order-flow.ethusdt.json'), 'utf8');
});

/** Every signal is filled at once when its limit reaches the best price, and expires otherwise. */
async function runCapture(changes: Readonly<Record<string, number>> = {}): Promise<{
  signals: Signal[];
  bytes: string;
  largest: number;
}> {
  const whole = { ...(JSON.parse(parameters) as Record<string, unknown>), ...changes };
  const spec = specification(bundle, {
    instruments: [INSTRUMENT],
    parameters: utf8(JSON.stringify(whole)),
  });
  const watched = await Watched.start(spec);
  const market = new Market([INSTRUMENT]);
  const signals: Signal[] = [];
  let [leaf, bytes, position, largest] = [10, '', 0, 0];
  for (const batch of batches) {
    market.apply(assertAccepted(parseBatch(batch.bytes)));
    watched.strategy.input(leaf++, batch.timeNs, batch.bytes);
    await watched.strategy.settled();
    for (const output of watched.answers.splice(0).flatMap(({ outputs }) => outputs)) {
      const { id, side, limit, quantity } = output.signal;
      const quote = market.of(1)?.quote ?? { askPrice: 0, bidPrice: 0 };
      const filled = side === 1 ? limit >= quote.askPrice : limit <= quote.bidPrice;
      const price = side === 1 ? quote.askPrice : quote.bidPrice;
      const fills = [{ number: 0, price, quantity, fee: 0, timeNs: batch.timeNs }];
      const status = filled ? STATUS.filled : STATUS.expired;
      watched.strategy.fill(leaf++, id, reportOf({ status, fills: filled ? fills : [] }));
      if (filled) position += side === 1 ? quantity : -quantity;
      largest = Math.max(largest, Math.abs(position));
      signals.push(output.signal);
      bytes += toHex(output.bytes);
    }
  }
  expect(watched.endedCodes).toEqual([]);
  await watched.strategy.stop();
  return { signals, bytes, largest };
}

describe('the order-flow strategy on real data', () => {
  it('trades a sensible number of times, to both sides, within its limits, and twice the same', async () => {
    const [first, second] = await Promise.all([runCapture(), runCapture()]);
    expect(first.signals.length).toBeGreaterThan(50);
    expect(first.signals.length).toBeLessThan(500);
    expect(first.signals.filter(({ side }) => side === 1).length).toBeGreaterThan(20);
    expect(first.signals.filter(({ side }) => side === 2).length).toBeGreaterThan(20);
    expect(first.largest).toBe(30_000);
    expect(second.bytes).toBe(first.bytes);
  });

  it('does what its parameters say', async () => {
    const never = await runCapture({ entry_impact: 1_000_000 });
    expect(never.signals).toEqual([]);
    const once = await runCapture({ cooldown_ms: 86_400_000, max_position: 5000 });
    const [opened, closed] = once.signals;
    expect(once.signals.map(({ quantity }) => quantity)).toEqual([5000, 5000]);
    expect((opened?.side ?? 0) + (closed?.side ?? 0)).toBe(3);
    const heldNs = (closed?.decisionNs ?? 0n) - (opened?.decisionNs ?? 0n);
    expect(heldNs > 0n && heldNs < 3_500_000_000n).toBe(true);
    const small = await runCapture({ max_position: 5000 });
    expect(small.largest).toBe(5000);
  });

  it('refuses parameters out of range or unknown', async () => {
    const good = JSON.parse(parameters) as Record<string, unknown>;
    const fate = (changes: Record<string, unknown>): Promise<string> =>
      fateOf(
        bundle,
        0,
        {},
        {
          instruments: [INSTRUMENT],
          parameters: utf8(JSON.stringify({ ...good, ...changes })),
        },
      );
    expect(await fate({})).toBe('runs');
    for (const changes of [
      { tick: 0 },
      { tick: 0.5 },
      { entry_lean: 1000 },
      { ttl_ms: 60_001 },
      { market: 'option' },
      { quantity: '1' },
      { fees: 0 },
    ]) {
      expect(await fate(changes)).toBe('strategy_parameters');
    }
    expect(await fate({ symbol: 'BTCUSDT' })).toBe('instrument_unknown');
  });
});
