// What each venue's connector can give: `given`, or why not. `venue_lacks`: the venue has no such thing, or no call for
// it; `not_supported`: it has one, and this version does not read it. Each poll says so in its coverage, and
// docs/VENUES.md prints it; a test compares.

import type { CoverageSubject, Venue } from './classes.ts';

export type Declared = 'given' | 'venue_lacks' | 'not_supported';

/** Prices are of markets, not of accounts: what a venue does not have is said for each that is asked for. */
export type Declaration = Readonly<Record<Exclude<CoverageSubject, 'prices'>, Declared>>;

const ALL: Declaration = {
  fills: 'given',
  balances: 'given',
  positions: 'given',
  funding: 'given',
  deposits: 'given',
  withdrawals: 'given',
  transfers: 'given',
  fees: 'given',
  interest: 'given',
};

const NO_DERIVATIVES = { positions: 'venue_lacks', funding: 'venue_lacks' } as const;
/** Money comes and goes through another wallet of the venue. */
const INNER = { deposits: 'venue_lacks', withdrawals: 'venue_lacks' } as const;

export const DECLARED: Readonly<Record<Venue, Declaration>> = {
  binance: { ...ALL, ...NO_DERIVATIVES },
  binancemargin: { ...ALL, ...NO_DERIVATIVES, ...INNER },
  binanceusdm: { ...ALL, ...INNER, interest: 'venue_lacks' },
  binancecoinm: { ...ALL, ...INNER, interest: 'venue_lacks' },
  bybit: { ...ALL, interest: 'not_supported' },
  bitget: { ...ALL, interest: 'not_supported' },
  mexc: { ...ALL, interest: 'venue_lacks' },
  kraken: { ...ALL, funding: 'venue_lacks' },
  krakenfutures: { ...ALL, ...INNER },
  coinbase: { ...ALL, positions: 'not_supported', funding: 'not_supported' },
  okx: ALL,
  ibkr: { ...ALL, funding: 'venue_lacks' },
  alpaca: { ...ALL, funding: 'venue_lacks' },
};
