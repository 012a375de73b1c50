// Real captures as batches, and a strategy process that is fed with them and with what becomes of its signals.

import { expect } from 'vitest';
import type { StrategyOutput } from '../../enclave/strategy/types.ts';
import { PaperBroker } from '../../host-proxy/execution/paper-broker.ts';
import type { EncodedBatch } from '../../wire/market/batcher.ts';
import { Batcher } from '../../wire/market/batcher.ts';
import { BinanceParser } from '../../wire/market/venues/binance.ts';
import { readCapture } from '../../host-proxy/feed/capture.ts';
import { parseBatch } from '../../wire/batch.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { Report, Signal } from '../../wire/payloads.ts';
import { STATUS } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { TestBundle } from '../enclave/strategy/support.ts';
import { Watched, reportOf, specification } from '../enclave/strategy/support.ts';

/** All rows of a capture file as batches of stream 1. */
export async function loadCapture(
  path: string,
  instrument: Instrument,
): Promise<readonly EncodedBatch[]> {
  const batches: EncodedBatch[] = [];
  const batcher = new Batcher({
    stream: 1,
    closeRows: 1024,
    closeMs: 50,
    onBatch: (batch) => batches.push({ ...batch, bytes: new Uint8Array(batch.bytes) }),
  });
  const parser = new BinanceParser([instrument]);
  for await (const { events, refusals } of readCapture(path, parser, { onMalformed: 'stop' })) {
    if (refusals.length > 0) throw new Error(`capture: ${JSON.stringify(refusals)}`);
    for (const event of events) batcher.add(event);
  }
  batcher.flush();
  return batches;
}

/** What becomes of signals; a report names the signal. */
export interface Venue {
  /** Called for each batch with the signals that answered it; gives the reports before the next. */
  readonly play: (
    batch: EncodedBatch,
    signals: readonly Signal[],
  ) => readonly { readonly signal: number; readonly report: Partial<Report> }[];
}

/** The host's own paper broker, without fees. */
export function paperVenue(instrument: Instrument): Venue {
  const waiting: { signal: number; report: Partial<Report> }[] = [];
  const filled = new Map<string, number>();
  const broker = new PaperBroker(
    [instrument],
    { latencyMs: 20, takerFeePpm: 0, makerFeePpm: 0, slippageTicks: 0 },
    {
      onFill: (id, fill) => {
        const filledQuantity = (filled.get(id) ?? 0) + fill.quantity;
        filled.set(id, filledQuantity);
        const fills = [{ number: 0, ...fill }];
        const report = { status: STATUS.partlyFilled, filledQuantity, fills };
        waiting.push({ signal: Number(id), report });
      },
      onEnd: (id, end) => {
        const report = { status: STATUS[end], filledQuantity: filled.get(id) ?? 0, fills: [] };
        waiting.push({ signal: Number(id), report });
      },
    },
  );
  return {
    play: (batch, signals) => {
      for (const { id, ttlMs, ...rest } of signals) {
        const expiresNs = rest.decisionNs + BigInt(ttlMs) * 1_000_000n;
        broker.submit({ clientOrderId: String(id), expiresNs, ...rest });
      }
      broker.apply(assertAccepted(parseBatch(batch.bytes)));
      return waiting.splice(0);
    },
  };
}

export interface Run {
  readonly signals: readonly Signal[];
  /** Output bytes in hex. */
  readonly outputs: readonly string[];
  readonly reports: number;
  readonly largestPosition: number;
}

/** Runs a bundle in a process of its own over all batches. */
export async function runBundle(
  bundle: TestBundle,
  parameters: Uint8Array,
  instruments: readonly Instrument[],
  batches: readonly EncodedBatch[],
  venue: Venue,
): Promise<Run> {
  const watched = await Watched.start(specification(bundle, { instruments, parameters }));
  const signals: Signal[] = [];
  const outputs: string[] = [];
  let [leaf, reports, position, largestPosition] = [10, 0, 0, 0];
  for (const batch of batches) {
    watched.strategy.input(leaf++, batch.timeNs, batch.bytes);
    await watched.strategy.settled();
    const answered: readonly StrategyOutput[] = watched.answers
      .splice(0)
      .flatMap((one) => one.outputs);
    outputs.push(...answered.map(({ bytes }) => toHex(bytes)));
    signals.push(...answered.map(({ signal }) => signal));
    for (const { signal, report } of venue.play(
      batch,
      answered.map((one) => one.signal),
    )) {
      const sign = signals[signal]?.side === 1 ? 1 : -1;
      for (const { quantity } of report.fills ?? []) position += sign * quantity;
      largestPosition = Math.max(largestPosition, Math.abs(position));
      watched.strategy.fill(leaf++, signal, reportOf(report));
      reports++;
    }
  }
  expect(watched.endedCodes).toEqual([]);
  await watched.strategy.stop();
  return { signals, outputs, reports, largestPosition };
}
