// An account's state as bytes for the vault: deterministic CBOR, bound to the account's commitment. It comes back through
// the host, opened by the vault; what is malformed or of another account is not taken, and the account begins anew.
// Balances and positions are not in it: they are of a moment, and the next poll asks for them.
//
//   {1: version, 2: commitment, 3: observed since ms, 4: period start ms, 5: as of ms or null, 6: cursors or null, 7: last slot ms or
//    null, 8: [scheduled, complete, partial, failed, missed], 9: [gap], 10: a gap is open, 11: [stream], 12: [trades, matched,
//    unvalued, late], 13: [sums] as SUMS, 14: [hour], 15: [host, SPKI hash]…, 16: [seen] as COUNTED_KINDS, 17: overflowed,
//    18: {1: counter, 2: hash} of the chain's head, or null, 19: {1: read again from ms, 2: heard}, or null}

import { parseHex, toHex } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import type { Fields } from '../../wire/fields.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import { MAX_LOST_COUNTER } from '../../wire/track/signing.ts';
import { MAX_CURSOR_BYTES } from '../connector/job.ts';
import { AccountState, HOUR_MS, HOURS_KEPT, MAX_HOSTS } from './account-state.ts';
import type { Stream } from './coverage.ts';
import { MAX_GAPS, MAX_SPANS, MAX_STREAMS } from './coverage.ts';
import { COUNTED_KINDS, SUMS } from './poll-records.ts';
import { MAX_SEEN_BYTES, Seen } from './seen.ts';
import { MAX_CURRENCIES } from './sums.ts';
import type { Sums } from './sums.ts';

const VERSION = 1;
/** Of a vault record, without what the vault adds. */
export const MAX_STATE_BYTES: number = 250 * 1024;
const MAX_NAME = 64;

const map = (...values: readonly CborValue[]): CborValue =>
  new Map<number, CborValue>(values.map((value, index) => [index + 1, value]));
const sumsToCbor = (sums: Sums): CborValue => sums.toPairs();

/** Null when it is too large: then the state before stays what a restart goes on from. */
export function encodeAccountState(state: AccountState, commitment: Uint8Array): Uint8Array | null {
  const { polls, totals, gaps } = state;
  const bytes = encodeCbor(
    map(
      VERSION,
      commitment,
      state.observedSinceMs,
      state.periodStartMs,
      state.asOfMs,
      state.cursors,
      state.lastSlotMs,
      [polls.scheduled, polls.complete, polls.partial, polls.failed, polls.missed],
      gaps.rows.map((gap) => map(gap.from_ms, gap.to_ms, gap.reason)),
      gaps.isOpen,
      state.coverage.streams.map(({ what, market, spans, last }) =>
        map(
          what,
          market,
          spans.flatMap(({ fromMs, toMs }) => [fromMs, toMs]),
          last.toMs,
          last.complete,
          last.reason,
        ),
      ),
      [totals.trades, totals.matchedTrades, totals.unvalued, totals.late],
      SUMS.map((name) => sumsToCbor(totals[name])),
      [...totals.hours].map(([start, hour]) =>
        map(start, hour.trades, hour.overflowed, sumsToCbor(hour.volume), sumsToCbor(hour.fees)),
      ),
      [...state.hosts].map(([host, hash]) => map(host, parseHex(hash))),
      COUNTED_KINDS.map((kind) => map(state.seen[kind].floorMs, state.seen[kind].encode())),
      state.overflowed,
      state.head === null ? null : map(state.head.counter, state.head.hash),
      state.again === null ? null : map(state.again.fromMs, state.again.isHeard),
    ),
  );
  return bytes.length > MAX_STATE_BYTES ? null : bytes;
}

function readSums(fields: Fields, field: number, value: CborValue, into: Sums): void {
  if (!Array.isArray(value) || value.length > MAX_CURRENCIES) return fields.refuse(field);
  const pairs = (value as readonly CborValue[]).map((pair): readonly [string, string] => {
    if (!Array.isArray(pair) || pair.length !== 2) return fields.refuse(field);
    const [currency, amount] = pair as readonly CborValue[];
    return typeof currency === 'string' && typeof amount === 'string'
      ? [currency, amount]
      : fields.refuse(field);
  });
  if (!into.addPairs(pairs)) fields.refuse(field);
}

