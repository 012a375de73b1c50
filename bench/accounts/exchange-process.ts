// The simulated exchange in a process of its own, with accounts that have traded: it is not part of what is measured.

import { startExchange } from '../../simulator/exchange/server.ts';
import type { AccountAnswer } from '../../simulator/exchange/control.ts';
import type { VenueName } from '../../simulator/exchange/markets.ts';
import { VENUES } from '../../simulator/exchange/markets.ts';

/** Of ten accounts; the argument after the count, as `binance=1,bybit=3`. */
type Mix = readonly (readonly [VenueName, number])[];

function parseMix(text: string): Mix {
  const mix = text.split(',').map((part): readonly [VenueName, number] => {
    const [, name = '', places = ''] = /^([a-z]+)=([0-9]+)$/u.exec(part) ?? [];
    const venue = VENUES.find((known) => known === name);
    if (venue === undefined) throw new RangeError(`no part of a mix: ${part}`);
    return [venue, Number(places)];
  });
  const sum = mix.reduce((total, [, places]) => total + places, 0);
  if (sum !== 10) throw new RangeError(`a mix is of ten accounts, not of ${sum}`);
  return mix;
}

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

/** Mixed, as they would come: 7 and 10 have no common factor. */
function venueAt(mix: Mix, index: number): VenueName {
  const all = mix.flatMap(([venue, places]) => Array.from({ length: places }, () => venue));
  const venue = all[(index * 7) % all.length];
  if (venue === undefined) throw new Error('no mix');
  return venue;
}

if (import.meta.main) {
  const [, , count = '', mixText = ''] = process.argv;
  const mix = parseMix(mixText);
  const exchange = await startExchange();
  const { control } = exchange;
  const trade = ({ account, venue }: OpenedAccount, timeMs: number): void => {
    const symbol = `BTC/${QUOTES[venue] ?? 'USDT'}`;
    control.trade({ account, symbol, side: 'buy', amount: '0.0001', price: '60000.5', timeMs });
  };
  const accounts = Array.from({ length: Number(count) }, (_, index): OpenedAccount => {
    const venue = venueAt(mix, index);
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
