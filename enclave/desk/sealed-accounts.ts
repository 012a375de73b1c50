// Accounts that the owner sealed for the image (purpose `exchange_account`): the firm's own, polled from the boot on. They
// come through KMS and carry the owner's signature, so their settings are not asked for again; a wrong one ends
// the boot with a code, rather than being left out in silence. An owner who wants results puts a session id in.

import { parseHex, parseUtf8, toHex } from '../../wire/bytes.ts';
import type { DeskSecret } from '../../wire/desk-frames.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { AccountMaterial } from './account-material.ts';
import { ACCOUNT_SALT_BYTES, accountOf } from './account-material.ts';
import { registerMetadata } from './api-schemas.ts';
import type { SecretFields } from './secret-fields.ts';
import { parseSecretFields, wipeFields } from './secret-fields.ts';

const SETTINGS = ['exchange', 'label', 'accountType', 'sandbox', 'allowTrading', 'symbols'];
const SESSION_ID_CHARACTERS = 43;

export interface SealedAccount {
  readonly material: AccountMaterial;
  /** Bytes of the text, chosen by the owner; null: nobody can ask for results. */
  readonly sessionId: Buffer | null;
}

/** The same in every epoch, so that polling goes on where it was. */
export function sealedAccountId(name: string): string {
  const hash = nodeCrypto.sha256(Buffer.from(`trackseal/sealed-account/${name}`));
  return toHex(hash.subarray(0, 16));
}

/** Settings are no secrets: they may be strings. */
function text(value: unknown): unknown {
  return Buffer.isBuffer(value) ? parseUtf8(value) : value;
}

function settingsOf(fields: SecretFields): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    SETTINGS.filter((name) => fields.has(name)).map((name) => {
      const value: unknown = fields.get(name);
      return [name, Array.isArray(value) ? value.map(text) : text(value)];
    }),
  );
}

/** Refuses `seal_malformed` with the name of the item, `venue_closed`, `venue_unknown`; wipes `secret.bytes`. */
export function sealedAccountOf(secret: DeskSecret, createdNs: bigint): Result<SealedAccount> {
  const { name } = secret;
  const fields = parseSecretFields(secret.bytes);
  secret.bytes.fill(0);
  if (!fields.ok) return refuse('seal_malformed', { name });
  const parsed = registerMetadata.safeParse({
    op: 'register',
    time: 0,
    label: name,
    ...settingsOf(fields.value),
  });
  const saltText = fields.value.get('salt');
  const salt = Buffer.isBuffer(saltText) ? parseHex(saltText.toString('latin1')) : undefined;
  const sessionId = fields.value.get('sessionId') ?? null;
  const complete =
    parsed.success &&
    (saltText === undefined || salt?.length === ACCOUNT_SALT_BYTES) &&
    (sessionId === null ||
      (Buffer.isBuffer(sessionId) && sessionId.length === SESSION_ID_CHARACTERS));
  if (!complete) {
    wipeFields(fields.value);
    return refuse('seal_malformed', { name });
  }
  const material = accountOf(parsed.data, fields.value, {
    id: sealedAccountId(name),
    source: 'sealed',
    createdNs,
    salt: salt ?? undefined,
    others: [...SETTINGS, 'salt', 'sessionId'],
  });
  if (!material.ok) {
    const { code } = material.refusal;
    return code === 'api_malformed' ? refuse('seal_malformed', { name }) : material;
  }
  return accept({ material: material.value, sessionId });
}
