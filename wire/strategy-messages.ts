// Messages between the enclave's main process and a strategy process (docs/PROTOCOL.md 11). The main
// process takes what the strategy process sends as hostile; the other way is trusted.

import { concatBytes } from './bytes.ts';
import type { CborValue } from './cbor.ts';
import { encodeCbor, encodeCborHead } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { isRefusalCode } from './codes.ts';
import type { Instrument } from './configuration.ts';
import { parseFields } from './fields.ts';
import { MARKETS, SEQUENCE_RULES } from './instrument.ts';
import { STREAM } from './leaf.ts';
import {
  MAX_ITEM_BYTES,
  MAX_OUTPUTS_PER_BATCH,
  MAX_OUTPUT_BYTES,
  MAX_STRATEGY_IN_BYTES,
  MAX_STRATEGY_OUT_BYTES,
} from './limits.ts';
import { SEED_BYTES } from './payloads.ts';
import type { Result } from './result.ts';

const MAX_INSTRUMENTS = 1024;

function encodeMap(...pairs: readonly (readonly [number, CborValue])[]): Uint8Array {
  return encodeCbor(new Map(pairs));
}

export interface StrategyStart {
  readonly name: string;
  /** JavaScript text in UTF-8, or a WebAssembly module. */
  readonly bundle: Uint8Array;
  /** JSON, UTF-8. */
  readonly parameters: Uint8Array;
  readonly seed: Uint8Array;
  readonly instruments: readonly Instrument[];
  readonly stream: number;
}

export function encodeStrategyStart(start: StrategyStart): Uint8Array {
  return encodeMap(
    [1, start.name],
    [2, start.bundle],
    [3, start.parameters],
    [4, start.seed],
    [
      5,
      start.instruments.map(
        (instrument) =>
          new Map<number, CborValue>([
            [1, instrument.id],
            [2, instrument.venue],
            [3, instrument.symbol],
            [4, instrument.market],
            [5, instrument.price_scale],
            [6, instrument.quantity_scale],
            [7, instrument.sequence_rule],
          ]),
      ),
    ],
    [6, start.stream],
  );
}

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

/** INPUT (a batch) and FILL (a report) have the same form: the leaf's index and its plaintext. */
export interface StrategyInput {
  readonly leafIndex: number;
  readonly bytes: Uint8Array;
}

export function encodeStrategyInput(input: StrategyInput): Uint8Array {
  return encodeMap([1, input.leafIndex], [2, input.bytes]);
}

/** What stands before the batch's bytes in an INPUT, so that they need not be copied. */
export function encodeStrategyInputHead(leafIndex: number, batchBytes: number): Uint8Array {
  return concatBytes(
    encodeCborHead(5, 2),
    encodeCborHead(0, 1),
    encodeCborHead(0, leafIndex),
    encodeCborHead(0, 2),
    encodeCborHead(2, batchBytes),
  );
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

export function parseStrategyStarted(bytes: Uint8Array): Result<readonly number[]> {
  return parseFields('strategy_started', bytes, MAX_STRATEGY_OUT_BYTES, (fields) =>
    fields.uints(1, MAX_INSTRUMENTS),
  );
}

export interface StrategyOutputs {
  /** Leaf index of the INPUT that these outputs answer. */
  readonly leafIndex: number;
  readonly outputs: readonly Uint8Array[];
}

export function encodeStrategyOutputs(outputs: StrategyOutputs): Uint8Array {
  return encodeMap([1, outputs.leafIndex], [2, outputs.outputs]);
}

export function parseStrategyOutputs(bytes: Uint8Array): Result<StrategyOutputs> {
  return parseFields('strategy_outputs', bytes, MAX_STRATEGY_OUT_BYTES, (fields) => ({
    leafIndex: fields.uint(1),
    outputs: fields.byteStrings(2, MAX_OUTPUTS_PER_BATCH, 1, MAX_OUTPUT_BYTES),
  }));
}

export function encodeStrategyEnded(code: RefusalCode): Uint8Array {
  return encodeMap([1, code]);
}

export function parseStrategyEnded(bytes: Uint8Array): Result<RefusalCode> {
  return parseFields('strategy_ended', bytes, MAX_STRATEGY_OUT_BYTES, (fields) => {
    const text = fields.text(1, 64);
    return isRefusalCode(text) ? text : fields.refuse(1);
  });
}
