// API keys as the venues hand them out: the same lengths, alphabets and kinds of secret, so that clients that look
// at their shape are satisfied. They are worth nothing elsewhere.

import { generateKeyPairSync, randomBytes, randomUUID as uuid } from 'node:crypto';
import type { VenueName } from './markets.ts';
import type { Account, ApiKey, Permission } from './world.ts';

export interface KeyOptions {
  /** `['read']` without it. */
  readonly permissions?: readonly Permission[];
  readonly addresses?: readonly string[];
  readonly expiresMs?: number;
}

interface Credentials {
  readonly key: string;
  readonly secret: string;
  readonly passphrase: string | null;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Of 62 letters and digits; the slight bias does not matter here. */
function letters(length: number): string {
  return [...randomBytes(length)].map((byte) => ALPHABET.charAt(byte % 62)).join('');
}

function coinbase(): Credentials {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const secret = privateKey.export({ type: 'sec1', format: 'pem' });
  return { key: `organizations/${uuid()}/apiKeys/${uuid()}`, secret, passphrase: null };
}

function kraken(): Credentials {
  const secret = randomBytes(64).toString('base64');
  return { key: randomBytes(42).toString('base64'), secret, passphrase: null };
}

const MAKERS: Readonly<Record<VenueName, () => Credentials>> = {
  binance: () => ({ key: letters(64), secret: letters(64), passphrase: null }),
  bybit: () => ({ key: letters(18), secret: letters(36), passphrase: null }),
  kraken,
  krakenfutures: kraken,
  coinbase,
  okx: () => ({ key: uuid(), secret: letters(32).toUpperCase(), passphrase: letters(12) }),
  bitget: () => ({
    key: `bg_${randomBytes(16).toString('hex')}`,
    secret: randomBytes(32).toString('hex'),
    passphrase: letters(12),
  }),
  mexc: () => ({ key: `mx0${letters(15)}`, secret: letters(32), passphrase: null }),
  alpaca: () => ({
    key: `AK${letters(18).toUpperCase()}`,
    secret: letters(40),
    passphrase: null,
  }),
  // The key is the Flex token, the secret the query's number.
  ibkr: () => ({
    key: BigInt(`0x1${randomBytes(16).toString('hex')}`)
      .toString()
      .slice(0, 24),
    secret: String(1_000_000 + (randomBytes(4).readUInt32BE() % 9_000_000)),
    passphrase: null,
  }),
};

export function issueKey(account: Account, options: KeyOptions, nowMs: number): ApiKey {
  return {
    ...MAKERS[account.venue](),
    permissions: new Set(options.permissions ?? ['read']),
    addresses: options.addresses ?? null,
    createdMs: nowMs,
    expiresMs: options.expiresMs ?? null,
    isRevoked: false,
    nonce: 0n,
  };
}
