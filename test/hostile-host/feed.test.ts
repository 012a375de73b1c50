// Lies about market data, on its way into the enclave.

import { expect, it } from 'vitest';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { BOOK_SIDE, GROUP_FLAG, ROW } from '../../wire/batch.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import { FRAME, PORT, encodeDeclaredGap } from '../../wire/messages.ts';
import { INSTRUMENT, STREAM_A, hostConfiguration } from '../helpers/enclave-host.ts';
import {
  TIME_NS,
  batch,
  boot,
  bootAfter,
  close,
  unnamedIn,
  gaps,
  instruments,
  movableTime,
  newVerifier,
  refusals,
  send,
  trader,
  verify,
} from './stage.ts';

it('a host that drops a batch: gap leaf `skipped`, in the verdict with the number of batches', async () => {
  const host = await boot();
  await send(host, batch(0, { trades: [{}] }), batch(3, { trades: [{}] }));
  await close(host);
  expect([gaps(host), refusals(host)]).toEqual([['skipped 1 2'], []]);
  const { exit, verdict } = await verify(await newVerifier(), [host]);
  expect(exit).toBe(0);
  expect(verdict.gaps).toMatchObject({
    total: 1,
    by_reason: { skipped: 1 },
    list: [{ stream: STREAM_A, first_missing: 1, count: 2 }],
  });
});

it('a host that drops batches and declares fewer: gap leaves `declared` and `skipped` for the rest', async () => {
  const host = await boot();
  const declared = encodeDeclaredGap({ stream: STREAM_A, firstMissing: 1, batches: 1, rows: null });
  await send(host, batch(0, { trades: [{}] }), [FRAME.gap, declared], batch(4, { trades: [{}] }));
  await close(host);
  expect(gaps(host)).toEqual(['declared 1 1', 'skipped 2 2']);
  const { verdict } = await verify(await newVerifier(), [host]);
  expect(verdict.gaps).toMatchObject({ total: 2, by_reason: { declared: 1, skipped: 1 } });
});

it('a host that drops a batch and renumbers the rest: gap leaf `trade_sequence`, by the numbers of the venue', async () => {
  const host = await boot();
  await send(host, batch(0), batch(1, { trades: [{ id: 3 }] }));
  await close(host);
  expect(gaps(host)).toEqual(['tradeSequence 2 1']);
  const { verdict } = await verify(await newVerifier(), [host]);
  expect(verdict.gaps).toMatchObject({ by_reason: { trade_sequence: 1 } });
});

it('a host that cuts updates out of a book: gap leaf `venue_sequence`, by the numbers of the venue', async () => {
  const host = await boot();
  await send(host, depth(0, 10, 10, true), depth(1, 11, 11), depth(2, 14, 14));
  await close(host);
  expect(gaps(host)).toEqual(['venueSequence 12 2']);
  const { verdict } = await verify(await newVerifier(), [host]);
  expect(verdict.gaps).toMatchObject({ by_reason: { venue_sequence: 1 } });
});

it('a host that withholds the rest of a large update: gap leaf `venue_sequence` with the next one', async () => {
  const host = await boot();
  const torn = depth(1, 11, 11, false, GROUP_FLAG.first);
  await send(host, depth(0, 10, 10, true), torn, depth(2, 12, 12));
  await close(host);
  expect(gaps(host)).toEqual(['venueSequence 11']);
});

it('a host that drops data where the venue numbers nothing: not found, `withheld_feed` in the verdict', async () => {
  const host = await boot({ configuration: instruments('none') });
  await send(host, batch(0), batch(1, { trades: [{ id: 3 }] }));
  await close(host);
  expect(gaps(host)).toEqual([]);
  expect(
    unnamedIn(await verify(await newVerifier(), [host]), 'withheld_feed', 'invented_prices'),
  ).toEqual([]);
});

it('a host that reorders batches: gap leaf `skipped`, and `batch_replayed` REFUSED for the late one', async () => {
  const host = await boot();
  await send(host, batch(0), batch(2), batch(1));
  await close(host);
  expect([gaps(host), refusals(host)]).toEqual([
    ['skipped 1 1', 'tradeSequence 2 1'],
    ['batch_replayed'],
  ]);
  expect((await verify(await newVerifier(), [host])).verdict).toMatchObject({
    verdict: 'verified',
    counts: { gap: 2 },
  });
});

it('a host that reorders batches and renumbers them: `batch_out_of_order` REFUSED, gap leaf `refused` with that code', async () => {
  const host = await boot();
  const late = batch(2, { timeNs: TIME_NS - 1n, trades: [{ id: 2 }] });
  await send(host, batch(0), batch(1, { trades: [{ id: 3 }] }), late);
  await close(host);
  expect(refusals(host)).toEqual(['batch_out_of_order']);
  expect(gaps(host)).toEqual(['tradeSequence 2 1', 'refused 2 1 batch_out_of_order']);
  const { verdict } = await verify(await newVerifier(), [host]);
  expect(verdict.gaps?.list.at(-1)).toMatchObject({
    reason: 'refused',
    code: 'batch_out_of_order',
  });
});

