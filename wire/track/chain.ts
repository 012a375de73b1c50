// The chain of one account's statements: is this list what the enclaves signed, all of it, once, and in its order? Signatures
// are checked elsewhere; with them, who has the list can still leave out, repeat, reorder or mix, and each of these is a
// closed code here. Pure, and in one pass: what is kept is one row for each hour and day. What has been cut off at the end
// cannot be seen from the list alone: whoever knows a head compares it.

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { parseOrigin } from '../header.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { TrackAccount } from './head.ts';
import { DAY_MS, HOUR_MS } from './head.ts';
import type { ChainStatement } from './statement.ts';
import { parseChainStatement } from './statement.ts';

export interface ChainHead {
  /** 0 where there is no statement yet. */
  readonly counter: number;
  /** SHA-256 of the last statement. */
  readonly hash: Uint8Array | null;
}

/** What holds for an hour or a day now. */
interface Effective {
  readonly counter: number;
  readonly revoked: boolean;
}

type Period = 'hour' | 'snapshot';

function keyOf(kind: Period, atMs: number): string {
  return `${kind} ${atMs}`;
}

function periodOf(statement: ChainStatement): { kind: Period; atMs: number } | null {
  if (statement.kind === 'hour') return { kind: 'hour', atMs: statement.figures.startMs };
  return statement.kind === 'snapshot' ? { kind: 'snapshot', atMs: statement.atMs } : null;
}

/** Takes the statements of one chain, one after the other, from its first. */
export class ChainCheck {
  readonly #crypto: Pick<WireCrypto, 'sha256'>;
  #account: TrackAccount | null;
  /** By counter - 1. */
  readonly #hashes: Uint8Array[] = [];
  readonly #effective = new Map<string, Effective>();
  /** Period of each counter that has one. */
  readonly #periods = new Map<number, string>();
  readonly #epochs = new Map<string, number>();
  #lastHourMs: number | null = null;
  #lastDayMs: number | null = null;
  #ended = false;

  /** With `account` the first statement has to be about it already. */
  constructor(crypto: Pick<WireCrypto, 'sha256'>, account: TrackAccount | null = null) {
    this.#crypto = crypto;
    this.#account = account;
  }

