// What the API does, without HTTP: registers accounts, answers results, renews and revokes. Credentials are checked with
// the exchange before a session exists; keys that can do more than read are refused unless the trader said so. What
// changes something is answered when its audit leaf is acknowledged.

import { toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { accountOf, newAccountId } from './account-material.ts';
import type { AccountMaterial } from './account-material.ts';
import type { Account, Permissions, Polling } from './accounts.ts';
import type { RegisterMetadata } from './api-schemas.ts';
import type { AuditTrail } from './audit-trail.ts';
import { encodeTrackAsk, parseTrackPage } from '../ledger/track-page.ts';
import type { Ledger } from './ledger.ts';
import type { ResultOperation, Results } from './results.ts';
import type { SecretFields } from './secret-fields.ts';
import { wipeFields } from './secret-fields.ts';
import type { DeskServices } from './services.ts';
import type { Sessions } from './sessions.ts';
import { wipeCredentials } from './sessions.ts';

/** Below the 30 seconds that a connection lives. */
const CHECK_MS = 20_000;
/** Checks wait for an exchange: more at once would hold credentials for nothing. */
const MAX_CHECKS = 64;

export interface OperationParts {
  readonly services: DeskServices;
  readonly polling: Polling;
  readonly sessions: Sessions;
  readonly results: Results;
  readonly audit: AuditTrail;
  /** Null where nothing is kept. */
  readonly ledger: Pick<Ledger, 'ask'> | null;
}

export class Operations {
  readonly #parts: OperationParts;
  #checks = 0;

  constructor(parts: OperationParts) {
    this.#parts = parts;
  }

  /** `fields` are wiped or become the account's. */
  async register(metadata: RegisterMetadata, fields: SecretFields): Promise<Result<object>> {
    const { services, sessions } = this.#parts;
    const refused = (result: Result<never>): Result<never> => {
      wipeFields(fields);
      return result;
    };
    if (services.configuration.desk === undefined) return refused(refuse('accounts_not_served'));
    if (metadata.sandbox && !services.configuration.desk.sandbox) {
      return refused(refuse('environment_refused'));
    }
    if (this.#checks >= MAX_CHECKS) return refused(refuse('rate_limited'));
    const material = accountOf(metadata, fields, {
      id: newAccountId(),
      source: 'session',
      createdNs: services.nowNs(),
    });
    if (!material.ok) return material;
    const { account } = material.value;
    const place = sessions.reserve();
    if (!place.ok) {
      wipeCredentials(account.credentials);
      return place;
    }
    this.#checks++;
    try {
      return await this.#checkAndCreate(metadata, material.value);
    } finally {
      this.#checks--;
      place.value();
    }
  }

  /** Refuses `session_unknown`, `no_figures`, `result_malformed`. */
  async result(id: Uint8Array, operation: ResultOperation): Promise<Result<object>> {
    const { sessions, results, polling } = this.#parts;
    const session = sessions.find(id);
    if (!session.ok) return session;
    const { account } = session.value;
    const made = await results.make(account, polling.figures(account.id), operation);
    if (!made.ok) return made;
    // It may have been revoked while the log was written.
    const still = sessions.find(id);
    if (!still.ok) return still;
    return accept({ session_expires: instant(still.value.expiresMs), ...made.value });
  }

  /**
   * Signed statements of the account's track record behind `after`, as the ledger has them: whoever asked verifies them.
   * Refuses `session_unknown`, `ledger_unavailable`, and what the ledger does.
   */
  async track(id: Uint8Array, after: number): Promise<Result<object>> {
    const { sessions, ledger } = this.#parts;
    const session = sessions.find(id);
    if (!session.ok) return session;
    if (ledger === null) return refuse('ledger_unavailable');
    const asked = await ledger.ask('track', session.value.account.id, encodeTrackAsk(after));
    if (!asked.ok) return asked;
    const still = sessions.find(id);
    if (!still.ok) return still;
    const record = parseTrackPage(asked.value);
    if (record === null) return refuse('ledger_unavailable');
    return accept({ session_expires: instant(still.value.expiresMs), ...record });
  }

  async renew(id: Uint8Array, ttlSeconds: number): Promise<Result<object>> {
    const { sessions, services } = this.#parts;
    const session = sessions.find(id);
    if (!session.ok) return session;
    const renewed = await sessions.renew(session.value, ttlSeconds);
    if (!renewed.ok) return renewed;
    await services.acknowledged(renewed.value.leaf.index + 1);
    return accept({ expires_at: instant(renewed.value.session.expiresMs), status: 'active' });
  }

  async revoke(id: Uint8Array): Promise<Result<object>> {
    const { sessions, services } = this.#parts;
    const session = sessions.find(id);
    if (!session.ok) return session;
    const leaf = await sessions.revoke(session.value);
    if (leaf === null) return refuse('session_unknown');
    await services.acknowledged(leaf.index + 1);
    return accept({ status: 'revoked' });
  }

  async #checkAndCreate(
    { ttl, allowWithdrawals }: RegisterMetadata,
    { account: provisional, salt, commit }: AccountMaterial,
  ): Promise<Result<object>> {
    const { audit, sessions, services } = this.#parts;
    const checked = await this.#check(provisional);
    const permitted = checked.ok
      ? checkPermissions(checked.value, provisional.allowTrading, allowWithdrawals)
      : checked;
    if (!permitted.ok) {
      const { code } = permitted.refusal;
      const event = code === 'permission_excessive' ? 'permissionsRefused' : 'sessionRefused';
      if (checked.ok) wipeCredentials(provisional.credentials);
      await audit.append(event, { accountCommitment: provisional.commitment, code });
      return permitted;
    }
    const permissions = permitted.value;
    const account = { ...provisional, commitment: commit(permissions.accountId) };
    const { id, session, leaf } = await sessions.create(account, ttl);
    await services.acknowledged(leaf.index + 1);
    return accept({
      session_id: id,
      expires_at: instant(session.expiresMs),
      status: 'active',
      account_commitment: toHex(account.commitment),
      account_salt: toHex(salt),
      venue: account.venue,
      account_id: permissions.accountId,
      permissions: {
        read: permissions.read,
        trade: permissions.trade,
        withdraw: permissions.withdraw,
        transfer: permissions.transfer,
        ip_restricted: permissions.ipRestricted,
        sub_account: permissions.subAccount,
        expires_at: instant(permissions.expiresMs),
      },
    });
  }

  /** Credentials of a refused account are wiped when nobody uses them any more, and not before. */
  async #check(account: Account): Promise<Result<Permissions>> {
    const { polling, services } = this.#parts;
    const checking = polling.check(account);
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<Result<never>>((resolve) => {
      timer = setTimeout(() => {
        resolve(refuse('exchange_network', { what: 'timeout' }));
      }, CHECK_MS);
    });
    const checked = await Promise.race([checking, late]).finally(() => {
      if (timer !== null) clearTimeout(timer);
    });
    if (!checked.ok) {
      void services.guard.runAsync(async () => {
        await checking;
        wipeCredentials(account.credentials);
      });
    }
    return checked;
  }
}

/** Where the venue does not tell, the answer says so (null), and the account is taken. */
function checkPermissions(
  permissions: Permissions,
  allowTrading: boolean,
  allowWithdrawals: boolean,
): Result<Permissions> {
  const { read, trade, withdraw, transfer } = permissions;
  if (read === false) return refuse('exchange_refused', { what: 'the key cannot read' });
  if ((trade === true || transfer === true) && !allowTrading) {
    return refuse('permission_excessive', { what: 'trade' });
  }
  if (withdraw === true && !allowWithdrawals) {
    return refuse('permission_excessive', { what: 'withdraw' });
  }
  return accept(permissions);
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
