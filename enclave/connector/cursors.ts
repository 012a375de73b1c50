// How far each source of an account came: opaque to the desk, kept by it between jobs. It comes back through the
// host's disk, sealed; what does not parse is dropped, and everything is asked for again from the job's start. A job that
// reads again goes back in each source, and forgets none: what the account has had, nothing else tells.
//
//   {1: version 1, 2: [{1: key, 2: done to, ms, 3: mark or null, 4: ids, 5: ids from, ms, 6: pending from, ms, or
//    null}], 3: [symbol], 4: [[asset, total]]}       ids: 8 bytes each of SHA-256 over kind and id

import { createHash } from 'node:crypto';
import { concatBytes, toHex } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Reads } from './job.ts';
import { MAX_CURSOR_BYTES } from './job.ts';
import { mapOf, MAX_TIME_MS } from './records.ts';

const DAY_MS = 86_400_000;
const MAX_SOURCES = 600;
const ID_BYTES = 8;
const MAX_IDS_OF_SOURCE = 1000;
/** Below MAX_CURSOR_BYTES less 600 sources, symbols and balances. */
const MAX_IDS = 2500;
export const MAX_SEEN_SYMBOLS = 400;
const MAX_ASSETS = 400;

export interface SourceCursor {
  doneToMs: number;
  /** Of the source itself, such as the last trade's id. */
  mark: string | null;
  /** Hashed ids of what was emitted with a time from `idsFromMs` on, with their times. */
  ids: Map<string, number>;
  /** Nothing before it may be asked for again: its ids were let go. */
  idsFromMs: number;
  /** The oldest record that was not final. */
  pendingFromMs: number | null;
}

export interface Cursors {
  readonly sources: Map<string, SourceCursor>;
  readonly symbols: Set<string>;
  /** Totals of the last balances, by asset. */
  readonly totals: Map<string, string>;
}

export function emptyCursors(): Cursors {
  return { sources: new Map(), symbols: new Set(), totals: new Map() };
}

export function hashId(kind: string, id: string): string {
  const digest = createHash('sha256').update(`${kind}\0${id}`).digest();
  return toHex(digest.subarray(0, ID_BYTES));
}

/** Lets go of ids that overlap will not ask for again, and of the oldest where there are too many. */
function trimIds(cursor: SourceCursor, maximum: number): void {
  const sorted = [...cursor.ids].sort(([, a], [, b]) => b - a);
  const kept = sorted.slice(0, maximum);
  const firstLost = sorted[maximum];
  cursor.ids = new Map(kept);
  if (firstLost === undefined) return;
  // Never past what has to be asked for again; what comes twice for it is counted once, by the desk.
  const { idsFromMs, doneToMs, pendingFromMs } = cursor;
  const lostToMs = Math.min(firstLost[1] + 1, doneToMs, pendingFromMs ?? doneToMs);
  cursor.idsFromMs = Math.max(idsFromMs, lostToMs);
}

function idsOf(cursor: SourceCursor): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [id, timeMs] of cursor.ids) {
    const entry = new Uint8Array(ID_BYTES + 8);
    entry.set(Buffer.from(id, 'hex'));
    new DataView(entry.buffer).setBigUint64(ID_BYTES, BigInt(timeMs));
    parts.push(entry);
  }
  return concatBytes(...parts);
}

function readIds(bytes: Uint8Array): Map<string, number> {
  const ids = new Map<string, number>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset + ID_BYTES + 8 <= bytes.length; offset += ID_BYTES + 8) {
    const id = toHex(bytes.subarray(offset, offset + ID_BYTES));
    ids.set(id, Number(view.getBigUint64(offset + ID_BYTES)));
  }
  return ids;
}

function encodeWith(cursors: Cursors, idsOfSource: number): Uint8Array {
  const sources: CborValue[] = [];
  for (const [key, cursor] of [...cursors.sources].slice(0, MAX_SOURCES)) {
    trimIds(cursor, idsOfSource);
    const { doneToMs, mark, idsFromMs, pendingFromMs } = cursor;
    sources.push(mapOf([key, doneToMs, mark, idsOf(cursor), idsFromMs, pendingFromMs]));
  }
  const symbols = [...cursors.symbols].slice(0, MAX_SEEN_SYMBOLS);
  const totals = [...cursors.totals].slice(0, MAX_ASSETS).map(([asset, total]) => [asset, total]);
  return encodeCbor(mapOf([1, sources, symbols, totals]));
}