  get head(): ChainHead {
    return { counter: this.#hashes.length, hash: this.#hashes.at(-1) ?? null };
  }

  /** Start of the newest hour; null before the first. */
  get lastHourMs(): number | null {
    return this.#lastHourMs;
  }

  /** Time of the newest snapshot; null before the first. */
  get lastSnapshotMs(): number | null {
    return this.#lastDayMs;
  }

  /** The chain was revoked: nothing follows. */
  get ended(): boolean {
    return this.#ended;
  }

  /** SHA-256 of the statement with this counter; null where there is none. */
  hashOf(counter: number): Uint8Array | null {
    return this.#hashes[counter - 1] ?? null;
  }

  /** The counter that holds for an hour or a day now; null where there is none, or it was revoked. */
  effective(kind: Period, atMs: number): number | null {
    const found = this.#effective.get(keyOf(kind, atMs));
    return found === undefined || found.revoked ? null : found.counter;
  }

  /**
   * Refuses `chain_splice`, `chain_duplicate`, `chain_fork`, `chain_hole`, `chain_previous`, `chain_ended`,
   * `chain_order`, `chain_supersedes`; nothing is taken of what is refused.
   */
  add(bytes: Uint8Array, statement: ChainStatement): Result<null> {
    const { counter } = statement;
    const hash = this.#crypto.sha256(bytes);
    const placed = this.#checkPlace(hash, statement);
    if (!placed.ok) return placed;
    if (this.#ended) return refuse('chain_ended', { counter });
    const ordered = this.#checkOrigin(statement);
    if (!ordered.ok) return ordered;
    const taken = statement.kind === 'revocation' ? this.#revoke(statement) : this.#take(statement);
    if (!taken.ok) return taken;
    const parsed = parseOrigin(statement.origin);
    if (parsed !== null) this.#epochs.set(parsed.logId, parsed.epoch);
    this.#account ??= statement;
    this.#hashes.push(hash);
    return accept(null);
  }

  #checkPlace(hash: Uint8Array, statement: ChainStatement): Result<null> {
    const { counter, previous } = statement;
    const last = this.#hashes.length;
    if (this.#account !== null && !isSameAccount(this.#account, statement)) {
      return refuse('chain_splice', { counter });
    }
    if (counter <= last) {
      const same = equalBytes(this.#hashes[counter - 1] ?? hash, hash);
      return refuse(same ? 'chain_duplicate' : 'chain_fork', { counter });
    }
    if (counter > last + 1) return refuse('chain_hole', { expected: last + 1, actual: counter });
    const before = this.#hashes.at(-1) ?? null;
    const follows =
      before === null || previous === null ? before === previous : equalBytes(before, previous);
    return follows ? accept(null) : refuse('chain_previous', { counter });
  }

  /** Epochs of one log never go back. */
  #checkOrigin({ origin, counter }: ChainStatement): Result<null> {
    const parsed = parseOrigin(origin);
    if (parsed === null) return refuse('chain_order', { counter, what: 'origin' });
    const { logId, epoch } = parsed;
    if (epoch < (this.#epochs.get(logId) ?? 0)) {
      return refuse('chain_order', { counter, what: 'epoch' });
    }
    return accept(null);
  }

  #take(statement: Exclude<ChainStatement, { kind: 'revocation' }>): Result<null> {
    const { counter, supersedes } = statement;
    const period = periodOf(statement);
    if (period === null) return refuse('chain_order', { counter, what: 'kind' });
    const key = keyOf(period.kind, period.atMs);
    const found = this.#effective.get(key);
    if (supersedes !== null) {
      if (found === undefined || found.revoked || found.counter !== supersedes.counter) {
        return refuse('chain_supersedes', { counter, supersedes: supersedes.counter });
      }
    } else if (!this.#follows(period.kind, period.atMs)) {
      return refuse('chain_order', { counter, what: period.kind });
    }
    if (supersedes === null && period.kind === 'hour') this.#lastHourMs = period.atMs;
    if (supersedes === null && period.kind === 'snapshot') this.#lastDayMs = period.atMs;
    this.#effective.set(key, { counter, revoked: false });
    this.#periods.set(counter, key);
    return accept(null);
  }

  /** Hours are never left out, and a day's snapshot comes when all its hours are there, and before the next. */
  #follows(kind: Period, atMs: number): boolean {
    if (kind === 'hour') {
      return this.#lastHourMs === null || atMs === this.#lastHourMs + HOUR_MS;
    }
    const complete = this.#lastHourMs !== null && this.#lastHourMs + HOUR_MS >= atMs;
    return complete && (this.#lastDayMs === null || atMs === this.#lastDayMs + DAY_MS);
  }

  #revoke(statement: Extract<ChainStatement, { kind: 'revocation' }>): Result<null> {
    const { counter, revokes } = statement;
    if (revokes === null) {
      this.#ended = true;
      return accept(null);
    }
    const key = this.#periods.get(revokes);
    const found = key === undefined ? undefined : this.#effective.get(key);
    if (key === undefined || found === undefined || found.revoked || found.counter !== revokes) {
      return refuse('chain_supersedes', { counter, supersedes: revokes });
    }
    this.#effective.set(key, { counter: revokes, revoked: true });
    return accept(null);
  }
}

function isSameAccount(a: TrackAccount, b: TrackAccount): boolean {
  return (
    a.venue === b.venue &&
    a.environment === b.environment &&
    equalBytes(a.accountCommitment, b.accountCommitment)
  );
}

/**
 * The whole list, from the first statement of an account. Refuses what `ChainCheck.add` refuses, and what
 * `parseChainStatement` does.
 */
export function checkChain(
  crypto: Pick<WireCrypto, 'sha256'>,
  statements: readonly Uint8Array[],
  account: TrackAccount | null = null,
): Result<ChainCheck> {
  const chain = new ChainCheck(crypto, account);
  for (const bytes of statements) {
    const parsed = parseChainStatement(bytes);
    if (!parsed.ok) return parsed;
    const added = chain.add(bytes, parsed.value);
    if (!added.ok) return added;
  }
  return accept(chain);
}