function readStream(fields: Fields): Stream {
  const edges = fields.uints(3, 2 * MAX_SPANS);
  const spans: { fromMs: number; toMs: number }[] = [];
  for (let at = 0; at < edges.length; at += 2) {
    spans.push({ fromMs: edges[at] ?? 0, toMs: edges[at + 1] ?? fields.refuse(3) });
  }
  return {
    what: fields.text(1, MAX_NAME),
    market: fields.text(2, MAX_NAME),
    spans,
    last: {
      toMs: fields.uint(4),
      complete: fields.bool(5),
      reason: fields.textOrNull(6, MAX_NAME),
    },
  };
}

function readTotals(fields: Fields, state: AccountState): void {
  const { totals } = state;
  const [trades, matched, unvalued, late] = fields.uints(12, 4);
  totals.trades = trades ?? 0;
  totals.matchedTrades = matched ?? 0;
  totals.unvalued = unvalued ?? 0;
  totals.late = late ?? fields.refuse(12);
  const sums = fields.array(13, SUMS.length);
  SUMS.forEach((name, at) => {
    readSums(fields, 13, sums[at] ?? null, totals[name]);
  });
  fields.maps(14, 2 * HOURS_KEPT, (hour) => {
    const start = hour.uint(1);
    // Not one that another would be taken for.
    if (start % HOUR_MS !== 0 || totals.hours.has(start)) hour.refuse(1);
    const own = totals.hour(start);
    own.trades = hour.uint(2);
    own.overflowed = hour.bool(3);
    readSums(hour, 4, hour.take(4), own.volume);
    readSums(hour, 5, hour.take(5), own.fees);
  });
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseAccountState(bytes: Uint8Array, commitment: Uint8Array): Result<AccountState> {
  return parseFields('account_state', bytes, MAX_STATE_BYTES, (fields) => {
    fields.uint(1, VERSION, VERSION);
    if (toHex(fields.bytes(2, 32)) !== toHex(commitment)) fields.refuse(2);
    const state = new AccountState(fields.uint(3), fields.uint(4));
    state.asOfMs = fields.uintOrNull(5);
    // A copy: the rest of the bytes is not kept for it.
    state.cursors = fields.bytesOrNull(6, 1, MAX_CURSOR_BYTES)?.slice() ?? null;
    state.lastSlotMs = fields.uintOrNull(7);
    const [scheduled, complete, partial, failed, missed] = fields.uints(8, 5);
    Object.assign(state.polls, { scheduled, complete, partial, failed });
    state.polls.missed = missed ?? fields.refuse(8);
    const gaps = fields.maps(9, MAX_GAPS + 1, (gap) => ({
      from_ms: gap.uint(1),
      to_ms: gap.uint(2),
      reason: gap.text(3, MAX_NAME),
    }));
    state.gaps.restore(gaps, fields.bool(10));
    for (const stream of fields.maps(11, MAX_STREAMS, readStream)) state.coverage.restore(stream);
    readTotals(fields, state);
    fields.maps(15, MAX_HOSTS, (host) => {
      state.hosts.set(host.text(1, 253), toHex(host.bytes(2, 32)));
    });
    const seen = fields.maps(
      16,
      COUNTED_KINDS.length,
      (kind) => Seen.parse(kind.bytes(2, 0, MAX_SEEN_BYTES), kind.uint(1)) ?? kind.refuse(2),
    );
    COUNTED_KINDS.forEach((kind, at) => {
      state.seen[kind] = seen[at] ?? fields.refuse(16);
    });
    state.overflowed = fields.bool(17);
    // States of before had none.
    if (fields.has(18)) {
      state.head = fields.mapOrNull(18, (head) => ({
        counter: head.uint(1, MAX_LOST_COUNTER, 1),
        hash: head.bytes(2, 32).slice(),
      }));
    }
    if (fields.has(19)) {
      state.again = fields.mapOrNull(19, (again) => ({
        fromMs: again.uint(1),
        isHeard: again.bool(2),
      }));
    }
    return state;
  });
}
