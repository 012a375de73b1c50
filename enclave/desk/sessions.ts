// Sessions of traders: a bearer id of 256 random bits, known here only by its hash, an account, and an end. What ends is
// gone at once: the account is not polled any more, its credentials are wiped, its records are forgotten. Expired
// sessions are refused whether or not a sweep has come by. The enclave's clock decides.

import { randomBytes } from 'node:crypto';
import { toHex } from '../../wire/bytes.ts';
import type { AuditEventName } from '../../wire/audit.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Account, Credentials, Polling } from './accounts.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { SealedVault } from './sealed-vault.ts';
import type { DeskLeaf, DeskServices } from './services.ts';
import type { SessionRecord } from './session-record.ts';
import { encodeSessionRecord, parseSessionRecord } from './session-record.ts';
import type { OpenedRecord } from './vault-record.ts';
import { RECORD_KIND, recordMark } from './vault-record.ts';

export const MIN_TTL_SECONDS = 300;
export const MAX_TTL_SECONDS: number = 7 * 86_400;
export const DEFAULT_TTL_SECONDS = 86_400;
export const SWEEP_MS = 3_600_000;
/** Without a desk in the configuration there are none. */
const DEFAULT_MAX_SESSIONS = 0;
const SESSION_ID_BYTES = 32;
const SESSION_ID_TEXT = /^[A-Za-z0-9_-]{43}$/u;

export interface Session {
  /** Hex of the hash of its id. */
  readonly name: string;
  readonly hash: Uint8Array;
  readonly account: Account;
  /** Milliseconds since the Unix epoch; null for an account that the owner sealed, which stays for the epoch. */
  readonly expiresMs: number | null;
}

interface Entry extends Session {
  expiresMs: number | null;
  timer: NodeJS.Timeout | null;
}

export interface SessionParts {
  readonly services: Pick<DeskServices, 'configuration' | 'guard' | 'nowMs'>;
  readonly polling: Polling;
  readonly vault: SealedVault;
  readonly audit: AuditTrail;
  /** Whatever else is kept of an account may go. */
  readonly onEnded: (accountId: string) => void;
}

export function wipeCredentials({ apiKey, secret, passphrase }: Credentials): void {
  apiKey.fill(0);
  secret.fill(0);
  passphrase?.fill(0);
}

/** Where the state of an account's polling is kept: a record of its own, beside that of the session. */
export function stateRecordId(accountId: string): string {
  const hash = nodeCrypto.sha256(Buffer.from(`trackseal/vault/state/${accountId}`));
  return toHex(hash.subarray(0, 16));
}

function hashOf(id: Uint8Array): Uint8Array {
  return nodeCrypto.sha256(id);
}

