// The life of each strategy in the log: started, seeded, outputs, ended. An output before the seed or
// after the end could not be replayed, so no honest enclave logs one.

import type { Kind } from '../leaf.ts';
import { KIND } from '../leaf.ts';
import type { StrategyEvent } from '../enclave-payloads.ts';
import { STRATEGY_EVENT } from '../enclave-payloads.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

interface Life {
  started: boolean;
  seeded: boolean;
  ended: boolean;
  outputs: number;
}

export class StrategyOrder {
  readonly #lives = new Map<number, Life>();

  /** A leaf of a strategy's stream; `event` for the kind strategy_event. */
  add(index: number, stream: number, kind: Kind, event: StrategyEvent | null): Result<null> {
    const life = this.#life(stream);
    const refusal = refuse('leaf_misplaced', { index, kind, stream });
    if (life.ended) return refusal;
    if (event !== null) {
      const isStart = event.event === STRATEGY_EVENT.started;
      if (isStart && (life.started || event.code !== null)) return refusal;
      if (isStart) life.started = true;
      else life.ended = true;
    } else if (kind === KIND.seed) {
      if (life.seeded || life.outputs > 0) return refusal;
      life.seeded = true;
    } else {
      if (!life.started || !life.seeded) return refusal;
      life.outputs++;
    }
    return accept(null);
  }

  /** Outputs of the stream so far: the next signal's id. */
  outputs(stream: number): number {
    return this.#life(stream).outputs;
  }

  #life(stream: number): Life {
    const known = this.#lives.get(stream);
    if (known !== undefined) return known;
    const fresh: Life = { started: false, seeded: false, ended: false, outputs: 0 };
    this.#lives.set(stream, fresh);
    return fresh;
  }
}