/** At most MAX_CURSOR_BYTES: the more sources, the fewer ids each may keep. */
export function encodeCursors(cursors: Cursors): Uint8Array {
  const busy = [...cursors.sources.values()].filter(({ ids }) => ids.size > 0).length;
  let most = Math.min(MAX_IDS_OF_SOURCE, Math.floor(MAX_IDS / Math.max(busy, 1)));
  for (;;) {
    const bytes = encodeWith(cursors, most);
    if (bytes.length <= MAX_CURSOR_BYTES) return bytes;
    if (most === 0) return encodeCbor(mapOf([1, [], [], []]));
    most = Math.floor(most / 2);
  }
}

/** Of a query's answer as a whole, and before the name of an account that a statement is of: `flex/U1234567`. */
export const ASKED_KEY = 'flex';
export const ACCOUNT_KEY = 'flex/';
/** Marks: an account that is not waited for any more, and, before a time in ms, one that is not told again yet. */
export const ENDED_MARK = 'ended';
const TOLD_MARK = 'told ';

/** Until when an account was told to somebody, if not to whom it is told now. */
export function toldMsOf({ doneToMs, mark }: SourceCursor): number {
  return mark?.startsWith(TOLD_MARK) === true ? Number(mark.slice(TOLD_MARK.length)) : doneToMs;
}

/** Every source that there was begins at `fromMs` again, or where it is if that is earlier; what is waited for may be older. */
export function rewindCursors(cursors: Cursors, reads: Reads, fromMs: number): Cursors {
  if (reads === 'on') return cursors;
  const { sources, symbols } = cursors;
  const rewound: Cursors = { sources: new Map(), symbols, totals: new Map() };
  // None has the total that it had.
  for (const asset of cursors.totals.keys()) rewound.totals.set(asset, '');
  for (const [key, cursor] of sources) {
    // When it was asked for last says nothing of what it has.
    if (key === ASKED_KEY) continue;
    const startMs = Math.min(fromMs, cursor.doneToMs);
    const isAccount = key.startsWith(ACCOUNT_KEY);
    rewound.sources.set(key, {
      ...cursor,
      doneToMs: isAccount && reads === 'again' ? cursor.doneToMs : startMs,
      mark: isAccount ? markOf(cursor) : null,
      ids: new Map(),
      idsFromMs: dayOf(Math.min(startMs, cursor.pendingFromMs ?? startMs)),
    });
  }
  return rewound;
}

function dayOf(timeMs: number): number {
  return timeMs - (timeMs % DAY_MS);
}

function markOf(cursor: SourceCursor): string {
  return cursor.mark === ENDED_MARK ? ENDED_MARK : `${TOLD_MARK}${toldMsOf(cursor)}`;
}

export function parseCursors(bytes: Uint8Array | null): Cursors {
  const cursors = emptyCursors();
  if (bytes === null) return cursors;
  const parsed = parseFields('cursors', bytes, MAX_CURSOR_BYTES, (fields) => {
    fields.uint(1, 1, 1);
    const sources = fields.maps(2, MAX_SOURCES, (source) => ({
      key: source.text(1, 128),
      doneToMs: source.uint(2, MAX_TIME_MS),
      mark: source.textOrNull(3, 256),
      ids: readIds(source.bytes(4, 0, MAX_CURSOR_BYTES)),
      idsFromMs: source.uint(5, MAX_TIME_MS),
      pendingFromMs: source.uintOrNull(6, MAX_TIME_MS),
    }));
    for (const { key, ...cursor } of sources) cursors.sources.set(key, cursor);
    for (const symbol of fields.texts(3, MAX_SEEN_SYMBOLS, 64)) cursors.symbols.add(symbol);
    for (const pair of fields.array(4, MAX_ASSETS)) {
      const [asset, total] = Array.isArray(pair) ? (pair as unknown[]) : [];
      if (typeof asset === 'string' && typeof total === 'string') cursors.totals.set(asset, total);
    }
  });
  return parsed.ok ? cursors : emptyCursors();
}
