import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { checkChain } from '../../../wire/track/chain.ts';
import { originOf } from '../../../wire/header.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import { parseRevocationStatement } from '../../../wire/track/revocation.ts';
import { MAX_LOST_COUNTER } from '../../../wire/track/signing.ts';
import { encodeTrackStatement } from '../../../wire/track/statement.ts';
import type { Place } from '../../vectors/track.ts';
import {
  ACCOUNT,
  Chain,
  gapAt,
  HOUR,
  hourAt,
  snapshotAt,
  vectorChain,
} from '../../vectors/track.ts';

function chainOf(...places: readonly Place[]): readonly Uint8Array[] {
  const chain = new Chain();
  for (const place of places) chain.link(place);
  return chain.statements;
}

function hours(count: number): Place[] {
  return Array.from({ length: count }, (_, at) => hourAt(HOUR + at * HOUR_MS));
}

function codeOf(statements: readonly Uint8Array[]): string {
  const checked = checkChain(nodeCrypto, statements);
  return checked.ok ? 'accepted' : checked.refusal.code;
}

function correction(startMs: number, counter: number): Place {
  return hourAt(startMs, { supersedes: { counter, reason: 'late_data' } });
}

const END: Extract<Place, { kind: 'revocation' }> = {
  kind: 'revocation',
  lost: null,
  reason: 'removed',
  atMs: HOUR,
};

function lost(from: number, to: number): typeof END {
  return { ...END, lost: { from, to }, reason: 'store_lost' };
}

/** What holds, for each of the first hours and days. */
function holding(statements: readonly Uint8Array[]): unknown {
  const chain = assertAccepted(checkChain(nodeCrypto, statements));
  const at = Array.from({ length: 60 }, (_, index) => HOUR + index * HOUR_MS);
  return {
    head: chain.head,
    ended: chain.ended,
    last: [chain.lastHourMs, chain.lastSnapshotMs],
    hours: at.map((startMs) => chain.effective('hour', startMs)),
    days: at.map((atMs) => chain.effective('snapshot', atMs)),
  };
}

