// Statements that a record says were lost: the enclave signed them, the database of its host had them no more, or there was
// none, and the chain went on behind a revocation. Nobody can hide that, and nobody can tell from the file what they said.
// A log that is given shows how many leaves can have held them; who has an older file holds them still.

import { originOf, parseOrigin } from '../../wire/header.ts';
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

export interface FoundLeaves {
  /** Leaves of results that lie where the lost statements were, and are of no statement here. */
  readonly count: number;
  /** False: an epoch that can have signed some of them was not read. */
  readonly allEpochs: boolean;
}

/** By the revocation's counter. */
export type LossLeaves = ReadonlyMap<number, FoundLeaves>;

/** Whether an epoch can have signed some of what was lost. */
function mayHave({ after, before }: Loss, origin: string): boolean {
  if (origin === before.origin || origin === after?.origin) return true;
  const [epoch, first, last] = [origin, after?.origin ?? '', before.origin].map(parseOrigin);
  if (epoch?.logId === undefined || epoch.logId !== last?.logId) return false;
  const isBehind = after === null || (first?.logId === epoch.logId && first.epoch < epoch.epoch);
  return isBehind && epoch.epoch < last.epoch;
}

/** Every epoch from the last statement before to the revocation; without one before, from the first of the log. */
function isAllRead({ after, before }: Loss, read: ReadonlySet<string>): boolean {
  const last = parseOrigin(before.origin);
  const first = after === null ? null : parseOrigin(after.origin);
  if (last === null || (first !== null && first.logId !== last.logId)) return false;
  for (let epoch = first?.epoch ?? 1; epoch <= last.epoch; epoch++) {
    if (!read.has(originOf(last.logId, epoch))) return false;
  }
  return true;
}

/** `read`: origins of the epochs that `found` was counted in. */
export function lossLeaves(
  losses: readonly Loss[],
  found: ReadonlyMap<number, number>,
  read: ReadonlySet<string>,
): LossLeaves {
  return new Map(
    losses.map((loss) => {
      const count = found.get(loss.counter) ?? 0;
      return [loss.counter, { count, allEpochs: isAllRead(loss, read) }];
    }),
  );
}

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
      .filter((loss) => mayHave(loss, origin))
      .map(({ counter, after, before }) => ({
        counter,
        from: after?.origin === origin ? after.leafIndex + 1 : 0,
        to: before.origin === origin ? before.leafIndex : Infinity,
      }));
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
  /** False: epochs of which the file has nothing were not read, and there may be more. Null: as above. */
  readonly all_epochs: boolean | null;
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
    result_leaves: leaves?.get(counter)?.count ?? null,
    all_epochs: leaves?.get(counter)?.allEpochs ?? null,
  };
}

export function lossText(loss: LossJson): string {
  const { from_counter: from, to_counter: to, counter, reason, present } = loss;
  const count = to - from + 1;
  const here = present === 0 ? 'none of them is here' : `${present} of them are here`;
  const leaves = loss.result_leaves;
  const more = loss.all_epochs === false ? ', and more in epochs that were not read' : '';
  const looked =
    leaves === null ? '' : `; in the log ${leaves} leaves can have held the others${more}`;
  return `${count} statements, ${from} to ${to}, taken back by ${counter} (${reason}, ${new Date(loss.at_ms).toISOString()}): ${here}${looked}`;
}

/** Nothing where nothing was lost. */
export function lossRisks(losses: readonly Pick<Loss, 'lost'>[]): readonly ResidualRisk[] {
  if (losses.length === 0) return [];
  const ranges = losses.map(({ lost }) => `${lost.from} to ${lost.to}`).join(', ');
  const sentence = `have made the enclave lose statements ${ranges} because of what they said: ask for an older file that has them`;
  return [{ risk: 'lost_statements', sentence }];
}
