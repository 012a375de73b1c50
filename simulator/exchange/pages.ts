// Pages of a history, for venues that answer the newest first and hand out a cursor for what is older. A cursor
// names the last record told, so that records which arrive meanwhile move nothing.

export interface Kept {
  readonly timeMs: number;
  readonly number: number;
}

export interface Page<T> {
  readonly records: readonly T[];
  /** Empty when there is nothing older. */
  readonly cursor: string;
}

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

export function within<T extends Kept>(
  records: readonly T[],
  { startMs, endMs }: Window,
): readonly T[] {
  return records.filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs);
}

function byAge(left: Kept, right: Kept): number {
  return right.timeMs - left.timeMs || right.number - left.number;
}

export function newestFirst<T extends Kept>(records: readonly T[]): readonly T[] {
  return records.toSorted(byAge);
}

export function oldestFirst<T extends Kept>(records: readonly T[]): readonly T[] {
  return records.toSorted((left, right) => byAge(right, left));
}

/** Null where the cursor is none of ours. */
export function pageOf<T extends Kept>(
  records: readonly T[],
  limit: number,
  cursor: string | null,
): Page<T> | null {
  const sorted = newestFirst(records);
  let from = 0;
  if (cursor !== null && cursor !== '') {
    const [time, number] = decodeURIComponent(cursor).split(':').map(Number);
    if (time === undefined || number === undefined || Number.isNaN(time + number)) return null;
    const last = { timeMs: time, number };
    const at = sorted.findIndex((record) => byAge(last, record) < 0);
    from = at < 0 ? sorted.length : at;
  }
  const page = sorted.slice(from, from + limit);
  const last = page.at(-1);
  const isEnd = last === undefined || from + limit >= sorted.length;
  return { records: page, cursor: isEnd ? '' : `${String(last.timeMs)}%3A${String(last.number)}` };
}
