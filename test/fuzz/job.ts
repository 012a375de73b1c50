// What a worker is told and what it says.

import type { EngineResult } from './engine.ts';
import type { Plant } from './plant.ts';

export interface Job {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  readonly corpus: readonly Uint8Array[];
  readonly batchInputs: number;
  readonly first: boolean;
  readonly windowInputs: number;
  /** The file that holds the input in work: u32 number | u32 length | input. */
  readonly slot: string;
  readonly plant: Plant | null;
  /** Only the given corpus, nothing of the target's own. */
  readonly only: boolean;
  /** Also answers the smallest part of the corpus that reaches as much. */
  readonly distil: boolean;
}

export type Message =
  | { readonly type: 'progress'; readonly done: number; readonly corpus: number }
  | { readonly type: 'result'; readonly result: EngineResult };

export const SLOT_HEAD_BYTES = 8;
