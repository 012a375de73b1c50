// The state of the simulated exchange: venues with their markets and prices, accounts with their keys and their
// history, one ledger and one clock. What changes it is in operations.ts; the venues only read it. Numbers
// that look random (ids, hashes) are derived from counters, so that two runs with the same calls are alike.

import { parseAmount } from './amount.ts';
import type { Amount } from './amount.ts';
import { Ledger } from './ledger.ts';
import { MARKETS, START_PRICES, VENUES } from './markets.ts';
import type { Market, VenueName } from './markets.ts';
import { Prices } from './prices.ts';
import { Book } from './streams/book.ts';
import type { OpenOrder } from './open-orders.ts';

export { hashOf, uuidOf } from './world-ids.ts';

export type Permission = 'read' | 'trade' | 'withdraw' | 'transfer' | 'futures' | 'margin';

export interface ApiKey {
  readonly key: string;
  /** As the venue hands it out: a hex text, base64, or a PEM. */
  readonly secret: string;
  readonly passphrase: string | null;
  readonly permissions: ReadonlySet<Permission>;
  /** Addresses that may use it; null: all. */
  readonly addresses: readonly string[] | null;
  readonly createdMs: number;
  readonly expiresMs: number | null;
  isRevoked: boolean;
  /** The highest so far, for venues that want them to rise. */
  nonce: bigint;
}

export interface Fill {
  readonly number: number;
  readonly order: number;
  readonly clientOrderId: string | null;
  readonly market: Market;
  readonly wallet: string;
  readonly side: 'buy' | 'sell';
  readonly price: Amount;
  /** Base, or contracts. */
  readonly amount: Amount;
  /** Of quote; of `settle` in inverse markets. */
  readonly cost: Amount;
  /** Negative: a rebate. */
  readonly fee: Amount;
  readonly feeCurrency: string;
  readonly timeMs: number;
  readonly isMaker: boolean;
  /** In `settle`; zero in spot markets. */
  readonly realized: Amount;
}

export interface Funding {
  readonly number: number;
  readonly market: Market;
  readonly wallet: string;
  readonly currency: string;
  /** Positive: received. */
  readonly amount: Amount;
  readonly timeMs: number;
}

export type FlowType =
  'deposit' | 'withdrawal' | 'transfer' | 'interest' | 'dividend' | 'fee' | 'rebate' | 'other';

export type FlowStatus = 'pending' | 'ok' | 'failed';

export interface Flow {
  readonly number: number;
  readonly type: FlowType;
  readonly currency: string;
  /** Positive but for `interest`, `dividend`, `fee`, `rebate` and `other`, whose sign is the account's. */
  readonly amount: Amount;
  readonly fee: Amount;
  readonly timeMs: number;
  readonly status: FlowStatus;
  readonly network: string;
  /** Of the network, 64 hex digits. */
  readonly transaction: string;
  readonly fromWallet: string | null;
  readonly toWallet: string | null;
  /** A transfer's other side. */
  readonly otherAccount: string | null;
}

export interface Position {
  readonly market: Market;
  readonly wallet: string;
  /** Signed. */
  contracts: Amount;
  entry: Amount;
}

export interface Account {
  /** `binance-1`: the simulator's. */
  readonly id: string;
  /** The venue's own, a number. */
  readonly uid: string;
  readonly venue: VenueName;
  /** Of the venue's sandbox: its keys work there only. */
  readonly isSandbox: boolean;
  /** Of the main account, where this is a sub-account. */
  readonly parent: string | null;
  readonly keys: ApiKey[];
  readonly fills: Fill[];
  readonly fundings: Funding[];
  readonly orders: OpenOrder[];
  readonly flows: Flow[];
  readonly positions: Map<string, Position>;
}

export class Venue {
  readonly name: VenueName;
  readonly markets: ReadonlyMap<string, Market>;
  /** In quote currencies, by unified symbol. */
  readonly prices: Prices;
  /** Added to the clock in what this venue says and checks. */
  skewMs = 0;
  /** Multiplies its rate limits. */
  limitScale = 1;
  readonly #byId: ReadonlyMap<string, Market>;
  readonly #books = new Map<string, Book>();

  readonly #nowMs: () => number;

  constructor(name: VenueName, nowMs: () => number) {
    this.name = name;
    this.#nowMs = nowMs;
    const markets = MARKETS[name];
    this.markets = new Map(markets.map((market) => [market.symbol, market]));
    this.prices = new Prices(this.markets, nowMs);
    this.#byId = new Map(markets.map((market) => [`${market.segment}/${market.id}`, market]));
    for (const { symbol, base, quote } of markets) {
      const price = Number(START_PRICES[base] ?? '1') / Number(START_PRICES[quote] ?? '1');
      this.prices.set(symbol, parseAmount(price.toFixed(price < 10 ? 6 : 2)), 0);
    }
  }

  /** The exchange's clock; a venue's own may be off by its skew. */
  nowMs(): number {
    return this.#nowMs();
  }

  marketById(segment: Market['segment'], id: string): Market | null {
    return this.#byId.get(`${segment}/${id}`) ?? null;
  }

  marketsOf(segment: Market['segment']): readonly Market[] {
    return [...this.markets.values()].filter((market) => market.segment === segment);
  }

  price(market: Market): Amount {
    return this.prices.get(market.symbol) ?? 0n;
  }

  /** Made when it is first looked at. */
  book(market: Market): Book {
    const kept = this.#books.get(market.symbol);
    const book = kept ?? new Book(`${this.name} ${market.symbol}`, this.price(market));
    this.#books.set(market.symbol, book);
    return book;
  }
}

interface Found {
  readonly account: Account;
  readonly key: ApiKey;
}

function keyName(venue: VenueName, isSandbox: boolean, key: string): string {
  return `${venue}/${isSandbox ? 'sandbox' : 'live'}/${key}`;
}

export class World {
  readonly ledger: Ledger = new Ledger();
  readonly venues: ReadonlyMap<VenueName, Venue>;
  readonly accounts: Map<string, Account> = new Map();
  /** Added to the machine's clock. */
  offsetMs = 0;
  readonly #clock: () => number;
  readonly #keys = new Map<string, Found>();
  #number = 1_000_000;

  constructor(clock: () => number) {
    this.#clock = clock;
    this.venues = new Map(VENUES.map((name) => [name, new Venue(name, () => this.nowMs())]));
  }

  nowMs(): number {
    return Math.trunc(this.#clock()) + this.offsetMs;
  }

  /** For fills, orders and flows alike; rises. */
  nextNumber(): number {
    this.#number += 1;
    return this.#number;
  }

  venue(name: VenueName): Venue {
    const venue = this.venues.get(name);
    if (venue === undefined) throw new Error(`no venue ${name}`);
    return venue;
  }

  account(id: string): Account {
    const account = this.accounts.get(id);
    if (account === undefined) throw new RangeError(`no account ${id}`);
    return account;
  }

  addKey(account: Account, key: ApiKey): void {
    account.keys.push(key);
    this.#keys.set(keyName(account.venue, account.isSandbox, key.key), { account, key });
  }

  /** Whose key that is. Revoked and expired ones are found too. */
  findKey(venue: VenueName, isSandbox: boolean, key: string): Found | null {
    return this.#keys.get(keyName(venue, isSandbox, key)) ?? null;
  }

  childrenOf(account: Account): readonly Account[] {
    return [...this.accounts.values()].filter(({ parent }) => parent === account.id);
  }
}
