// The closed lists that desk and connector share: what became of a call, why something is not covered,
// venues and kinds of accounts. Nothing outside of these lists crosses between the two.

/** What became of a call, by what may be done about it. Closed. */
export const RETRYABLE_CLASSES = [
  'network',
  'timeout',
  'rate_limited',
  'banned',
  'unavailable',
  'maintenance',
  'invalid_nonce',
  'bad_response',
] as const;
export const PERMANENT_CLASSES = [
  'authentication',
  'permission',
  'account',
  'bad_request',
  'not_supported',
  'geo_blocked',
  'tls_untrusted',
  'redirected',
  'too_large',
  'host_not_allowed',
] as const;
export type ErrorClass = (typeof RETRYABLE_CLASSES)[number] | (typeof PERMANENT_CLASSES)[number];
export const ERROR_CLASSES: readonly ErrorClass[] = [...RETRYABLE_CLASSES, ...PERMANENT_CLASSES];
export type CallClass = ErrorClass | 'ok';
export const CALL_CLASSES: readonly CallClass[] = ['ok', ...ERROR_CLASSES];

export function isRetryable(errorClass: ErrorClass): boolean {
  return (RETRYABLE_CLASSES as readonly ErrorClass[]).includes(errorClass);
}

/** Why something is not covered, where it is no failed call. Closed. */
const OTHER_REASONS = [
  /** The venue has no such call. */
  'venue_lacks',
  /** The venue answers per symbol only, and symbols that were never seen cannot be asked for. */
  'symbols_unknown',
  /** The venue keeps or shows less history than was asked for. */
  'history_limit',
  /** Calls, time or memory of the job ran out; the next poll goes on from the cursors. */
  'budget',
  /** The venue brings it later: a day's statement, for example. */
  'delayed',
  /** A record that breaks its own form was left out. */
  'record_malformed',
  'venue_closed',
] as const;
export type CoverageReason = ErrorClass | (typeof OTHER_REASONS)[number];
export const COVERAGE_REASONS: readonly CoverageReason[] = [...ERROR_CLASSES, ...OTHER_REASONS];

export const VENUES = [
  'binance',
  'binanceusdm',
  'binancecoinm',
  'binancemargin',
  'bybit',
  'bitget',
  'mexc',
  'kraken',
  'krakenfutures',
  'coinbase',
  'okx',
  'ibkr',
  'alpaca',
] as const;
export type Venue = (typeof VENUES)[number];

/** What reads by POST; everything else that is asked of a venue goes by GET. */
export const READS_BY_POST: Readonly<Partial<Record<Venue, RegExp>>> = {
  kraken:
    /^\/0\/private\/(?:BalanceEx|TradesHistory|Ledgers|OpenPositions|GetApiKeyInfo|Balance)$/u,
};

export const ACCOUNT_TYPES = ['spot', 'futures', 'margin', 'unified'] as const;
export type AccountType = (typeof ACCOUNT_TYPES)[number];

export const COVERAGE_SUBJECTS = [
  'fills',
  'balances',
  'positions',
  'funding',
  'deposits',
  'withdrawals',
  'transfers',
  'fees',
  'interest',
  'prices',
] as const;
export type CoverageSubject = (typeof COVERAGE_SUBJECTS)[number];

export interface Coverage {
  readonly what: CoverageSubject;
  /** A wallet, market type or symbol; `all` for the account. */
  readonly market: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly complete: boolean;
  readonly reason: CoverageReason | null;
}
