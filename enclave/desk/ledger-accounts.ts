// The accounts that the ledger is told of, and what the desk remembers of their chains: what it has signed last, and how far
// a ledger has said that they are stored. By these it decides what is signed: nothing about an account that never was here,
// nothing at a place that is stored, the end of a chain of one that was removed alone, and of that one nothing but revocations.
// What the ledger says is not trusted: a head above what was signed is not taken.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { REVOCATION_DOMAIN, trackSubjectOf } from '../../wire/track/signing.ts';
import type { LedgerAccount, LedgerAudit, LedgerStated, StatedHead } from '../ledger/protocol.ts';

/** Removed, while the end of their chains is not stored. */
const MAX_LEAVING = 256;

interface Known {
  readonly account: LedgerAccount;
  /** Keeps the head over restarts. */
  readonly keep: (head: StatedHead) => void;
}

interface Signed extends StatedHead {
  readonly isEnd: boolean;
}

export interface Admitted {
  /** One for each statement. */
  readonly domains: readonly string[];
  /** For the audit trail. */
  readonly notes: readonly LedgerAudit[];
}

export class LedgerAccounts {
  readonly #known = new Map<string, Known>();
  readonly #leaving = new Map<string, Known>();
  /** Ids by commitments in hex, of all that were polled in this epoch. */
  readonly #ids = new Map<string, string>();
  /** The last place of each chain that was signed in this epoch, by id. */
  readonly #signed = new Map<string, Signed>();

  get polled(): Iterable<LedgerAccount> {
    return Array.from(this.#known.values(), ({ account }) => account);
  }

  get leaving(): Iterable<LedgerAccount> {
    return Array.from(this.#leaving.values(), ({ account }) => account);
  }

  isLeaving(id: string): boolean {
    return this.#leaving.has(id);
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  commitmentOf(id: string): Uint8Array | null {
    return (this.#known.get(id) ?? this.#leaving.get(id))?.account.commitment ?? null;
  }

  add(account: LedgerAccount, keep: (head: StatedHead) => void): void {
    this.#known.set(account.id, { account, keep });
    this.#ids.set(toHex(account.commitment), account.id);
  }

  /** False: it is not here. */
  remove(id: string): boolean {
    const known = this.#known.get(id);
    if (known === undefined) return false;
    this.#known.delete(id);
    // Without a statement there is no chain that could end.
    if (known.account.head === null && !this.#signed.has(id)) return true;
    this.#leaving.set(id, known);
    if (this.#leaving.size > MAX_LEAVING) {
      for (const oldest of [...this.#leaving.keys()].slice(0, 1)) this.#leaving.delete(oldest);
    }
    return true;
  }

  stated({ id, counter, hash }: LedgerStated): void {
    const known = this.#known.get(id) ?? this.#leaving.get(id);
    if (known === undefined || counter <= (known.account.head?.counter ?? 0)) return;
    const signed = this.#signed.get(id);
    if (signed !== undefined && counter > signed.counter) return;
    if (signed?.counter === counter && !equalBytes(signed.hash, hash)) return;
    const head = { counter, hash: hash.slice() };
    const isLeaving = this.isLeaving(id);
    if (isLeaving && signed?.counter === counter && signed.isEnd) this.#leaving.delete(id);
    else {
      const one = { ...known, account: { ...known.account, head } };
      (isLeaving ? this.#leaving : this.#known).set(id, one);
      known.keep(head);
    }
  }

  /** Null: none of wire/track/, or about what never was here. Refuses `session_unknown`, `chain_fork`. */
  admit(statements: readonly Uint8Array[], origin: string): Result<Admitted> | null {
    const domains: string[] = [];
    const forked = new Set<string>();
    const revoked = new Set<string>();
    const last = new Map<string, Signed>();
    for (const statement of statements) {
      const subject = trackSubjectOf(statement);
      if (subject?.origin !== origin) return null;
      const { domain, counter, isEnd } = subject;
      const id = this.#ids.get(toHex(subject.accountCommitment));
      if (id === undefined) return null;
      const isRevocation = domain === REVOCATION_DOMAIN;
      const known = this.#known.get(id) ?? (isRevocation ? this.#leaving.get(id) : undefined);
      if (known === undefined) return refuse('session_unknown');
      if (isEnd && this.#known.has(id)) return refuse('chain_ended');
      domains.push(domain);
      if (counter === null) continue;
      if (counter <= (known.account.head?.counter ?? 0)) return refuse('chain_fork', { counter });
      if (counter <= ((last.get(id) ?? this.#signed.get(id))?.counter ?? 0)) forked.add(id);
      if (isRevocation) revoked.add(id);
      last.set(id, { counter, isEnd, hash: nodeCrypto.sha256(statement) });
    }
    for (const [id, signed] of last) this.#signed.set(id, signed);
    const notes: LedgerAudit[] = [];
    // A ledger that died before it stored, or worse: the trail says it before anybody has the signature.
    for (const account of forked)
      notes.push({ event: 'store_invalid', account, code: 'chain_fork' });
    for (const account of revoked) notes.push({ event: 'revocation', account, code: null });
    return accept({ domains, notes });
  }
}
