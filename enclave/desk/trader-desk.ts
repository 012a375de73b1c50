// Puts the traders' side of the desk together: sessions out of the vault, accounts that the owner sealed, the states of
// polling back into the vault, and the API in front of it. What the host brought and is of no use is forgotten and
// written down; a sealed account that is wrong ends the boot.

import { MAX_AUDIT_RECORDS } from '../../wire/audit.ts';
import { toHex } from '../../wire/bytes.ts';
import { orFatal } from '../fatal.ts';
import type { Account, Polling } from './accounts.ts';
import { DeskApi } from './api.ts';
import type { AuditTrail } from './audit-trail.ts';
import { Envelopes } from './envelopes.ts';
import type { Ledger } from './ledger.ts';
import { Operations } from './operations.ts';
import { Results } from './results.ts';
import { sealedAccountOf } from './sealed-accounts.ts';
import { SealedVault } from './sealed-vault.ts';
import type { DeskServices } from './services.ts';
import { Sessions, stateRecordId } from './sessions.ts';
import { StateKeeper } from './state-keeper.ts';
import { RECORD_KIND, recordMark } from './vault-record.ts';

export interface TraderDeskParts {
  readonly polling: Polling;
  readonly audit: AuditTrail;
  readonly ledger: Pick<Ledger, 'ask'> | null;
  /** PEM of a certificate request for the TLS key. */
  readonly csr: () => Promise<string>;
}

export interface TraderDesk {
  readonly api: DeskApi;
  readonly counters: Readonly<Record<string, number>>;
  /** Writes what was gathered, wipes credentials and keys. Take nothing more before. */
  close(): Promise<void>;
}

/** Rejects with a Fatal when a sealed account is wrong. */
export async function openTraderDesk(
  services: DeskServices,
  { polling, audit, ledger, csr }: TraderDeskParts,
): Promise<TraderDesk> {
  const vault = new SealedVault(services);
  const results = new Results(services);
  const onEnded = (accountId: string): void => {
    results.forget(accountId);
  };
  const sessions = new Sessions({ services, polling, vault, audit, onEnded });
  const { configuration, sealedAccounts } = services;
  // An enclave that takes no accounts has nothing to say about them.
  if (configuration.desk !== undefined || sealedAccounts.length > 0) {
    await audit.append('opened', { counter: services.vault.records.size });
  }
  const states = new StateKeeper({ services, vault, audit, sessions });
  let closing = false;
  polling.onState((accountId, state) => {
    if (closing || sessions.accountOf(accountId) === null) return;
    states.keep(accountId, state);
  });
  await restore({ services, vault, sessions, polling, audit });
  const operations = new Operations({ services, polling, sessions, results, audit, ledger });
  const envelopes = new Envelopes(services);
  const api = new DeskApi({ services, operations, envelopes, csr });
  return {
    api,
    get counters() {
      return { ...api.counters, sessions: sessions.size };
    },
    close: async () => {
      closing = true;
      await states.idle();
      sessions.close();
      await audit.flush();
      vault.wipe();
    },
  };
}

interface RestoreParts {
  readonly services: DeskServices;
  readonly vault: SealedVault;
  readonly sessions: Sessions;
  readonly polling: Polling;
  readonly audit: AuditTrail;
}

async function restore({ services, vault, sessions, polling, audit }: RestoreParts): Promise<void> {
  const { opened, unusable } = vault.openAll();
  const states = new Map(
    opened.filter(({ kind }) => kind === RECORD_KIND.state).map((one) => [toHex(one.id), one]),
  );
  const marks: Uint8Array[] = [];
  const poll = (account: Account): void => {
    const id = stateRecordId(account.id);
    const state = states.get(id);
    states.delete(id);
    if (state !== undefined) marks.push(recordMark(state));
    polling.add(account, state?.plaintext ?? null);
  };
  const { restored, useless } = sessions.restore(
    opened.filter(({ kind }) => kind === RECORD_KIND.session),
  );
  for (const { account, mark } of restored) {
    marks.push(mark);
    poll(account);
  }
  for (const secret of services.sealedAccounts) {
    const { material, sessionId } = orFatal(sealedAccountOf(secret, services.nowNs()));
    sessions.addSealed(sessionId, material.account);
    poll(material.account);
  }
  for (let start = 0; start < marks.length; start += MAX_AUDIT_RECORDS) {
    const records = marks.slice(start, start + MAX_AUDIT_RECORDS);
    await audit.append('restored', { records, counter: sessions.size });
  }
  const lost = [...new Set([...useless, ...unusable, ...states.keys()])];
  if (lost.length === 0) return;
  await audit.append('restored', { code: 'vault_record_malformed', counter: lost.length });
  for (const id of lost) audit.vaultWritten(await vault.forget(id));
}
