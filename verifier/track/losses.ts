// Statements that a record says were lost: the enclave signed them, the database of its host had them no more, or there was
// none, and the chain went on behind a revocation. Nobody can hide that, and nobody can tell from the file what they said.
// A log that is given shows how many leaves can have held them; who has an older file holds them still.

import { KIND, parseLeaf } from '../../wire/leaf.ts';
import type { LostRange } from '../../wire/track/revocation.ts';
import type { ResidualRisk } from '../residual-risks.ts';

export interface LeafPlace {
  readonly origin: string;
  readonly leafIndex: number;
}

export interface Loss {
  /** Of the revocation. */
  readonly counter: number;
  readonly lost: LostRange;
  readonly reason: string;
  readonly atMs: number;
  /** Of the lost statements, how many the file has all the same. */
  readonly present: number;
  /** Of the last statement before them; null: there is none. */
  readonly after: LeafPlace | null;
  /** Of the revocation. */
  readonly before: LeafPlace;
}

/** By the revocation's counter: leaves of results that lie where the lost statements were, and are of no statement here. */
export type LossLeaves = ReadonlyMap<number, number>;

/** Looks for lost statements among the leaves of one epoch, which come in their order. */
export class LossSearch {
  readonly #spans: readonly { counter: number; from: number; to: number }[];
  readonly #known: ReadonlySet<number>;
  readonly #found: Map<number, number>;

  /** `known`: leaves of statements that the file has. Counts into `found`. */
  constructor(
    losses: readonly Loss[],
    origin: string,
    known: ReadonlySet<number>,
    found: Map<number, number>,
  ) {
    this.#known = known;
    this.#found = found;
    this.#spans = losses
      .filter(({ after, before }) => before.origin === origin || after?.origin === origin)
      .map(({ counter, after, before }) => ({
        counter,
        from: after?.origin === origin ? after.leafIndex + 1 : 0,
        to: before.origin === origin ? before.leafIndex : Infinity,
      }));
    for (const { counter } of this.#spans) found.set(counter, found.get(counter) ?? 0);
  }

  /** Leaves from the one with this index on. */
  take(first: number, leaves: readonly Uint8Array[]): void {
    if (this.#spans.length === 0) return;
    leaves.forEach((bytes, at) => {
      const index = first + at;
      const spans = this.#spans.filter(({ from, to }) => index >= from && index < to);
      if (spans.length === 0 || this.#known.has(index)) return;
      const leaf = parseLeaf(bytes);
      if (!leaf.ok || leaf.value.kind !== KIND.result) return;
      for (const { counter } of spans)
        this.#found.set(counter, (this.#found.get(counter) ?? 0) + 1);
    });
  }
}

export interface LossJson {
  readonly counter: number;
  readonly from_counter: number;
  readonly to_counter: number;
  readonly reason: string;
  readonly at_ms: number;
  /** Of them, how many the file has. */
  readonly present: number;
  /** Leaves of the log that can have held the others; null: the log was not read. */
  readonly result_leaves: number | null;
}

export function lossJson(loss: Loss, leaves: LossLeaves | null): LossJson {
  const { counter, lost, reason, atMs, present } = loss;
  return {
    counter,
    from_counter: lost.from,
    to_counter: lost.to,
    reason,
    at_ms: atMs,
    present,
    result_leaves: leaves?.get(counter) ?? null,
  };
}

export function lossText(loss: LossJson): string {
  const { from_counter: from, to_counter: to, counter, reason, present } = loss;
  const count = to - from + 1;
  const here = present === 0 ? 'none of them is here' : `${present} of them are here`;
  const leaves = loss.result_leaves;
  const looked = leaves === null ? '' : `; in the log ${leaves} leaves can have held the others`;
  return `${count} statements, ${from} to ${to}, taken back by ${counter} (${reason}, ${new Date(loss.at_ms).toISOString()}): ${here}${looked}`;
}

/** Nothing where nothing was lost. */
export function lossRisks(losses: readonly Pick<Loss, 'lost'>[]): readonly ResidualRisk[] {
  if (losses.length === 0) return [];
  const ranges = losses.map(({ lost }) => `${lost.from} to ${lost.to}`).join(', ');
  const sentence = `have made the enclave lose statements ${ranges} because of what they said: ask for an older file that has them`;
  return [{ risk: 'lost_statements', sentence }];
}
