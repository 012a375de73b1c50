// Captures as the kit reads them: what they are about, and their batches, of one file and of several.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import { Batcher } from '../../../wire/market/batcher.ts';
import { BinanceParser } from '../../../wire/market/venues/binance.ts';
import { readCapture } from '../../../host-proxy/feed/capture.ts';
import { CaptureBatches, CaptureFailure } from '../../../scripts/kit/capture-batches.ts';
import type { CaptureOptions } from '../../../scripts/kit/capture-batches.ts';
import { decimalsOf, surveyCapture } from '../../../scripts/kit/capture-survey.ts';
import {
  instrumentsOf,
  makeInstruments,
  parseInstruments,
} from '../../../scripts/kit/instruments.ts';
import { toHex } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { CAPTURE, ETH, newFolder, sharedCapture } from './support.ts';

const CUTS = { closeRows: 256, closeMs: 50, limitEvents: null } as const;

function trade(timeMs: number, id: number, symbol: string, price = '10.25'): string {
  const data = { e: 'trade', E: timeMs, T: timeMs, s: symbol, t: id, p: price, q: '1.5', m: false };
  return `${timeMs}000000 ${JSON.stringify({ stream: 'x', data })}\n`;
}

async function collect(
  captures: readonly CaptureOptions[],
  cuts: ConstructorParameters<typeof CaptureBatches>[1] = CUTS,
): Promise<{ readonly batches: readonly EncodedBatch[]; readonly reader: CaptureBatches }> {
  const reader = new CaptureBatches(captures, cuts);
  const batches: EncodedBatch[] = [];
  for await (const batch of reader) batches.push(batch);
  return { batches, reader };
}

describe('decimals of a price', () => {
  it.each([
    ['61837.63000000', 2],
    ['2683.8', 1],
    ['100', 0],
    ['100.', 0],
    ['0.00000000', 0],
    ['0.00000001', 8],
    ['.5', 1],
    [5.25, 0],
    [null, 0],
  ])('%j has %i', (text, decimals) => {
    expect(decimalsOf(text)).toBe(decimals);
  });
});

describe('the survey of a capture', () => {
  const BTC = { ...ETH, symbol: 'BTCUSDT' };
  const FILES = [
    ['the committed file', CAPTURE, ETH],
    ['spot BTC', sharedCapture('spot_btcusdt_20240808.gz'), { ...BTC, quantity_scale: 6 }],
    [
      'futures BTC',
      sharedCapture('usdm_btcusdt_20240808.gz'),
      {
        ...BTC,
        market: 'linear',
        price_scale: 1,
        quantity_scale: 3,
        sequence_rule: 'binance-futures',
      },
    ],
  ] as const;
  for (const [name, path, expected] of FILES) {
    it.skipIf(path === null)(`${name}: symbol, market, scales, and the host reads it`, async () => {
      const survey = assertAccepted(await surveyCapture(path ?? ''));
      const [instrument, ...more] = makeInstruments([survey]);
      expect([instrument, more]).toEqual([expected, []]);
      if (instrument === undefined) throw new Error('no instrument');
      expect(instrumentsOf(survey, [{ ...instrument, id: 7 }])).toHaveLength(1);
      const capture = { path: survey.path, instruments: [instrument] };
      const { batches, reader } = await collect([capture]);
      expect(reader.ends[0]?.summary).toMatchObject({ messages: survey.messages, refusedLines: 0 });
      expect(batches.length).toBe(reader.ends[0]?.summary.batches);
      // One decimal less, and it does not.
      const coarse = { ...instrument, quantity_scale: instrument.quantity_scale - 1 };
      const reading = collect([{ ...capture, instruments: [coarse] }]);
      await expect(reading).rejects.toThrow('capture_malformed');
    });
  }

  it('keeps spot and futures of one symbol apart, and takes the finest scale of several files', async () => {
    const spot = {
      path: 'a',
      messages: 1,
      firstTimeNs: 0n,
      lastTimeNs: 0n,
      symbols: [{ symbol: 'X', futures: false, priceScale: 2, quantityScale: 1 }],
    };
    const finer = {
      ...spot,
      symbols: [{ symbol: 'X', futures: false, priceScale: 1, quantityScale: 4 }],
    };
    const futures = {
      ...spot,
      symbols: [{ symbol: 'X', futures: true, priceScale: 0, quantityScale: 0 }],
    };
    const made = makeInstruments([spot, finer, futures]);
    expect(made).toMatchObject([
      { id: 1, market: 'spot', price_scale: 2, quantity_scale: 4, sequence_rule: 'binance-spot' },
      { id: 2, market: 'linear', price_scale: 0, sequence_rule: 'binance-futures' },
    ]);
    expect(assertAccepted(parseInstruments(made))).toEqual(made);
    expect(instrumentsOf(futures, made).map(({ id }) => id)).toEqual([2]);
    expect(instrumentsOf(spot, made).map(({ id }) => id)).toEqual([1]);
  });

  it('refuses what is no capture, and tables that an enclave would refuse', async () => {
    const folder = await newFolder();
    const path = join(folder, 'capture');
    expect(await surveyCapture(path)).toMatchObject({ refusal: { code: 'file_unreadable' } });
    await writeFile(path, 'nothing\n');
    expect(await surveyCapture(path)).toMatchObject({ refusal: { code: 'capture_malformed' } });
    for (const [table, field] of [
      [[], 'instruments'],
      [[{ ...ETH, price_scale: 13 }], 'instruments.0.price_scale'],
      [[ETH, { ...ETH, symbol: 'X', market: 'option' }], 'instruments.1.market'],
      [[ETH, ETH], 'instruments'],
      [[{ ...ETH, tick: 1 }], 'instruments.0'],
      ['x', 'instruments'],
    ] as const) {
      const refusal = { code: 'config_invalid', detail: { field } };
      expect(parseInstruments(table)).toEqual({ ok: false, refusal });
    }
  });
});

