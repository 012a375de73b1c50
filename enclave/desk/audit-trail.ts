// Writes the audit trail into the log. What happens often (uses of credentials, writes to the vault) is gathered and
// written once a minute or when there is enough of it; everything else at once. A leaf that cannot be appended
// ends the desk: nothing goes on unlogged.

import type { AuditEntry, AuditEventName } from '../../wire/audit.ts';
import { AUDIT_EVENT, encodeAuditEntry, MAX_AUDIT_RECORDS } from '../../wire/audit.ts';
import { KIND } from '../../wire/leaf.ts';
import type { DeskLeaf, DeskServices } from './services.ts';

const GATHER_MS = 60_000;

type Facts = Partial<Omit<AuditEntry, 'event'>>;

export class AuditTrail {
  readonly #services: Pick<DeskServices, 'append' | 'guard'>;
  readonly #uses = new Map<string, { readonly commitment: Uint8Array; count: number }>();
  #marks: Uint8Array[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(services: Pick<DeskServices, 'append' | 'guard'>) {
    this.#services = services;
  }

  append(event: AuditEventName, facts: Facts = {}): Promise<DeskLeaf> {
    const entry: AuditEntry = {
      event: AUDIT_EVENT[event],
      sessionHash: null,
      accountCommitment: null,
      code: null,
      counter: null,
      records: null,
      ...facts,
    };
    return this.#services.append(KIND.audit, encodeAuditEntry(entry));
  }

  /** Credentials of an account were handed to a connector. */
  credentialsUsed(accountId: string, commitment: Uint8Array): void {
    const uses = this.#uses.get(accountId) ?? { commitment, count: 0 };
    uses.count++;
    this.#uses.set(accountId, uses);
    this.#gather();
  }

  vaultWritten(mark: Uint8Array | null): void {
    if (mark === null) return;
    this.#marks.push(mark);
    if (this.#marks.length >= MAX_AUDIT_RECORDS) {
      void this.#services.guard.runAsync(() => this.#flushMarks());
    } else this.#gather();
  }

  /** Whatever was gathered is in the log when it resolves. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const uses = [...this.#uses.values()];
    this.#uses.clear();
    await this.#flushMarks();
    for (const { commitment, count } of uses) {
      await this.append('credentialsUsed', { accountCommitment: commitment, counter: count });
    }
  }

  async #flushMarks(): Promise<void> {
    const records = this.#marks;
    this.#marks = [];
    if (records.length > 0) await this.append('vaultWritten', { records });
  }

  #gather(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      void this.#services.guard.runAsync(() => this.flush());
    }, GATHER_MS);
    this.#timer.unref();
  }
}