describe('checkChain', () => {
  it('accepts hours, gaps, snapshots, corrections and revocations, and knows what holds', () => {
    const { statements } = vectorChain();
    const chain = assertAccepted(checkChain(nodeCrypto, statements, ACCOUNT));
    expect(chain.head).toEqual({
      counter: 6,
      hash: nodeCrypto.sha256(statements.at(-1) ?? new Uint8Array()),
    });
    expect(chain.ended).toBe(true);
    // The correction was lost: what it corrected holds again.
    expect(chain.effective('hour', HOUR)).toBe(1);
    expect(chain.effective('hour', HOUR + HOUR_MS)).toBe(3);
    expect(chain.effective('snapshot', HOUR + HOUR_MS)).toBe(2);
    expect(chain.effective('hour', HOUR + 2 * HOUR_MS)).toBeNull();
    expect(chain.lastHourMs).toBe(HOUR + HOUR_MS);
  });

  it('accepts nothing at all: a record that has not begun', () => {
    const chain = assertAccepted(checkChain(nodeCrypto, []));
    expect(chain.head).toEqual({ counter: 0, hash: null });
  });

  it('finds each single statement that is left out, repeated or moved', () => {
    const all = chainOf(...hours(6));
    expect(codeOf(all)).toBe('accepted');
    for (let at = 0; at < all.length; at++) {
      const without = all.toSpliced(at, 1);
      // The end can be cut off: only who knows the head sees it.
      expect(codeOf(without), `without ${at}`).toBe(at === 5 ? 'accepted' : 'chain_hole');
      const twice = all.toSpliced(at, 0, ...all.slice(at, at + 1));
      expect(codeOf(twice), `${at} twice`).toBe('chain_duplicate');
    }
    expect(codeOf(all.toReversed())).toBe('chain_hole');
  });

  it('finds a second statement at a place', () => {
    const all = chainOf(...hours(3));
    const other = new Chain();
    other.link(hourAt(HOUR));
    const forked = other.link(gapAt(HOUR + HOUR_MS));
    expect(codeOf([...all, forked])).toBe('chain_fork');
  });

  it('finds a statement that was replaced, by the one behind it', () => {
    const all = chainOf(...hours(3));
    const other = chainOf(hourAt(HOUR), gapAt(HOUR + HOUR_MS));
    expect(codeOf([...all.slice(0, 1), ...other.slice(1), ...all.slice(2)])).toBe('chain_previous');
  });

  it.each<readonly [string, Partial<Place>]>([
    ['commitment', { accountCommitment: new Uint8Array(32).fill(9) }],
    ['venue', { venue: 'binance' }],
    ['environment', { environment: 'sandbox' }],
  ])('finds a statement with another %s', (_, other) => {
    const spliced = { ...hourAt(HOUR + HOUR_MS), ...other } as Place;
    expect(codeOf(chainOf(hourAt(HOUR), spliced))).toBe('chain_splice');
    const foreign = chainOf({ ...hourAt(HOUR), ...other } as Place);
    expect(checkChain(nodeCrypto, foreign, ACCOUNT)).toMatchObject({
      refusal: { code: 'chain_splice' },
    });
  });

  it.each<readonly [string, readonly Place[]]>([
    ['an hour left out', [hourAt(HOUR), hourAt(HOUR + 2 * HOUR_MS)]],
    ['an hour stated again', [hourAt(HOUR), hourAt(HOUR)]],
    ['an hour that goes back', [hourAt(HOUR), hourAt(HOUR - HOUR_MS)]],
    ['a snapshot before its hours', [hourAt(HOUR - HOUR_MS), snapshotAt(HOUR + HOUR_MS, 1)]],
    [
      'a day left out',
      [...hours(49), snapshotAt(HOUR + HOUR_MS, 1), snapshotAt(HOUR + HOUR_MS + 2 * DAY_MS, 49)],
    ],
    [
      'an epoch that goes back',
      [
        hourAt(HOUR, { origin: originOf('log.example', 3) }),
        hourAt(HOUR + HOUR_MS, { origin: originOf('log.example', 2) }),
      ],
    ],
    ['an origin that is none', [hourAt(HOUR, { origin: 'elsewhere' })]],
  ])('refuses %s', (_, places) => {
    expect(codeOf(chainOf(...places))).toBe('chain_order');
  });

  it('takes epochs of two logs side by side: an account moves between enclaves', () => {
    const moved = chainOf(
      hourAt(HOUR, { origin: originOf('log.example', 3) }),
      hourAt(HOUR + HOUR_MS, { origin: originOf('other.example', 1) }),
      hourAt(HOUR + 2 * HOUR_MS, { origin: originOf('log.example', 3) }),
    );
    expect(codeOf(moved)).toBe('accepted');
  });

  it('takes one correction of what holds, and no other', () => {
    const two = hours(2);
    const snapshot = snapshotAt(HOUR + HOUR_MS, 1);
    expect(codeOf(chainOf(...two, correction(HOUR, 1)))).toBe('accepted');
    expect(codeOf(chainOf(...two, correction(HOUR, 1), correction(HOUR, 3)))).toBe('accepted');
    for (const [name, places] of Object.entries({
      'of another hour': [...two, correction(HOUR, 2)],
      'of what was corrected before': [...two, correction(HOUR, 1), correction(HOUR, 1)],
      'of an hour that is not there': [...two, correction(HOUR + 2 * HOUR_MS, 2)],
      'of a snapshot': [...two, snapshot, correction(HOUR + HOUR_MS, 3)],
      'of what was lost': [...two, lost(2, 2), correction(HOUR + HOUR_MS, 2)],
    })) {
      expect(codeOf(chainOf(...places)), name).toBe('chain_supersedes');
    }
  });

  it('takes nothing behind the end', () => {
    expect(codeOf(chainOf(...hours(2), END, hourAt(HOUR + 2 * HOUR_MS)))).toBe('chain_ended');
    expect(codeOf(chainOf(...hours(2), END, END))).toBe('chain_ended');
    expect(codeOf(chainOf(...hours(2), END, lost(3, 3)))).toBe('chain_ended');
  });

  it('takes nothing of what it refuses', () => {
    const [first, second] = chainOf(...hours(2));
    if (first === undefined || second === undefined) throw new Error('no chain');
    const chain = assertAccepted(checkChain(nodeCrypto, [first]));
    expect(chain.head.counter).toBe(1);
    const skipped = chainOf(...hours(1), hourAt(HOUR + 2 * HOUR_MS));
    expect(checkChain(nodeCrypto, skipped)).toMatchObject({ refusal: { code: 'chain_order' } });
    expect(checkChain(nodeCrypto, [first, second]).ok).toBe(true);
  });
});

/** 1 to 4 kept, 5 to 7 lost, 8 says so; then the hour of 5 again, and a correction. */
function told(): readonly Uint8Array[] {
  return chainOf(
    ...hours(4),
    hourAt(HOUR + 4 * HOUR_MS),
    correction(HOUR, 1),
    hourAt(HOUR + 5 * HOUR_MS),
    lost(5, 7),
    hourAt(HOUR + 4 * HOUR_MS),
    correction(HOUR + HOUR_MS, 2),
  );
}

