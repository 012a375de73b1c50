// Writes the audit trail into the log. What happens often is gathered: writes to the vault for a minute, uses of credentials
// and ends of connectors for an hour (each poll has a leaf of its own); everything else is written at once. A leaf
// that cannot be appended ends the desk: nothing goes on unlogged.

import type { AuditEntry, AuditEventName } from '../../wire/audit.ts';
import { AUDIT_EVENT, encodeAuditEntry, MAX_AUDIT_RECORDS } from '../../wire/audit.ts';
import { KIND } from '../../wire/leaf.ts';
import type { DeskLeaf, DeskServices } from './services.ts';

const GATHER_MARKS_MS = 60_000;
const GATHER_USES_MS = 3_600_000;

type Facts = Partial<Omit<AuditEntry, 'event'>>;

export class AuditTrail {
  readonly #services: Pick<DeskServices, 'append' | 'guard'>;
  readonly #uses = new Map<string, { readonly commitment: Uint8Array; count: number }>();
  #marks: Uint8Array[] = [];
  #recycled = 0;
  #refusedClients = 0;
  readonly #timers = new Map<number, NodeJS.Timeout>();

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
    this.#gather(GATHER_USES_MS, () => this.#flushUses());
  }

  /** A process that had held credentials ended. */
  connectorRecycled(): void {
    this.#recycled++;
    this.#gather(GATHER_USES_MS, () => this.#flushUses());
  }

  /** Somebody on the gRPC port had no certificate that counts. */
  clientRefused(): void {
    this.#refusedClients++;
    this.#gather(GATHER_USES_MS, () => this.#flushUses());
  }

  vaultWritten(mark: Uint8Array | null): void {
    if (mark === null) return;
    this.#marks.push(mark);
    if (this.#marks.length >= MAX_AUDIT_RECORDS) {
      void this.#services.guard.runAsync(() => this.#flushMarks());
    } else this.#gather(GATHER_MARKS_MS, () => this.#flushMarks());
  }

  /** Whatever was gathered is in the log when it resolves. */
  async flush(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await this.#flushMarks();
    await this.#flushUses();
  }

  async #flushMarks(): Promise<void> {
    const records = this.#marks;
    this.#marks = [];
    if (records.length > 0) await this.append('vaultWritten', { records });
  }

  async #flushUses(): Promise<void> {
    const uses = [...this.#uses.values()];
    this.#uses.clear();
    const recycled = this.#recycled;
    this.#recycled = 0;
    const refused = this.#refusedClients;
    this.#refusedClients = 0;
    for (const { commitment, count } of uses) {
      await this.append('credentialsUsed', { accountCommitment: commitment, counter: count });
    }
    if (recycled > 0) await this.append('connectorRecycled', { counter: recycled });
    if (refused > 0) {
      await this.append('clientRefused', { code: 'client_untrusted', counter: refused });
    }
  }

  #gather(afterMs: number, flush: () => Promise<void>): void {
    if (this.#timers.has(afterMs)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(afterMs);
      void this.#services.guard.runAsync(flush);
    }, afterMs);
    timer.unref();
    this.#timers.set(afterMs, timer);
  }
}
