// Which book an account has: what its venue prices coins in, and how it shows margin trades.

import { createSecretKey, randomBytes } from 'node:crypto';
import { utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Venue } from '../../connector/classes.ts';
import { AccountBook } from '../book/account-book.ts';
import type { BookOptions } from '../book/contract.ts';
import { referenceOf } from '../book/reference.ts';
import type { LedgerAccount } from '../protocol.ts';
import type { LedgerServices } from '../services.ts';
import type { BookMaker } from './account-parts.ts';

const DIGEST_INFO: Uint8Array = utf8('trackseal/ledger/prices/v1');

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

/** `storageKeys` by version; without one, digests of prices are under a key that nobody keeps. */
export function booksOf(
  storageKeys: LedgerServices['storageKeys'],
  referenceKey: LedgerServices['referenceKey'],
): BookMaker {
  const secret =
    storageKeys.get(Math.min(...storageKeys.keys())) ?? new Uint8Array(randomBytes(32));
  const optionsWith = (account: LedgerAccount): BookOptions => ({
    ...optionsOf(account),
    digestKey: createSecretKey(nodeCrypto.hkdfSha256(secret, account.commitment, DIGEST_INFO, 32)),
    referenceOf: (id) => referenceOf(referenceKey(account.userHash), account.venue, id),
  });
  return {
    open: (account) => new AccountBook(optionsWith(account)),
    parse: (bytes, account) => AccountBook.parse(bytes, optionsWith(account)),
  };
}