describe('statements that were lost', () => {
  it('are a hole where the revocation behind it covers it, and what held before holds', () => {
    const all = told();
    const without = all.toSpliced(4, 3);
    expect(holding(without)).toMatchObject({
      head: { counter: 10 },
      hours: [1, 10, 3, 4, 9, ...Array.from({ length: 55 }, () => null)],
    });
    const chain = assertAccepted(checkChain(nodeCrypto, without));
    expect([4, 5, 7, 8].map((counter) => chain.isLost(counter))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    const [, , , fourth, fifth] = all;
    if (fourth === undefined || fifth === undefined) throw new Error('no chain');
    expect([chain.has(4, fourth), chain.has(5, fifth)]).toEqual([true, false]);
    const hash = nodeCrypto.sha256(fifth);
    expect([3, 4, 5, 8, 11].map((counter) => chain.agrees(counter, hash))).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(chain.agrees(4, nodeCrypto.sha256(fourth))).toBe(true);
  });

  it('count as little where somebody still has them, all or some', () => {
    const all = told();
    const expected = holding(all.toSpliced(4, 3));
    expect(holding(all)).toEqual(expected);
    expect(holding(all.toSpliced(5, 2))).toEqual(expected);
    expect(holding(all.toSpliced(6, 1))).toEqual(expected);
    // From the middle on they do not hang together.
    expect(codeOf(all.toSpliced(4, 1))).toBe('chain_hole');
  });

  it('may be all that there were', () => {
    const all = chainOf(...hours(3), lost(1, 3), hourAt(HOUR + 7 * HOUR_MS));
    expect(codeOf(all)).toBe('accepted');
    expect(codeOf(all.slice(3))).toBe('accepted');
    expect(holding(all)).toEqual(holding(all.slice(3)));
    expect(codeOf(all.slice(4))).toBe('chain_hole');
  });

  it('are not said of what the revocation does not name', () => {
    const all = told();
    // One more is missing than was lost, or the revocation is not there.
    expect(codeOf(all.toSpliced(3, 4))).toBe('chain_hole');
    expect(codeOf(all.toSpliced(4, 4))).toBe('chain_hole');
    // Another statement in its place.
    const hour = chainOf(...hours(7), hourAt(HOUR + 7 * HOUR_MS));
    expect(codeOf(hour.toSpliced(4, 3))).toBe('chain_hole');
    const ended = chainOf(...hours(7), END);
    expect(codeOf(ended.toSpliced(4, 3))).toBe('chain_hole');
  });

  it.each([
    ['that are not right before it', { from: 2, to: 2 }],
    ['with itself', { from: 2, to: 4 }],
    ['back to front', { from: 4, to: 3 }],
    ['from before the first', { from: 0, to: 3 }],
  ])('are none %s', (_, range) => {
    const bytes = chainOf(...hours(3), { ...END, lost: range }).at(-1) ?? new Uint8Array();
    expect(parseRevocationStatement(bytes)).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 8 } },
    });
  });

  it('are a million at most', () => {
    expect(codeOf([allLostBefore(MAX_LOST_COUNTER + 1)])).toBe('accepted');
    expect(codeOf([allLostBefore(MAX_LOST_COUNTER + 2)])).toBe('message_malformed');
  });

  it('leave what held at the last that was kept, whatever was lost before, and before that', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ kind: fc.nat(9), pick: fc.nat(1000) }), { maxLength: 40 }),
        (steps) => {
          const { all, kept, states } = story(steps);
          expect(holding(all)).toEqual(states.at(-1));
          expect(holding(kept)).toEqual(states.at(-1));
        },
      ),
    );
  });
});

function allLostBefore(counter: number): Uint8Array {
  return encodeTrackStatement({
    origin: originOf('log.example', 3),
    ...ACCOUNT,
    ...lost(1, counter - 1),
    counter,
    previous: new Uint8Array(32),
  });
}

interface Step {
  readonly kind: number;
  readonly pick: number;
}

/** Hours, corrections, and losses of all that came after a statement that is kept. */
function story(steps: readonly Step[]): {
  readonly all: readonly Uint8Array[];
  readonly kept: readonly Uint8Array[];
  readonly states: readonly unknown[];
} {
  const chain = new Chain();
  // Simple and slow: what is kept, as a list, and what it says of each hour.
  let kept: { readonly counter: number; readonly bytes: Uint8Array; readonly place: Place }[] = [];
  const states: unknown[] = [holding([])];
  for (const { kind, pick } of steps) {
    const held = heldIn(kept);
    const counter = chain.statements.length + 1;
    let place: Place = hourAt(HOUR + held.length * HOUR_MS);
    if (kind < 2 && counter > 1) {
      kept = kept.slice(0, pick % kept.length);
      place = lost((kept.at(-1)?.counter ?? 0) + 1, counter - 1);
    } else if (kind < 5 && held.length > 0) {
      const index = pick % held.length;
      place = correction(HOUR + index * HOUR_MS, held[index] ?? 0);
    }
    const bytes = chain.link(place);
    kept.push({ counter, bytes, place });
    const hoursHeld = heldIn(kept);
    const at = Array.from({ length: 60 }, (_, index) => hoursHeld[index] ?? null);
    states.push({
      head: { counter, hash: nodeCrypto.sha256(bytes) },
      ended: false,
      last: [hoursHeld.length === 0 ? null : HOUR + (hoursHeld.length - 1) * HOUR_MS, null],
      hours: at,
      days: at.map(() => null),
    });
  }
  return { all: chain.statements, kept: kept.map(({ bytes }) => bytes), states };
}

/** The counter that holds for each hour. */
function heldIn(kept: readonly { readonly counter: number; readonly place: Place }[]): number[] {
  const held: number[] = [];
  for (const { counter, place } of kept) {
    if (place.kind !== 'hour') continue;
    held[(place.figures.startMs - HOUR) / HOUR_MS] = counter;
  }
  return held;
}
