// Messages between the enclave's main process and a strategy process (docs/PROTOCOL.md 11). The main
// process takes what the strategy process sends as hostile; the other way is trusted.

import { encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import type { Instrument } from './configuration.ts';
import { parseFields } from './fields.ts';
import { MARKETS, SEQUENCE_RULES } from './instrument.ts';
import { STREAM } from './leaf.ts';
import { MAX_ITEM_BYTES, MAX_REPORT_BYTES, MAX_STRATEGY_IN_BYTES } from './limits.ts';
import { SEED_BYTES } from './payloads.ts';
import type { Result } from './result.ts';
import type { StrategyFill } from './strategy-fill.ts';
import type { StrategyStart, StrategyInput, StrategyOutputs } from './strategy-frames.ts';

export * from './strategy-frames.ts';

const MAX_INSTRUMENTS = 1024;

export function parseStrategyStart(bytes: Uint8Array): Result<StrategyStart> {
  return parseFields('strategy_start', bytes, MAX_STRATEGY_IN_BYTES, (fields) => ({
    name: fields.text(1, 64),
    bundle: fields.bytes(2, 1, MAX_ITEM_BYTES),
    parameters: fields.bytes(3, 1, MAX_ITEM_BYTES),
    seed: fields.bytes(4, SEED_BYTES),
    instruments: fields.maps(5, MAX_INSTRUMENTS, (instrument): Instrument => {
      const market = MARKETS.find((name) => name === instrument.take(4));
      const rule = SEQUENCE_RULES.find((name) => name === instrument.take(7));
      if (market === undefined || rule === undefined) return instrument.refuse(4);
      return {
        id: instrument.uint(1, 0xffff, 1),
        venue: instrument.text(2, 32),
        symbol: instrument.text(3, 32),
        market,
        price_scale: instrument.uint(5, 12),
        quantity_scale: instrument.uint(6, 12),
        sequence_rule: rule,
      };
    }),
    stream: fields.uint(6, STREAM.lastStrategy, STREAM.firstStrategy),
  }));
}

export function encodeStrategyInput(input: StrategyInput): Uint8Array {
  return encodeMap([1, input.leafIndex], [2, input.bytes]);
}

export function parseStrategyInput(bytes: Uint8Array): Result<StrategyInput> {
  return parseFields('strategy_input', bytes, MAX_STRATEGY_IN_BYTES, (fields) => ({
    leafIndex: fields.uint(1),
    bytes: fields.bytes(2, 1, MAX_STRATEGY_IN_BYTES),
  }));
}

/** Ids of the instruments that the strategy subscribes to. */
export function encodeStrategyStarted(instruments: readonly number[]): Uint8Array {
  return encodeMap([1, instruments]);
}

export function encodeStrategyOutputs(outputs: StrategyOutputs): Uint8Array {
  return encodeMap([1, outputs.leafIndex], [2, outputs.outputs]);
}

export function encodeStrategyEnded(code: RefusalCode): Uint8Array {
  return encodeMap([1, code]);
}

export function parseStrategyFill(bytes: Uint8Array): Result<StrategyFill> {
  return parseFields('strategy_fill', bytes, MAX_REPORT_BYTES + 64, (fields) => ({
    leafIndex: fields.uint(1),
    report: fields.bytes(2, 1, MAX_REPORT_BYTES),
    signal: fields.uint(3),
  }));
}
