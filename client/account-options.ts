// What a trader says about an account: checked here, so that a mistake is named before anything is sent. The enclave
// checks all of it again.

import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export type AccountType = 'spot' | 'futures' | 'margin' | 'unified';
export const ACCOUNT_TYPES: readonly AccountType[] = ['spot', 'futures', 'margin', 'unified'];

export interface AccountOptions {
  /** The trader's own name for themselves; part of the account's commitment, sent encrypted. */
  readonly userId: string;
  /** As docs/VENUES.md lists them, such as `binance`. */
  readonly exchange: string;
  readonly apiKey: string;
  readonly secret: string;
  /** Where the exchange has one. */
  readonly passphrase?: string;
  /** Tells several accounts at one exchange apart; readable for whoever ends TLS. */
  readonly label?: string;
  readonly accountType?: AccountType;
  /** The exchange's test environment. */
  readonly sandbox?: boolean;
  /** Keys that can trade are refused unless this says so. */
  readonly allowTrading?: boolean;
  /** Keys that can withdraw are refused unless this says so. */
  readonly allowWithdrawals?: boolean;
  /** Asked for in any case, beside what the exchange lists. */
  readonly symbols?: readonly string[];
  /** Seconds, 300 to 604,800; default 86,400. */
  readonly ttl?: number;
}

export const MIN_TTL_SECONDS = 300;
export const MAX_TTL_SECONDS: number = 7 * 86_400;
export const DEFAULT_TTL_SECONDS = 86_400;
const MAX_TEXT_BYTES = 4096;
const MAX_SYMBOLS = 100;

/** Refuses `usage_invalid`, naming the option and never what is in it. */
export function checkAccount(options: AccountOptions): Result<AccountOptions> {
  const { userId, exchange, apiKey, secret, passphrase, label, accountType, symbols, ttl } =
    options;
  const wrong = [
    isText(userId, 100) && !/\s/u.test(userId) ? null : 'userId: up to 100 characters, no spaces',
    /^[a-z0-9_-]{1,32}$/u.test(exchange) ? null : 'exchange: a name like binance',
    isText(apiKey, MAX_TEXT_BYTES) ? null : 'apiKey: missing',
    isText(secret, MAX_TEXT_BYTES) ? null : 'secret: missing',
    passphrase === undefined || isText(passphrase, MAX_TEXT_BYTES) ? null : 'passphrase: empty',
    label === undefined || label.length <= 100 ? null : 'label: up to 100 characters',
    accountType === undefined || ACCOUNT_TYPES.includes(accountType)
      ? null
      : `accountType: one of ${ACCOUNT_TYPES.join(', ')}`,
    symbols === undefined ||
    (symbols.length <= MAX_SYMBOLS && symbols.every((one) => isText(one, 64)))
      ? null
      : 'symbols: up to 100, each of up to 64 characters',
  ].find((what) => what !== null);
  if (wrong !== undefined) return refuse('usage_invalid', { what: wrong });
  const checked = checkTtl(ttl ?? DEFAULT_TTL_SECONDS);
  return checked.ok ? accept(options) : checked;
}

export function checkTtl(ttl: number): Result<null> {
  if (Number.isInteger(ttl) && ttl >= MIN_TTL_SECONDS && ttl <= MAX_TTL_SECONDS)
    return accept(null);
  return refuse('usage_invalid', {
    what: `ttl: ${MIN_TTL_SECONDS} to ${MAX_TTL_SECONDS} seconds`,
  });
}

/** Options may come from JavaScript, where nobody has checked their types. */
function isText(value: unknown, maximum: number): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= maximum;
}
