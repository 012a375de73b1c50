// The example in AssemblyScript over the real capture that comes with the project, beside strategies in
// TypeScript that decide the same: outputs are equal byte for byte, whatever the language.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { bundleStrategy } from '../../scripts/strategy-bundle.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { STATUS } from '../../wire/payloads.ts';
import { BTC, ETH, ROOT, fateOf } from '../enclave/strategy/support.ts';
import type { Run, Venue } from './capture.ts';
import { loadCapture, paperVenue, runBundle } from './capture.ts';

const SPOT_ETH: Instrument = { ...ETH, quantity_scale: 5 };
const SPOT_BTC: Instrument = { ...BTC, quantity_scale: 8 };
const SHARED = join(ROOT, '../shared/data/binance-2024-08');

let batches: readonly EncodedBatch[] = [];
let assembly: Uint8Array = new Uint8Array();
let twin: Uint8Array = new Uint8Array();
let text = '';

beforeAll(async () => {
  batches = await loadCapture(
    join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz'),
    SPOT_ETH,
  );
  assembly = await bundleStrategy(join(ROOT, 'strategies/assembly/mean-reversion.ts'));
  twin = await bundleStrategy(join(ROOT, 'test/strategies/twins/mean-reversion.ts'));
  text = await readFile(join(ROOT, 'strategies/mean-reversion.ethusdt.json'), 'utf8');
}, 120_000);

function parametersWith(changes: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const given = JSON.parse(text) as Record<string, unknown>;
  return utf8(JSON.stringify({ ...given, ...changes }));
}

function trade(bundle: Uint8Array, changes: Readonly<Record<string, unknown>> = {}): Promise<Run> {
  const parameters = parametersWith(changes);
  return runBundle(bundle, parameters, [SPOT_ETH], batches, paperVenue(SPOT_ETH));
}

function fate(parameters: Uint8Array | string, bundle: Uint8Array = assembly): Promise<string> {
  const bytes = typeof parameters === 'string' ? utf8(parameters) : parameters;
  return fateOf(bundle, 0, {}, { instruments: [SPOT_ETH], parameters: bytes });
}

/** Reports of every kind for one signal in three, made up from its id. */
const MADE_UP: Venue = {
  play: ({ timeNs }, signals) =>
    signals
      .filter(({ id }) => id % 3 === 0)
      .flatMap(({ id, quantity, limit }) => {
        const fill = { number: 0, price: limit, quantity, fee: 7 - (id % 15), timeNs };
        const partly = {
          status: STATUS.partlyFilled,
          filledQuantity: quantity,
          fills: [fill, fill],
        };
        const reason: RefusalCode | null = id % 2 === 0 ? 'risk_order_rate' : null;
        const last = { status: id % 2 === 0 ? STATUS.rejected : STATUS.expired, reason, fills: [] };
        return [
          { signal: id, report: partly },
          { signal: id, report: last },
        ];
      }),
};

