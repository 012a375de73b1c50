// FILL, to a strategy process: a report and the signal that it is about. The strategy knows its signals
// by their ids, the report names the leaf of the output; who knows the log puts the two together.
//
//   {1: leaf index of the report, 2: report bytes, 3: id of the signal in the report's output leaf}

import { encodeMap } from './cbor.ts';

export interface StrategyFill {
  readonly leafIndex: number;
  /** As `parseReport` reads it. */
  readonly report: Uint8Array;
  readonly signal: number;
}

export function encodeStrategyFill(fill: StrategyFill): Uint8Array {
  return encodeMap([1, fill.leafIndex], [2, fill.report], [3, fill.signal]);
}
