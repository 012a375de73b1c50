// Keeps the state of polling in the vault, one record for each account, the latest one: what came while the host was
// still writing replaces what waited. A state without room in the vault is not kept, and polling starts anew
// after a restart: figures then begin later, and say so.

import type { AuditTrail } from './audit-trail.ts';
import type { SealedVault } from './sealed-vault.ts';
import type { DeskServices } from './services.ts';
import type { Sessions } from './sessions.ts';
import { stateRecordId } from './sessions.ts';
import { RECORD_KIND } from './vault-record.ts';

export interface StateKeeperParts {
  readonly services: Pick<DeskServices, 'guard' | 'vault'>;
  readonly vault: SealedVault;
  readonly audit: AuditTrail;
  readonly sessions: Pick<Sessions, 'accountOf' | 'hasRoomForState'>;
}

export class StateKeeper {
  readonly #parts: StateKeeperParts;
  readonly #waiting = new Map<string, Uint8Array>();
  readonly #writing = new Map<string, Promise<void>>();

  constructor(parts: StateKeeperParts) {
    this.#parts = parts;
  }

  keep(accountId: string, state: Uint8Array): void {
    const { vault, services, sessions } = this.#parts;
    const known = services.vault.records.has(stateRecordId(accountId));
    if (!vault.enabled || (!known && !sessions.hasRoomForState())) return;
    this.#waiting.set(accountId, state);
    if (this.#writing.has(accountId)) return;
    const written = services.guard.runAsync(() => this.#write(accountId));
    this.#writing.set(accountId, written);
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values());
  }

  async #write(accountId: string): Promise<void> {
    const { vault, audit, sessions } = this.#parts;
    const id = stateRecordId(accountId);
    for (;;) {
      const state = this.#waiting.get(accountId);
      this.#waiting.delete(accountId);
      if (state === undefined) break;
      audit.vaultWritten(await vault.write(id, RECORD_KIND.state, state));
      // It ended while the host wrote.
      if (sessions.accountOf(accountId) === null) audit.vaultWritten(await vault.forget(id));
    }
    this.#writing.delete(accountId);
  }
}
