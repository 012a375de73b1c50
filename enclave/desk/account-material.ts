// Makes an account of what came inside: settings that everybody may see, and credentials that nobody may. Venue names
// are those of the connectors; older clients name a venue and a type instead. FTX has an answer of its own.
// Credentials are buffers that belong to the account; what is left of a refused one is wiped.

import { randomBytes } from 'node:crypto';
import { concatBytes, parseUtf8, toHex } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { AccountType, Venue } from '../connector/classes.ts';
import { VENUES } from '../connector/classes.ts';
import { userTagOf } from '../ledger/user-hash.ts';
import type { Account, Credentials } from './accounts.ts';
import type { SecretFields } from './secret-fields.ts';
import { wipeFields } from './secret-fields.ts';
import { MAX_CREDENTIAL_BYTES } from './session-record.ts';

const MAX_USER_ID_BYTES = 100;
const FIELDS = ['userId', 'apiKey', 'secret', 'apiSecret', 'passphrase'];
export const ACCOUNT_SALT_BYTES = 32;
/** Where a type of account has a venue of its own here. */
const VENUES_OF_TYPES: ReadonlyMap<string, Venue> = new Map([
  ['binance/futures', 'binanceusdm'],
  ['binance/margin', 'binancemargin'],
  ['kraken/futures', 'krakenfutures'],
]);

export interface AccountSettings {
  readonly exchange: string;
  readonly label: string;
  readonly accountType: AccountType;
  readonly sandbox: boolean;
  readonly allowTrading: boolean;
  readonly symbols: readonly string[];
}

export interface AccountMaterial {
  readonly account: Account;
  readonly salt: Uint8Array;
  /** The commitment when the venue's own id of the account is known. */
  readonly commit: (venueAccountId: string | null) => Uint8Array;
}

/** Refuses `venue_closed`, `venue_unknown`. */
export function venueOf(exchange: string, accountType: AccountType): Result<Venue> {
  // Bankrupt since 2022-11-11: no API answers, and no history can be had.
  if (/^ftx(?:us)?$/u.test(exchange)) return refuse('venue_closed', { venue: exchange });
  const venue =
    VENUES_OF_TYPES.get(`${exchange}/${accountType}`) ?? VENUES.find((one) => one === exchange);
  return venue === undefined ? refuse('venue_unknown') : accept(venue);
}

function isText(value: unknown, maximum: number): value is Buffer {
  return Buffer.isBuffer(value) && value.length > 0 && value.length <= maximum;
}

/** Takes apiKey, secret and passphrase out of the fields. Null: one is missing, or too long. */
function credentialsOf(fields: SecretFields): Credentials | null {
  const apiKey = fields.get('apiKey');
  const secret = fields.get('secret') ?? fields.get('apiSecret');
  const passphrase = fields.get('passphrase') ?? null;
  if (!isText(apiKey, MAX_CREDENTIAL_BYTES) || !isText(secret, MAX_CREDENTIAL_BYTES)) return null;
  if (passphrase !== null && !isText(passphrase, MAX_CREDENTIAL_BYTES)) return null;
  return { apiKey, secret, passphrase };
}

/**
 * `fields` has userId, apiKey, secret (older clients: apiSecret) and maybe passphrase, and no others than `others`; its
 * buffers become the account's. Refuses `api_malformed`, and what `venueOf` does; everything is wiped then.
 */
export function accountOf(
  settings: AccountSettings,
  fields: SecretFields,
  terms: {
    readonly id: string;
    readonly source: Account['source'];
    readonly createdNs: bigint;
    readonly salt?: Uint8Array | undefined;
    readonly others?: readonly string[];
  },
): Result<AccountMaterial> {
  const refused = (result: Result<never>): Result<never> => {
    wipeFields(fields);
    return result;
  };
  const { exchange, label, accountType, sandbox, allowTrading, symbols } = settings;
  const venue = venueOf(exchange, accountType);
  if (!venue.ok) return refused(venue);
  const known = new Set([...FIELDS, ...(terms.others ?? [])]);
  if ([...fields.keys()].some((name) => !known.has(name))) return refused(refuse('api_malformed'));
  if (fields.has('secret') && fields.has('apiSecret')) return refused(refuse('api_malformed'));
  const userId = fields.get('userId');
  const credentials = credentialsOf(fields);
  if (!isText(userId, MAX_USER_ID_BYTES) || credentials === null) {
    return refused(refuse('api_malformed'));
  }
  const user = parseUtf8(userId);
  userId.fill(0);
  if (user === null || /\p{C}/u.test(user)) return refused(refuse('api_malformed'));
  const salt = terms.salt ?? new Uint8Array(randomBytes(ACCOUNT_SALT_BYTES));
  const environment = sandbox ? 'sandbox' : 'live';
  const commit = (venueAccountId: string | null): Uint8Array => {
    const named = [user, venue.value, label, environment, venueAccountId] as const;
    const map = new Map(named.map((value, index) => [index + 1, value]));
    return nodeCrypto.sha256(concatBytes(salt, encodeCbor(map)));
  };
  const account: Account = {
    id: terms.id,
    commitment: commit(null),
    userTag: userTagOf(user),
    venue: venue.value,
    label,
    accountType,
    environment,
    symbols,
    allowTrading,
    credentials,
    createdNs: terms.createdNs,
    source: terms.source,
  };
  return accept({ account, salt, commit });
}

export function newAccountId(): string {
  return toHex(randomBytes(16));
}
