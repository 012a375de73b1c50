// Messages between the enclave's core and a strategy process (docs/PROTOCOL.md 11), the core's half: what the process
// sends is hostile. The half of the process is in strategy-messages.ts.

import { concatBytes } from './bytes.ts';
import { cborMap, encodeCborHead, encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import type { Instrument } from './configuration.ts';
import { parseFields } from './fields.ts';
import { MAX_OUTPUTS_PER_BATCH, MAX_OUTPUT_BYTES, MAX_STRATEGY_OUT_BYTES } from './limits.ts';
import type { Result } from './result.ts';

const MAX_INSTRUMENTS = 1024;

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
      start.instruments.map((instrument) =>
        cborMap(
          [1, instrument.id],
          [2, instrument.venue],
          [3, instrument.symbol],
          [4, instrument.market],
          [5, instrument.price_scale],
          [6, instrument.quantity_scale],
          [7, instrument.sequence_rule],
        ),
      ),
    ],
    [6, start.stream],
  );
}

/** INPUT (a batch) and FILL (a report) have the same form: the leaf's index and its plaintext. */
export interface StrategyInput {
  readonly leafIndex: number;
  readonly bytes: Uint8Array;
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

export function parseStrategyOutputs(bytes: Uint8Array): Result<StrategyOutputs> {
  return parseFields('strategy_outputs', bytes, MAX_STRATEGY_OUT_BYTES, (fields) => ({
    leafIndex: fields.uint(1),
    outputs: fields.byteStrings(2, MAX_OUTPUTS_PER_BATCH, 1, MAX_OUTPUT_BYTES),
  }));
}

export function parseStrategyEnded(bytes: Uint8Array): Result<RefusalCode> {
  return parseFields('strategy_ended', bytes, MAX_STRATEGY_OUT_BYTES, (fields) => {
    const text = fields.text(1, 64);
    return isEnclaveCode(text) ? text : fields.refuse(1);
  });
}
