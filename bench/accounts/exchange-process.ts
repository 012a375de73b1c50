// The simulated exchange in a process of its own, with accounts that have traded: it is not part of what is measured.

import { startExchange } from '../../simulator/exchange/server.ts';
import type { AccountAnswer } from '../../simulator/exchange/control.ts';
import type { VenueName } from '../../simulator/exchange/markets.ts';

/** How a thousand accounts are spread: Binance counts the weight of one address, so that it takes few of them. */
const SHARES: readonly (readonly [VenueName, number])[] = [
  ['binance', 0.1],
  ['bybit', 0.3],
  ['kraken', 0.3],
  ['coinbase', 0.3],
];
const QUOTES: Readonly<Partial<Record<VenueName, string>>> = { kraken: 'USD', coinbase: 'USD' };
const FILLS = 20;
const TRADE_MS = 1000;

export interface OpenedAccount extends AccountAnswer {
  readonly venue: VenueName;
}

export interface ExchangeReady {
  readonly port: number;
  readonly ca: string;
  readonly hosts: readonly string[];
  readonly accounts: readonly OpenedAccount[];
}

/** Mixed, as they would come. */
function venueAt(index: number): VenueName {
  const place = ((index * 7) % 10) / 10;
  let upTo = 0;
  for (const [venue, share] of SHARES) {
    upTo += share;
    if (place < upTo - 0.01) return venue;
  }
  return 'coinbase';
}

if (import.meta.main) {
  const count = Number(process.argv[2]);
  const exchange = await startExchange();
  const { control } = exchange;
  const trade = ({ account, venue }: OpenedAccount, timeMs: number): void => {
    const symbol = `BTC/${QUOTES[venue] ?? 'USDT'}`;
    control.trade({ account, symbol, side: 'buy', amount: '0.0001', price: '60000.5', timeMs });
  };
  const accounts = Array.from({ length: count }, (_, index): OpenedAccount => {
    const venue = venueAt(index);
    const opened = { ...control.account({ venue }), venue };
    control.deposit({
      account: opened.account,
      currency: QUOTES[venue] ?? 'USDT',
      amount: '1000000',
    });
    for (let fill = 0; fill < FILLS; fill++) trade(opened, Date.now() - (fill + 1) * 60_000);
    return opened;
  });
  const ready: ExchangeReady = {
    port: exchange.port,
    ca: exchange.ca,
    hosts: exchange.hosts,
    accounts,
  };
  process.send?.(ready);
  // They go on trading: a fill a second, of one after the other.
  let next = 0;
  setInterval(() => {
    const account = accounts[next++ % accounts.length];
    if (account !== undefined) trade(account, Date.now());
  }, TRADE_MS);
  process.on('message', () => {
    const ledgers = accounts.map(({ account }) => control.ledger({ account }).fills);
    process.send?.(ledgers.reduce((sum, fills) => sum + fills, 0));
  });
  process.on('disconnect', () => process.exit(0));
}