it('a host that reorders batches, their numbers and times: gap leaf `trade_sequence` where the order broke', async () => {
  const host = await boot();
  await send(host, batch(0), batch(1, { trades: [{ id: 3 }] }), batch(2, { trades: [{ id: 2 }] }));
  await close(host);
  expect([gaps(host), refusals(host)]).toEqual([['tradeSequence 2 1'], []]);
});

it('a host that replays a batch: `batch_replayed` REFUSED, and no leaf', async () => {
  const host = await boot();
  await send(host, batch(0), batch(0), batch(1), batch(0));
  await close(host);
  expect([gaps(host), refusals(host)]).toEqual([[], ['batch_replayed', 'batch_replayed']]);
  const { verdict } = await verify(await newVerifier(), [host]);
  expect(verdict).toMatchObject({ rows: 2, gaps: { total: 0 } });
});

it('a host that replays the batches of an earlier epoch as new: their age is `lag_ms` in the verdict, `withheld_feed`', async () => {
  const time = await movableTime();
  const live = { configuration: { feed_mode: 'live' as const } };
  const first = await boot(live);
  const received = batch(0, { timeNs: BigInt(Date.now()) * 1_000_000n });
  await send(first, received);
  await close(first);
  time.pass(86_400_000);
  const second = await bootAfter(first, { ...live, ...time.options });
  await send(second, received);
  await close(second);
  const judged = await verify(await newVerifier(), [first, second]);
  expect(unnamedIn(judged, 'withheld_feed', 'invented_prices')).toEqual([]);
  expect(judged.verdict.feed?.lag_ms?.largest).toBeGreaterThan(86_000_000);
  expect(judged.verdict.operator_could_still?.join()).toMatch(/data that was up to 24\.0 h old/u);
});

it('a host that truncates a batch: `batch_malformed` REFUSED, gap leaf `refused` with that code', async () => {
  const host = await boot();
  const whole = batch(1);
  const cuts = [whole.length - 1, whole.length >> 1, 12];
  for (const [at, length] of cuts.entries()) await send(host, cutTo(batch(at), length));
  await close(host);
  expect(refusals(host)).toEqual(cuts.map(() => 'batch_malformed'));
  expect(gaps(host)).toEqual(cuts.map((_, at) => `refused ${at} 1 batch_malformed`));
  const { exit, verdict } = await verify(await newVerifier(), [host]);
  expect([exit, verdict.gaps?.by_reason]).toEqual([0, { refused: cuts.length }]);
});

it('a host that changes a byte of a batch: REFUSED, or logged and given to the strategy as it came, never between', async () => {
  const strategies = trader();
  const host = await boot({ strategies });
  const length = batch(0).length;
  const sent: Uint8Array[] = [];
  for (let at = 0; at < length; at += 3) {
    const changed = batch(sent.length, { trades: [{}] });
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    sent.push(changed);
  }
  await send(host, ...sent);
  await close(host);
  const logged = host.leavesOf(KIND.input).map((index) => host.open(index));
  const given = strategies.started[0]?.inputs.map((input) => input.batch) ?? [];
  expect(given).toHaveLength(logged.length);
  expect(logged.every((bytes, at) => equalBytes(bytes, given[at] ?? new Uint8Array()))).toBe(true);
  const taken = sent.filter((bytes) => logged.some((other) => equalBytes(bytes, other)));
  expect(taken.length).toBeGreaterThan(0);
  expect(refusals(host).length).toBe(sent.length - taken.length);
  expect((await verify(await newVerifier(), [host])).exit).toBe(0);
});

it('a host that delays data: its age is `lag_ms` in the verdict, `withheld_feed` and `delay` with it', async () => {
  const host = await boot({ configuration: { feed_mode: 'live' } });
  const fresh = BigInt(Date.now()) * 1_000_000n;
  await send(host, batch(0, { timeNs: fresh - 7_000_000_000n }), batch(1, { timeNs: fresh }));
  await close(host);
  const judged = await verify(await newVerifier(), [host]);
  expect(unnamedIn(judged, 'withheld_feed', 'delay')).toEqual([]);
  expect(judged.verdict.feed?.lag_ms?.largest).toBeGreaterThan(6900);
});

