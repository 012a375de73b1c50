// The enclave's answer to a registration, and what a client keeps of it. The answer came sealed, so the enclave has made
// it; all the same its form is checked.

import { parseHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Fields } from './channel.ts';

/** What is needed to go on with a session. Holds its id, which is a secret. */
export interface SavedSession {
  readonly enclaveUrl: string;
  readonly sessionId: string;
  /** Ms since the Unix epoch. */
  readonly expiresMs: number;
  /** Of the enclave that took the account: later ones have to be of its log. */
  readonly origin: string;
  /** Hex. What results are about; tells nobody without the salt whose account it is. */
  readonly accountCommitment: string;
  /** Hex. Whoever is shown it, with user id, label and what follows, can check the commitment. */
  readonly accountSalt: string;
  /** As the commitment has it. */
  readonly venue: string;
  /** The venue's own name for the account, which is in the commitment; null where the venue does not tell. */
  readonly accountId: string | null;
}

/** What the exchange says about the keys; null where it does not tell. */
export interface Permissions {
  readonly read: boolean | null;
  readonly trade: boolean | null;
  readonly withdraw: boolean | null;
  readonly transfer: boolean | null;
  /** Of use from certain addresses only. */
  readonly ipRestricted: boolean | null;
  readonly subAccount: boolean | null;
}

export interface Registration {
  readonly session: SavedSession;
  readonly permissions: Permissions;
}

const SESSION_ID = /^[A-Za-z0-9_-]{43}$/u;
const HASH_BYTES = 32;

export function readExpiry(answer: Fields): Result<number> {
  const value = answer['expires_at'];
  const expiresMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isSafeInteger(expiresMs)) return accept(expiresMs);
  return refuse('envelope_malformed', { field: 'expires_at' });
}

export interface RegistrationContext {
  readonly enclaveUrl: string;
  readonly origin: string;
}

export function readRegistration(
  answer: Fields,
  { enclaveUrl, origin }: RegistrationContext,
): Result<Registration> {
  const sessionId = answer['session_id'];
  const expires = readExpiry(answer);
  const commitment = readHash(answer['account_commitment']);
  const salt = readHash(answer['account_salt']);
  if (!expires.ok) return expires;
  if (typeof sessionId !== 'string' || !SESSION_ID.test(sessionId)) {
    return refuse('envelope_malformed', { field: 'session_id' });
  }
  if (commitment === null || salt === null) {
    return refuse('envelope_malformed', { field: 'account_commitment' });
  }
  const venue = answer['venue'];
  const accountId = answer['account_id'];
  if (typeof venue !== 'string' || (typeof accountId !== 'string' && accountId !== null)) {
    return refuse('envelope_malformed', { field: 'account_id' });
  }
  const permissions = readPermissions(answer['permissions']);
  return accept({
    session: {
      enclaveUrl,
      sessionId,
      expiresMs: expires.value,
      origin,
      accountCommitment: commitment,
      accountSalt: salt,
      venue,
      accountId,
    },
    permissions,
  });
}

/** Hex of 32 bytes. */
function readHash(value: unknown): string | null {
  return typeof value === 'string' && parseHex(value)?.length === HASH_BYTES ? value : null;
}

function readPermissions(value: unknown): Permissions {
  const record = (typeof value === 'object' && value !== null ? value : {}) as Fields;
  const flag = (name: string): boolean | null => {
    const one = record[name];
    return typeof one === 'boolean' ? one : null;
  };
  return {
    read: flag('read'),
    trade: flag('trade'),
    withdraw: flag('withdraw'),
    transfer: flag('transfer'),
    ipRestricted: flag('ip_restricted'),
    subAccount: flag('sub_account'),
  };
}