describe('the mean-reversion strategy on real data', () => {
  it('trades to both sides within its limits, twice the same, and as its twin in TypeScript', async () => {
    const [first, second] = await Promise.all([trade(assembly), trade(twin)]);
    expect(first.signals.length).toBeGreaterThan(50);
    expect(first.signals.filter(({ side }) => side === 1).length).toBeGreaterThan(20);
    expect(first.signals.filter(({ side }) => side === 2).length).toBeGreaterThan(20);
    expect(first.largestPosition).toBe(10_000);
    expect(second.outputs).toEqual(first.outputs);
    expect((await trade(assembly)).outputs).toEqual(first.outputs);
  });

  it('does what its parameters say', async () => {
    expect((await trade(assembly, { entry_stretch: 1_000_000_000 })).signals).toEqual([]);
    expect((await trade(assembly, { window_bars: 64 })).signals.length).toBeLessThan(72);
    const some = await Promise.all(
      [
        { quantity: 20_000, max_position: 15_000, entry_stretch: 10_000 },
        { spent_imbalance: 1000, exit_stretch: 0, cooldown_ms: 0 },
        { hold_ms: 1, urgent_ms: 1, patient_ms: 3000 },
      ].flatMap((changes) => [trade(assembly, changes), trade(twin, changes)]),
    );
    expect(some[0]?.largestPosition).toBe(15_000);
    expect(some.map(({ signals }) => signals.length > 20)).toEqual(Array(6).fill(true));
    for (const at of [0, 2, 4]) expect(some[at]?.outputs).toEqual(some[at + 1]?.outputs);
  });

  it('refuses parameters that are out of range, of another type, missing or unknown', async () => {
    expect(await fate(text)).toBe('runs');
    expect(await fate(text.replaceAll('\n', '\r\n\t '))).toBe('runs');
    const bounds: readonly (readonly [string, number, number])[] = [
      ['window_bars', 1, 64],
      ['spent_imbalance', -1000, 1000],
      ['max_position', 1, 1_000_000_000_000],
    ];
    for (const [name, minimum, maximum] of bounds) {
      for (const good of [minimum, maximum]) {
        expect(await fate(parametersWith({ [name]: good }))).toBe('runs');
      }
      for (const bad of [minimum - 1, maximum + 1]) {
        expect(await fate(parametersWith({ [name]: bad }))).toBe('strategy_parameters');
      }
    }
    for (const bad of [1.5, '1', null, true, [1], { of: 1 }]) {
      const parameters = parametersWith({ tick: bad });
      expect([bad, await fate(parameters)]).toEqual([bad, 'strategy_parameters']);
      expect([bad, await fate(parameters, twin)]).toEqual([bad, 'strategy_parameters']);
    }
    for (const other of [
      parametersWith({ fees: 0 }),
      parametersWith({ venue: 5 }),
      parametersWith({ tick: undefined }),
      text.replace('"tick": 1,', '"tick": 1, "tick": 1,'),
      text.replace('"tick": 1,', '"tick": 1e0,'),
      text.replace('"tick": 1,', '"tick": 1.0,'),
      text.replace('"tick": 1,', '"\\u0074ick": 1,'),
      text.replace('"tick": 1,', `"tick": ${'1'.repeat(40)},`),
      `[${text}]`,
      '{}',
      '"',
      '5',
    ]) {
      expect([other, await fate(other)]).toEqual([other, 'strategy_parameters']);
    }
    for (const changes of [{ symbol: 'BTCUSDT' }, { market: 'option' }, { venue: '' }]) {
      expect(await fate(parametersWith(changes))).toBe('instrument_unknown');
    }
  });

  it('decides as its twin on other markets too', async (context) => {
    if (!existsSync(SHARED)) {
      console.log('skipped: no ../shared with more captures');
      context.skip();
    }
    const futures: Instrument = { ...SPOT_BTC, market: 'linear', sequence_rule: 'binance-futures' };
    for (const [file, instrument] of [
      ['spot_btcusdt_20240808.gz', SPOT_BTC],
      ['usdm_btcusdt_20240808.gz', { ...futures, price_scale: 1, quantity_scale: 3 }],
    ] as const) {
      const { symbol, market } = instrument;
      const parameters = parametersWith({ symbol, market, quantity: 10 });
      const all = await loadCapture(join(SHARED, file), instrument);
      const [first, second] = await Promise.all(
        [assembly, twin].map((bundle) =>
          runBundle(bundle, parameters, [instrument], all, paperVenue(instrument)),
        ),
      );
      expect(first?.signals.length).toBeGreaterThan(10);
      expect(second?.outputs).toEqual(first?.outputs);
    }
  });
});

describe('all that a strategy sees', () => {
  it('is the same in JavaScript and in WebAssembly, over every row of the capture', async () => {
    const script = await bundleStrategy(join(ROOT, 'test/strategies/twins/probe.ts'));
    const module = await bundleStrategy(join(ROOT, 'test/strategies/twins/assembly/probe.ts'));
    const [first, second] = await Promise.all(
      [script, module].map((bundle) =>
        runBundle(bundle, utf8('{}'), [SPOT_ETH, SPOT_BTC], batches, MADE_UP),
      ),
    );
    expect(first?.signals.length).toBeGreaterThan(batches.length / 2);
    expect(first?.reports).toBeGreaterThan(1000);
    // Folded from everything before it: the last signal shows a difference anywhere.
    expect(second?.outputs.at(-1)).toBe(first?.outputs.at(-1));
    expect(second?.outputs).toEqual(first?.outputs);
  });
});
