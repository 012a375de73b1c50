// A session as the vault keeps it: the account with its credentials, and the hash of the session's id. Read back at the
// next boot from what the host brought, after it was opened with the data key: by then it is our own writing, and
// all the same every field is checked.

import { utf8 } from '../../wire/bytes.ts';
import { encodeMap } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { ACCOUNT_TYPES, VENUES } from '../connector/classes.ts';
import { oneOf } from '../connector/records.ts';
import type { Account } from './accounts.ts';
import { MAX_VAULT_PLAINTEXT_BYTES } from './vault-record.ts';

export const MAX_CREDENTIAL_BYTES = 4096;
export const MAX_SYMBOLS = 100;
export const MAX_SYMBOL_CHARACTERS = 64;
export const MAX_LABEL_CHARACTERS = 100;

export interface SessionRecord {
  /** SHA-256 of the session id's text. */
  readonly hash: Uint8Array;
  readonly account: Account;
  /** Milliseconds since the Unix epoch. */
  readonly expiresMs: number;
}

/** Holds the credentials: wipe it. */
export function encodeSessionRecord({ hash, account, expiresMs }: SessionRecord): Uint8Array {
  const { credentials } = account;
  return encodeMap(
    [1, hash],
    [2, expiresMs],
    [3, account.commitment],
    [4, account.venue],
    [5, account.label],
    [6, account.accountType],
    [7, account.environment],
    [8, account.symbols],
    [9, account.allowTrading],
    [10, account.createdNs],
    [11, credentials.apiKey],
    [12, credentials.secret],
    [13, credentials.passphrase],
    [14, account.userTag],
  );
}

/** `id` is the id of the record, and of the account. Credentials are copies: wipe `bytes`. */
export function parseSessionRecord(id: string, bytes: Uint8Array): Result<SessionRecord> {
  const copies: Buffer[] = [];
  const copy = (secret: Uint8Array): Buffer => {
    const buffer = Buffer.from(secret);
    copies.push(buffer);
    return buffer;
  };
  const parsed = parseFields('session', bytes, MAX_VAULT_PLAINTEXT_BYTES, (fields) => {
    const passphrase = fields.bytesOrNull(13, 1, MAX_CREDENTIAL_BYTES);
    return {
      hash: fields.bytes(1, 32).slice(),
      expiresMs: fields.uint(2),
      account: {
        id,
        commitment: fields.bytes(3, 32).slice(),
        // Records of before had none: such an account is a user of its own.
        userTag: fields.has(14)
          ? fields.bytes(14, 32).slice()
          : nodeCrypto.sha256(utf8(`trackseal/user/v1/account\0${id}`)),
        venue: oneOf(fields, 4, VENUES),
        label: fields.text(5, MAX_LABEL_CHARACTERS, 0),
        accountType: oneOf(fields, 6, ACCOUNT_TYPES),
        environment: oneOf(fields, 7, ['live', 'sandbox']),
        symbols: fields.texts(8, MAX_SYMBOLS, MAX_SYMBOL_CHARACTERS),
        allowTrading: fields.bool(9),
        createdNs: fields.uint64(10),
        source: 'session' as const,
        credentials: {
          apiKey: copy(fields.bytes(11, 1, MAX_CREDENTIAL_BYTES)),
          secret: copy(fields.bytes(12, 1, MAX_CREDENTIAL_BYTES)),
          passphrase: passphrase === null ? null : copy(passphrase),
        },
      },
    };
  });
  if (!parsed.ok) for (const buffer of copies) buffer.fill(0);
  return parsed;
}