export class Sessions {
  readonly #parts: SessionParts;
  readonly #byName = new Map<string, Entry>();
  readonly #byAccount = new Map<string, Entry>();
  readonly #sweep: NodeJS.Timeout;
  /** Registrations that wait for the exchange have their place already. */
  #reserved = 0;
  #closed = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { guard } = parts.services;
    this.#sweep = setInterval(() => {
      void guard.runAsync(() => this.sweep());
    }, SWEEP_MS);
    this.#sweep.unref();
  }

  get size(): number {
    return this.#byName.size;
  }

  /** Null for an account that no session is about. */
  accountOf(accountId: string): Account | null {
    return this.#byAccount.get(accountId)?.account ?? null;
  }

  /** A place for a session that is about to be checked; call the answer to give it back. Refuses `session_limit`. */
  reserve(): Result<() => void> {
    const { services, vault } = this.#parts;
    const maximum = services.configuration.desk?.max_sessions ?? DEFAULT_MAX_SESSIONS;
    const records = 2 * (this.#reserved + 1);
    if (this.size + this.#reserved >= maximum || !vault.hasRoomFor(records)) {
      return refuse('session_limit', { maximum });
    }
    this.#reserved++;
    let given = false;
    return accept(() => {
      if (!given) this.#reserved--;
      given = true;
    });
  }

  /** For the state of a session that has none yet; what waits for the exchange has its records already. */
  hasRoomForState(): boolean {
    return this.#parts.vault.hasRoomFor(2 * this.#reserved + 1);
  }

  /** The id goes to the trader and is not kept. The record is with the host when it resolves. */
  async create(
    account: Account,
    ttlSeconds: number,
  ): Promise<{ readonly id: string; readonly session: Session; readonly leaf: DeskLeaf }> {
    const { services, audit, polling } = this.#parts;
    const secret = randomBytes(SESSION_ID_BYTES);
    const id = secret.toString('base64url');
    secret.fill(0);
    const expiresMs = services.nowMs() + ttlSeconds * 1000;
    const entry = this.#enter(hashOf(Buffer.from(id, 'latin1')), account, expiresMs);
    await this.#persist(entry);
    const leaf = await audit.append('sessionCreated', {
      sessionHash: entry.hash,
      accountCommitment: account.commitment,
      counter: Math.floor(expiresMs / 1000),
    });
    // Unless the desk is closing: then its credentials are wiped already.
    if (this.#byName.has(entry.name)) polling.add(account, null);
    return { id, session: entry, leaf };
  }

  /** An account that the owner sealed; its id is the owner's own. Null: nobody asks for its figures. */
  addSealed(id: Uint8Array | null, account: Account): void {
    const name = id ?? randomBytes(SESSION_ID_BYTES);
    this.#enter(hashOf(name), account, null);
  }

  /** `id` as it came: bytes of its text. Refuses `session_unknown`, whatever the reason. */
  find(id: Uint8Array): Result<Session> {
    if (!SESSION_ID_TEXT.test(Buffer.from(id).toString('latin1'))) return refuse('session_unknown');
    const entry = this.#byName.get(toHex(hashOf(id)));
    if (entry === undefined) return refuse('session_unknown');
    if (!this.#isOver(entry)) return accept(entry);
    const { guard } = this.#parts.services;
    void guard.runAsync(() => this.#end(entry, 'sessionExpired').then(() => undefined));
    return refuse('session_unknown');
  }

  async renew(
    session: Session,
    ttlSeconds: number,
  ): Promise<Result<{ readonly session: Session; readonly leaf: DeskLeaf }>> {
    const entry = this.#byName.get(session.name);
    // What the owner sealed has no end that could be moved.
    if (entry === undefined || entry.expiresMs === null) return refuse('session_unknown');
    const { services, audit } = this.#parts;
    entry.expiresMs = services.nowMs() + ttlSeconds * 1000;
    this.#schedule(entry);
    await this.#persist(entry);
    // Revoked while the host wrote: nobody is told, and the log does not say, that it goes on.
    if (!this.#closed && !this.#byName.has(entry.name)) return refuse('session_unknown');
    const leaf = await audit.append('sessionRenewed', {
      sessionHash: entry.hash,
      accountCommitment: entry.account.commitment,
      counter: Math.floor(entry.expiresMs / 1000),
    });
    return accept({ session: entry, leaf });
  }

  /** Null when it is gone already, or is the owner's own. */
  async revoke(session: Session): Promise<DeskLeaf | null> {
    const entry = this.#byName.get(session.name);
    return entry === undefined || entry.expiresMs === null
      ? null
      : this.#end(entry, 'sessionRevoked');
  }

  async sweep(): Promise<void> {
    const over = [...this.#byName.values()].filter((entry) => this.#isOver(entry));
    await Promise.all(over.map((entry) => this.#end(entry, 'sessionExpired')));
  }

  /** From the vault, at the start; for the caller to poll. `useless` are the ids of records that are over or malformed. */
  restore(records: readonly OpenedRecord[]): {
    readonly restored: readonly { readonly account: Account; readonly mark: Uint8Array }[];
    readonly useless: readonly string[];
  } {
    const restored: { account: Account; mark: Uint8Array }[] = [];
    const useless: string[] = [];
    for (const record of records) {
      const id = toHex(record.id);
      const parsed = parseSessionRecord(id, record.plaintext);
      record.plaintext.fill(0);
      const entry = parsed.ok ? this.#enterRestored(parsed.value) : null;
      if (entry === null) useless.push(id);
      else restored.push({ account: entry.account, mark: recordMark(record) });
    }
    return { restored, useless };
  }

  /** Credentials are wiped; what the vault has stays for the next epoch. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const entry of this.#byName.values()) {
      if (entry.timer !== null) clearTimeout(entry.timer);
      this.#parts.polling.remove(entry.account.id);
      wipeCredentials(entry.account.credentials);
    }
    this.#byName.clear();
    this.#byAccount.clear();
  }

  #enterRestored({ hash, account, expiresMs }: SessionRecord): Entry | null {
    const { services } = this.#parts;
    // A second record for one session, or one that is over: the host brought what it should have forgotten.
    const maximum = services.configuration.desk?.max_sessions ?? DEFAULT_MAX_SESSIONS;
    const known = this.#byName.has(toHex(hash)) || this.size >= maximum;
    if (!known && expiresMs > services.nowMs()) return this.#enter(hash, account, expiresMs);
    wipeCredentials(account.credentials);
    return null;
  }

  #isOver({ expiresMs }: Session): boolean {
    return expiresMs !== null && expiresMs <= this.#parts.services.nowMs();
  }

  #enter(hash: Uint8Array, account: Account, expiresMs: number | null): Entry {
    const entry: Entry = { name: toHex(hash), hash, account, expiresMs, timer: null };
    this.#byName.set(entry.name, entry);
    this.#byAccount.set(account.id, entry);
    this.#schedule(entry);
    return entry;
  }

  #schedule(entry: Entry): void {
    const { services } = this.#parts;
    if (entry.timer !== null) clearTimeout(entry.timer);
    if (entry.expiresMs === null) return;
    const leftMs = Math.max(0, entry.expiresMs - services.nowMs());
    entry.timer = setTimeout(() => {
      // The timer's clock is another than the enclave's: early, it waits for the rest.
      if (!this.#isOver(entry)) this.#schedule(entry);
      else
        void services.guard.runAsync(() =>
          this.#end(entry, 'sessionExpired').then(() => undefined),
        );
    }, leftMs);
    entry.timer.unref();
  }

  async #persist(entry: Entry): Promise<void> {
    const { vault, audit } = this.#parts;
    if (!vault.enabled || entry.expiresMs === null) return;
    const { hash, account, expiresMs } = entry;
    const plaintext = encodeSessionRecord({ hash, account, expiresMs });
    const written = vault.write(account.id, RECORD_KIND.session, plaintext);
    plaintext.fill(0);
    audit.vaultWritten(await written);
    // It may have ended while the host wrote; at the close of the desk it goes on in the next epoch.
    if (this.#closed || this.#byName.has(entry.name)) return;
    audit.vaultWritten(await vault.forget(account.id));
  }

  async #end(entry: Entry, event: AuditEventName): Promise<DeskLeaf | null> {
    if (!this.#byName.delete(entry.name)) return null;
    this.#byAccount.delete(entry.account.id);
    if (entry.timer !== null) clearTimeout(entry.timer);
    const { polling, vault, audit, onEnded } = this.#parts;
    const { account, hash } = entry;
    polling.remove(account.id);
    onEnded(account.id);
    wipeCredentials(account.credentials);
    const forgotten = [
      await vault.forget(account.id),
      await vault.forget(stateRecordId(account.id)),
    ];
    return audit.append(event, {
      sessionHash: hash,
      accountCommitment: account.commitment,
      records: forgotten.filter((mark) => mark !== null),
    });
  }
}
