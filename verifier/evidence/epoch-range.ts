// What a manifest says of other epochs: one evidence file is about one epoch, and a restart in the middle of
// the range must not go unnoticed. It is the word of whoever made the file, unless the range lies between two
// leaves of its own epoch. Its command lines follow from its numbers, so that a file cannot bring its own.

import { isoOfNs } from '../log/payload.ts';

/** An epoch whose leaves may be of the range. */
export interface TouchedEpoch {
  readonly epoch: number;
  /** Of leaf 0 and of the last leaf, nanoseconds; null where it could not be read. */
  readonly first_ns: string | null;
  readonly last_ns: string | null;
  /** What pulls the same range of that epoch. */
  readonly command: string;
}

export interface OtherEpochs {
  /** `all` that the source lists; `neighbours` where it cannot list. */
  readonly looked: 'all' | 'neighbours';
  readonly touched: readonly TouchedEpoch[];
  /** Numbers, ends included, of epochs that are not there or not readable, and could be of the range. */
  readonly missing: readonly { readonly first: number; readonly last: number }[];
}

export interface TimeRange {
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

export const MAX_OTHER_EPOCHS = 10_000;

/** In a manifest: no address of the maker, and the same for the same log. */
export function pullCommand(epoch: number, { fromNs, toNs }: TimeRange): string {
  const range = `--from ${isoOfNs(fromNs)} --to ${isoOfNs(toNs)}`;
  return `trackseal log pull SOURCE --epoch ${epoch} ${range} -o epoch-${epoch}.zip`;
}

/** Null times are not known: such an epoch may be of any time. */
export function overlaps(
  { firstNs, lastNs }: { readonly firstNs: bigint | null; readonly lastNs: bigint | null },
  { fromNs, toNs }: TimeRange,
): boolean {
  return (firstNs === null || firstNs <= toNs) && (lastNs === null || lastNs >= fromNs);
}

function bigintOf(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}

/** Whether all of it fits together, and is about other epochs than `epoch`. */
export function isConsistent(
  { touched, missing }: OtherEpochs,
  epoch: number,
  range: TimeRange,
): boolean {
  const known = touched.every(
    (one, at) =>
      one.epoch !== epoch &&
      one.epoch > (touched[at - 1]?.epoch ?? 0) &&
      one.command === pullCommand(one.epoch, range) &&
      overlaps({ firstNs: bigintOf(one.first_ns), lastNs: bigintOf(one.last_ns) }, range),
  );
  const isMissing = (number: number): boolean =>
    missing.some(({ first, last }) => number >= first && number <= last);
  const runs = missing.every(
    ({ first, last }, at) => first <= last && first > (missing[at - 1]?.last ?? 0),
  );
  return known && runs && !isMissing(epoch) && !touched.some((one) => isMissing(one.epoch));
}
