// Logged outputs against replayed ones, byte for byte, in their order; and what may be missing at the end
// of a log. A log can stop before the strategy does: the enclave was killed, or the strategy was. It can
// never have an output that the replay does not give.

import { equalBytes } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Signal } from '../../wire/payloads.ts';
import { parseSignal } from '../../wire/payloads.ts';

export interface LoggedOutput {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export interface ReplayedOutput {
  /** Leaf index of the batch that it answers. */
  readonly input: number;
  readonly bytes: Uint8Array;
}

export interface Difference {
  /** Number of the output within the strategy's outputs, from 0. */
  readonly output: number;
  readonly logged: LoggedOutput | null;
  readonly replayed: ReplayedOutput | null;
}

/** How the log ends, for this strategy. */
export interface LogEnd {
  readonly closed: boolean;
  readonly ended: RefusalCode | null;
}

/** Ends that depend on the machine: on time, memory or a kill. */
const BY_CHANCE: ReadonlySet<RefusalCode> = new Set(['strategy_over_budget', 'strategy_crashed']);

export class Comparison {
  readonly #logged: LoggedOutput[] = [];
  readonly #replayed: ReplayedOutput[] = [];
  #identical = 0;
  #difference: Difference | null = null;

  /** Outputs that are equal so far. */
  get identical(): number {
    return this.#identical;
  }

  get difference(): Difference | null {
    return this.#difference;
  }

  /** Replayed outputs that the log does not have. */
  get notLogged(): number {
    return this.#replayed.length;
  }

  addLogged(output: LoggedOutput): void {
    this.#logged.push(output);
    this.#compare();
  }

  addReplayed(output: ReplayedOutput): void {
    this.#replayed.push(output);
    this.#compare();
  }

  /**
   * After both are complete: can an honest log and this strategy have come to this? Where chance decided
   * the end, the log may stop before the replay does.
   */
  finish({ closed, ended }: LogEnd, replayEnded: RefusalCode | null): boolean {
    if (this.#difference !== null) return false;
    const [logged] = this.#logged;
    const [replayed] = this.#replayed;
    const byChance = ended === null ? !closed : BY_CHANCE.has(ended);
    if (logged !== undefined || (replayed !== undefined && !byChance)) {
      this.#differ(logged ?? null, replayed ?? null);
      return false;
    }
    return byChance || ended === replayEnded;
  }

  #compare(): void {
    if (this.#difference !== null) return;
    const [logged] = this.#logged;
    const [replayed] = this.#replayed;
    if (logged === undefined || replayed === undefined) return;
    if (!equalBytes(logged.bytes, replayed.bytes)) {
      this.#differ(logged, replayed);
      return;
    }
    this.#identical++;
    this.#logged.shift();
    this.#replayed.shift();
  }

  #differ(logged: LoggedOutput | null, replayed: ReplayedOutput | null): void {
    this.#difference = { output: this.#identical, logged, replayed };
  }
}

/** A signal for people and JSON; null for bytes that are none. */
export function describeSignal(bytes: Uint8Array): Record<string, unknown> | null {
  const parsed = parseSignal(bytes);
  if (!parsed.ok) return null;
  const { decisionNs, ...signal }: Signal = parsed.value;
  return { ...signal, decisionNs: String(decisionNs) };
}