it('a host that stamps data with a time to come: a negative `lag_ms` in the verdict, leaf times do not follow', async () => {
  const host = await boot({ configuration: { feed_mode: 'live' } });
  const hour = 3_600_000_000_000n;
  const future = BigInt(Date.now()) * 1_000_000n + hour;
  await send(host, batch(0, { timeNs: future }));
  await close(host);
  const judged = await verify(await newVerifier(), [host]);
  expect(unnamedIn(judged, 'invented_prices')).toEqual([]);
  expect(judged.verdict.feed?.lag_ms?.smallest).toBeLessThan(-3_500_000);
  expect(BigInt(judged.verdict.time?.last_ns ?? future)).toBeLessThan(future);
});

it('a host that starves one instrument: its silence is in the verdict, `withheld_feed` with it', async () => {
  const time = await movableTime();
  const host = await boot({ ...time.options, configuration: instruments('binance-spot') });
  await send(host, batch(0, { trades: [{ id: 1 }, { id: 1, instrument: 2 }] }));
  for (let sequence = 1; sequence < 4; sequence++) {
    time.pass(60_000);
    await send(host, batch(sequence));
  }
  await close(host);
  const judged = await verify(await newVerifier(), [host]);
  expect(unnamedIn(judged, 'withheld_feed')).toEqual([]);
  const silence = new Map(
    judged.verdict.feed?.instruments.map(({ symbol, longest_silence_ms: ms }) => [symbol, ms]),
  );
  expect(silence.get('BTCUSDT')).toBeLessThan(120_000);
  expect(silence.get('ETHUSDT')).toBeGreaterThanOrEqual(180_000);
  expect(judged.verdict.operator_could_still?.join()).toMatch(/for up to 3\.0 min \(ETHUSDT\)/u);
});

it('a host that names an unknown instrument: `instrument_unknown` REFUSED, gap leaf `refused` with that code', async () => {
  const host = await boot();
  await send(host, batch(0, { trades: [{ instrument: 9 }] }), batch(1));
  await close(host);
  expect([refusals(host), gaps(host)]).toEqual([
    ['instrument_unknown'],
    ['refused 0 1 instrument_unknown'],
  ]);
});

it('a host that names an unknown stream: `stream_unknown` REFUSED, and no leaf', async () => {
  const host = await boot();
  await send(host, batch(0, { stream: 7 }));
  await close(host);
  expect([refusals(host), gaps(host)]).toEqual([['stream_unknown'], []]);
  expect(hostConfiguration().streams.map(({ id }) => id)).not.toContain(7);
});

it('a host that invents prices: not found, `invented_prices` in the verdicts', async () => {
  const host = await boot();
  await send(host, batch(0, { trades: [{ id: 1, price: 1 }] }), batch(1, { trades: [{ id: 2 }] }));
  await close(host);
  const folder = await newVerifier();
  const judged = await verify(folder, [host]);
  expect(unnamedIn(judged, 'invented_prices')).toEqual([]);
  expect(judged.verdict.streams?.find(({ id }) => id === STREAM_A)?.label).toBe('host');
  const [input = -1] = host.leavesOf(KIND.input);
  const proof = await folder.verifyProof(await folder.prove(input), ...folder.trust());
  expect([proof.exit, proof.verdict.label]).toEqual([0, 'host']);
  expect(proof.verdict.residual_risks).toContain('invented_prices');
});

it('a host that announces a frame of 4 GiB: the feed stream ends, `feed_streams_broken` in the counters', async () => {
  const host = await boot();
  host.wires
    .get(PORT.feed)
    ?.host.write(new Uint8Array([0xff, 0xff, 0xff, 0xff, FRAME.batch, 0, 0, 0]));
  await host.until(() => host.feed?.alive === false);
  await host.connectFeed();
  await send(host, batch(0));
  await close(host);
  expect(host.diagnostics.at(-1)?.counters['feed_streams_broken']).toBe(1);
  expect((await verify(await newVerifier(), [host])).exit).toBe(0);
});

/** One update (or snapshot) of the book, one level. */
function depth(
  sequence: number,
  firstId: number,
  lastId: number,
  snapshot = false,
  part: number = GROUP_FLAG.first | GROUP_FLAG.last,
): Uint8Array {
  const builder = new BatchBuilder(STREAM_A);
  builder.addGroup({
    instrument: INSTRUMENT,
    firstRow: 0,
    rows: 1,
    flags: part | (snapshot ? GROUP_FLAG.snapshot : 0),
    firstId,
    lastId,
    previousId: -1,
  });
  builder.addRow({
    instrument: INSTRUMENT,
    kind: snapshot ? ROW.snapshotLevel : ROW.level,
    side: BOOK_SIDE.bid,
    exchangeTimeNs: null,
    receiveTimeNs: TIME_NS,
    price: 100,
    quantity: 1,
    id: lastId,
  });
  return new Uint8Array(builder.encode(sequence, TIME_NS));
}

function cutTo(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.slice(0, length);
}
