// Expected signals against those that came: whether they are the same, and how both look.

import { formatDecimal, parseDecimal } from '../../wire/market/scaled.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { Signal } from '../../wire/payloads.ts';
import { SIDE } from '../../wire/payloads.ts';
import type { ExpectedSignal } from './scenario.ts';

export interface WantedSignal extends Omit<ExpectedSignal, 'instrument'> {
  readonly instrument: Instrument;
}

function fits(wanted: string | undefined, actual: number, scale: number): boolean {
  return wanted === undefined || parseDecimal(wanted, scale) === actual;
}

function isSame(
  { instrument, side, quantity, limit, ttl_ms: ttlMs }: WantedSignal,
  signal: Signal,
): boolean {
  return (
    signal.instrument === instrument.id &&
    signal.side === SIDE[side] &&
    fits(quantity, signal.quantity, instrument.quantity_scale) &&
    fits(limit, signal.limit, instrument.price_scale) &&
    (ttlMs === undefined || signal.ttlMs === ttlMs)
  );
}

/** As many, in the same order; fields that are not wanted may be anything. */
export function sameSignals(wanted: readonly WantedSignal[], actual: readonly Signal[]): boolean {
  return (
    wanted.length === actual.length &&
    wanted.every((one, at) => {
      const signal = actual[at];
      return signal !== undefined && isSame(one, signal);
    })
  );
}

/** The JSON of an `expect` step's entry, so that what came can be copied into the file. */
export function signalLine(
  signal: WantedSignal | Signal,
  instruments: readonly Instrument[],
): string {
  const fields =
    'ttlMs' in signal ? fromSignal(signal, instruments) : fromWanted(signal, instruments);
  return JSON.stringify(fields);
}

function fromWanted(
  { instrument, side, quantity, limit, ttl_ms: ttlMs }: WantedSignal,
  instruments: readonly Instrument[],
): object {
  const name = instruments.length === 1 ? undefined : instrument.id;
  const { quantity_scale: quantityScale, price_scale: priceScale } = instrument;
  return {
    instrument: name,
    side,
    quantity: normal(quantity, quantityScale),
    limit: normal(limit, priceScale),
    ttl_ms: ttlMs,
  };
}

function normal(text: string | undefined, scale: number): string | undefined {
  const value = text === undefined ? null : parseDecimal(text, scale);
  return value === null ? text : formatDecimal(value, scale);
}

function fromSignal(signal: Signal, instruments: readonly Instrument[]): object {
  const instrument = instruments.find(({ id }) => id === signal.instrument);
  const { quantity_scale: quantityScale = 0, price_scale: priceScale = 0 } = instrument ?? {};
  return {
    instrument: instruments.length === 1 ? undefined : signal.instrument,
    side: signal.side === SIDE.buy ? 'buy' : 'sell',
    quantity: formatDecimal(signal.quantity, quantityScale),
    limit: formatDecimal(signal.limit, priceScale),
    ttl_ms: signal.ttlMs,
  };
}

/** Both lists as a diff, line by line; lines that are in both stand once. */
export function diffLines(
  expected: readonly string[],
  actual: readonly string[],
): readonly string[] {
  const lengths = Array.from({ length: expected.length + 1 }, () =>
    Array.from({ length: actual.length + 1 }, () => 0),
  );
  for (let left = expected.length - 1; left >= 0; left--) {
    for (let right = actual.length - 1; right >= 0; right--) {
      const row = lengths[left];
      const below = lengths[left + 1];
      if (row === undefined || below === undefined) continue;
      row[right] =
        expected[left] === actual[right]
          ? (below[right + 1] ?? 0) + 1
          : Math.max(below[right] ?? 0, row[right + 1] ?? 0);
    }
  }
  const lines: string[] = [];
  let [left, right] = [0, 0];
  while (left < expected.length || right < actual.length) {
    if (left < expected.length && expected[left] === actual[right]) {
      lines.push(`  ${expected[left] ?? ''}`);
      left++;
      right++;
    } else if (
      right >= actual.length ||
      (left < expected.length &&
        (lengths[left + 1]?.[right] ?? 0) >= (lengths[left]?.[right + 1] ?? 0))
    ) {
      lines.push(`- ${expected[left++] ?? ''}`);
    } else {
      lines.push(`+ ${actual[right++] ?? ''}`);
    }
  }
  return lines;
}
