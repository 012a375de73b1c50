// Which book an account has: what its venue prices coins in, and how it shows margin trades.

import type { Venue } from '../../connector/classes.ts';
import { AccountBook } from '../book/account-book.ts';
import type { BookOptions } from '../book/contract.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { BookMaker } from './account-parts.ts';

const PRICED_IN: Readonly<Record<Venue, string>> = {
  binance: 'USDT',
  binanceusdm: 'USDT',
  binancecoinm: 'USDT',
  binancemargin: 'USDT',
  bybit: 'USDT',
  bitget: 'USDT',
  mexc: 'USDT',
  okx: 'USDT',
  kraken: 'USD',
  krakenfutures: 'USD',
  coinbase: 'USD',
  ibkr: 'USD',
  alpaca: 'USD',
};

function optionsOf({ venue }: LedgerAccount): BookOptions {
  return { pricedIn: PRICED_IN[venue], marginPositions: venue === 'kraken' };
}

export const BOOKS: BookMaker = {
  open: (account) => new AccountBook(optionsOf(account)),
  parse: (bytes, account) => AccountBook.parse(bytes, optionsOf(account)),
};
