import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { checkChain } from '../../../wire/track/chain.ts';
import { originOf } from '../../../wire/header.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
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

const END: Place = { kind: 'revocation', revokes: null, reason: 'account_removed', atMs: HOUR };

describe('checkChain', () => {
  it('accepts hours, gaps, snapshots, corrections and revocations, and knows what holds', () => {
    const { statements } = vectorChain();
    const chain = assertAccepted(checkChain(nodeCrypto, statements, ACCOUNT));
    expect(chain.head).toEqual({
      counter: 6,
      hash: nodeCrypto.sha256(statements.at(-1) ?? new Uint8Array()),
    });
    expect(chain.ended).toBe(true);
    expect(chain.effective('hour', HOUR)).toBe(4);
    expect(chain.effective('hour', HOUR + HOUR_MS)).toBe(3);
    expect(chain.effective('snapshot', HOUR + HOUR_MS)).toBeNull();
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
      'of what was revoked': [...two, { ...END, revokes: 1 }, correction(HOUR, 1)],
    })) {
      expect(codeOf(chainOf(...places)), name).toBe('chain_supersedes');
    }
  });

  it('takes one revocation of what holds, and nothing behind the end', () => {
    const revoke = (revokes: number): Place => ({ ...END, revokes });
    expect(codeOf(chainOf(...hours(2), revoke(1), hourAt(HOUR + 2 * HOUR_MS)))).toBe('accepted');
    expect(codeOf(chainOf(...hours(2), revoke(1), revoke(1)))).toBe('chain_supersedes');
    expect(codeOf(chainOf(...hours(2), correction(HOUR, 1), revoke(1)))).toBe('chain_supersedes');
    expect(codeOf(chainOf(...hours(2), revoke(1), revoke(3)))).toBe('chain_supersedes');
    expect(codeOf(chainOf(...hours(2), END, hourAt(HOUR + 2 * HOUR_MS)))).toBe('chain_ended');
    expect(codeOf(chainOf(...hours(2), END, END))).toBe('chain_ended');
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