describe('batches of captures', () => {
  it('are those that the host sends', async () => {
    const { batches } = await collect([{ path: CAPTURE, instruments: [ETH] }]);
    const expected: string[] = [];
    const onBatch = ({ bytes }: EncodedBatch): void => {
      expected.push(toHex(new Uint8Array(bytes)));
    };
    const batcher = new Batcher({ stream: 1, closeRows: 256, closeMs: 50, onBatch });
    const parser = new BinanceParser([ETH]);
    for await (const { events } of readCapture(CAPTURE, parser, { onMalformed: 'stop' })) {
      for (const event of events) batcher.add(event);
    }
    batcher.flush();
    expect(batches.map(({ bytes }) => toHex(bytes))).toEqual(expected);
  });

  it('of several files come in the order of their times, each file a stream of its own', async () => {
    const folder = await newFolder();
    const paths = ['a', 'b', 'c'].map((name) => join(folder, name));
    const times = [[1000, 1300, 1600, 1601], [1100, 1300, 1700], [1300]];
    for (const [at, list] of times.entries()) {
      const lines = list.map((time, id) => trade(time, id + 1, 'ETHUSDT'));
      await writeFile(paths[at] ?? '', lines.join(''));
    }
    const captures = paths.map((path) => ({ path, instruments: [ETH] }));
    const { batches, reader } = await collect(captures);
    const seen = batches.map(({ stream, sequence, timeNs }) => [
      stream,
      sequence,
      Number(timeNs / 1_000_000n),
    ]);
    expect(seen).toEqual([
      [1, 0, 1000],
      [2, 0, 1100],
      [1, 1, 1300],
      [2, 1, 1300],
      [3, 0, 1300],
      [1, 2, 1601],
      [2, 2, 1700],
    ]);
    expect(reader.ends.map(({ summary }) => summary.batches)).toEqual([3, 3, 1]);
    const limited = await collect(captures, { ...CUTS, limitEvents: 2 });
    expect(limited.batches.map(({ stream }) => stream)).toEqual([1, 2, 1, 2, 3]);
    expect(limited.reader.ends.map(({ summary }) => summary.ended)).toEqual([
      'limit',
      'limit',
      'end',
    ]);
  });

  it('end with the refusal of the host when a line is wrong, after those before it', async () => {
    const folder = await newFolder();
    const path = join(folder, 'capture');
    await writeFile(path, trade(1000, 1, 'ETHUSDT') + trade(2000, 2, 'ETHUSDT', '10.253'));
    const batches: EncodedBatch[] = [];
    const read = async (): Promise<void> => {
      for await (const batch of new CaptureBatches([{ path, instruments: [ETH] }], CUTS)) {
        batches.push(batch);
      }
    };
    const failure: unknown = await read().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CaptureFailure);
    const detail = { file: path, line: 2, field: 'p' };
    expect((failure as CaptureFailure).refusal).toEqual({ code: 'capture_malformed', detail });
    expect(batches).toHaveLength(1);
  });

  it('can be left in the middle', async () => {
    const reader = new CaptureBatches([{ path: CAPTURE, instruments: [ETH] }], CUTS);
    const iterator = reader[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return(undefined);
    expect(reader.ends).toEqual([]);
  });
});
