// What a test or the demo does to the simulated exchange: opens accounts, trades, moves money, injects faults,
// and reads the ledger and what was requested. In process these are methods; control-server.ts serves the same
// as JSON. Amounts are decimal texts everywhere.

import { formatAmount, parseAmount } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Faults } from './faults.ts';
import type { Fault } from './faults.ts';
import { issueKey } from './keys.ts';
import type { KeyOptions } from './keys.ts';
import type { VenueName } from './markets.ts';
import { cancelOrder, placeOrder } from './open-orders.ts';
import type { OrderOptions } from './open-orders.ts';
import { fund, move, openAccount, trade, transfer } from './operations.ts';
import type { AccountOptions, FlowOptions, FundingOptions } from './operations.ts';
import type { TradeOptions, TransferOptions } from './operations.ts';
import type { DisturbOptions, Streams, TickOptions } from './streams/streams.ts';
import type { Account, ApiKey, FlowType, World } from './world.ts';

export interface AccountAnswer {
  readonly account: string;
  /** The venue's own number for it. */
  readonly uid: string;
  readonly api_key: string;
  readonly secret: string;
  readonly passphrase: string | null;
}

/** Decimal texts by currency. */
export type Sums = Readonly<Record<string, string>>;

export interface LedgerAnswer {
  readonly fills: number;
  /** Of quote (settle in inverse markets). */
  readonly volume: Sums;
  readonly fees: Sums;
  readonly funding: Sums;
  readonly realized: Sums;
  readonly deposits: Sums;
  readonly withdrawals: Sums;
  readonly interest: Sums;
  /** By wallet, without zeros. */
  readonly balances: Readonly<Record<string, Sums>>;
  /** Signed contracts by symbol, without zeros. */
  readonly positions: Sums;
}

export interface RequestRecord {
  readonly venue: VenueName;
  readonly method: string;
  readonly path: string;
  /** With the fault's name where it met one. */
  readonly status: number | string;
  readonly timeMs: number;
}

const MAX_REQUESTS = 100_000;

function addTo(sums: Map<string, Amount>, currency: string, amount: Amount): void {
  sums.set(currency, (sums.get(currency) ?? 0n) + amount);
}

function written(sums: ReadonlyMap<string, Amount>): Sums {
  const entries = [...sums].filter(([, amount]) => amount !== 0n);
  entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([name, amount]) => [name, formatAmount(amount)]));
}

function answerOf(account: Account, key: ApiKey): AccountAnswer {
  const { secret, passphrase } = key;
  return { account: account.id, uid: account.uid, api_key: key.key, secret, passphrase };
}

export class Control {
  readonly world: World;
  readonly faults: Faults;
  /** The last of them, the oldest first. */
  readonly requests: RequestRecord[] = [];
  readonly #counts = new Map<string, number>();
  readonly streams: Streams;
  readonly #cut: (host: string | null) => void;

  constructor(world: World, faults: Faults, streams: Streams, cut: (host: string | null) => void) {
    this.world = world;
    this.faults = faults;
    this.streams = streams;
    this.#cut = cut;
  }

  account(options: AccountOptions): AccountAnswer {
    const { account, key } = openAccount(this.world, options);
    return answerOf(account, key);
  }

  /** Another key of the account. */
  key(options: KeyOptions & { readonly account: string }): AccountAnswer {
    const account = this.world.account(options.account);
    const key = issueKey(account, options, this.world.nowMs());
    this.world.addKey(account, key);
    return answerOf(account, key);
  }

  /** All keys of the account without one. */
  revoke(options: { readonly account: string; readonly api_key?: string }): void {
    for (const key of this.world.account(options.account).keys) {
      if (options.api_key === undefined || options.api_key === key.key) key.isRevoked = true;
    }
  }

  /** Answers the fill's number and its order's. */
  trade(options: TradeOptions): { readonly id: number; readonly order: number } {
    const { number, order } = trade(this.world, options);
    return { id: number, order };
  }

  /** An order that stays open. */
  order(options: OrderOptions): { readonly order: number } {
    return { order: placeOrder(this.world, options).number };
  }

  cancel(options: { readonly account: string; readonly order: number }): void {
    cancelOrder(this.world, options.account, options.order);
  }

  funding(options: FundingOptions): { readonly id: number } {
    return { id: fund(this.world, options).number };
  }

  deposit(options: FlowOptions): { readonly id: number } {
    return { id: move(this.world, 'deposit', options).number };
  }

  withdraw(options: FlowOptions): { readonly id: number } {
    return { id: move(this.world, 'withdrawal', options).number };
  }

  /** Interest, a dividend, a fee or rebate: signed. */
  cash(options: FlowOptions & { readonly type: FlowType }): { readonly id: number } {
    const { type } = options;
    if (type === 'transfer') throw new RangeError('use transfer');
    return { id: move(this.world, type, options).number };
  }

  transfer(options: TransferOptions): { readonly id: number } {
    return { id: transfer(this.world, options).number };
  }

  /** From now on, or from a moment in the past. */
  price(options: {
    readonly venue: VenueName;
    readonly symbol: string;
    readonly price: string;
    readonly timeMs?: number;
  }): void {
    const venue = this.world.venue(options.venue);
    if (!venue.markets.has(options.symbol)) throw new RangeError(`no market ${options.symbol}`);
    venue.prices.set(options.symbol, parseAmount(options.price), options.timeMs);
  }

  /** Prices of all venues go up and down by themselves, in the past too; or stay where they are set. */
  move(options: { readonly isMoving: boolean }): void {
    for (const venue of this.world.venues.values()) venue.prices.isMoving = options.isMoving;
  }

  /** The venue was down: it has no candles that begin in that time. */
  outage(options: {
    readonly venue: VenueName;
    readonly fromMs: number;
    readonly toMs: number;
    readonly isQuiet?: boolean;
  }): void {
    const { venue, fromMs, toMs, isQuiet = false } = options;
    this.world.venue(venue).prices.outages.push({ fromMs, toMs, isQuiet });
  }

  /** A market's price at a moment, now without one. */
  priceAt(options: {
    readonly venue: VenueName;
    readonly symbol: string;
    readonly timeMs?: number;
  }): { readonly price: string } {
    const price = this.world.venue(options.venue).prices.get(options.symbol, options.timeMs);
    if (price === undefined) throw new RangeError(`no market ${options.symbol}`);
    return { price: formatAmount(price) };
  }

  /** Changes a book that streams tell. */
  tick(options: TickOptions): void {
    this.streams.tick(options);
  }

  /** Ticks all books that somebody listens to, so often; 0 ends it. */
  pace(options: { readonly everyMs: number }): void {
    this.streams.pace(options.everyMs);
  }

  /** Streams lose updates, break off, or start anew. */
  disturb(options: DisturbOptions): void {
    this.streams.disturb(options);
  }

  /** How far the whole exchange's clock is from the machine's. */
  clock(options: { readonly offsetMs: number }): void {
    this.world.offsetMs = options.offsetMs;
  }

  /** How far one venue's clock is from the exchange's. */
  skew(options: { readonly venue: VenueName; readonly ms: number }): void {
    this.world.venue(options.venue).skewMs = options.ms;
  }

  /** Multiplies a venue's rate limits; 0 refuses everything. */
  limits(options: { readonly venue: VenueName; readonly scale: number }): void {
    this.world.venue(options.venue).limitScale = options.scale;
  }

  /** Answers its id. Throws ZodError. */
  fault(input: Fault): { readonly id: number } {
    const id = this.faults.add(input);
    if (input.type === 'certificate') this.#cut(input.host ?? null);
    return { id };
  }

  /** One fault, or all of them. */
  clear(options: { readonly id?: number } = {}): void {
    this.faults.clear(options.id);
    this.#cut(null);
  }

  /** Cuts connections to one host, or all. */
  cut(options: { readonly host?: string } = {}): void {
    this.#cut(options.host ?? null);
  }

  /** Requests since the start, by `venue METHOD path status`. */
  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  count(venue: VenueName, method: string, path: string, status: number | string): void {
    const name = `${venue} ${method} ${path} ${String(status)}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.requests.push({ venue, method, path, status, timeMs: this.world.nowMs() });
    if (this.requests.length > MAX_REQUESTS) this.requests.splice(0, MAX_REQUESTS / 2);
  }

  /** What the account did, in sums: nothing that a venue told, but what the ledger holds. */
  ledger(options: {
    readonly account: string;
    readonly fromMs?: number;
    readonly toMs?: number;
  }): LedgerAnswer {
    const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER } = options;
    const account = this.world.account(options.account);
    const isIn = ({ timeMs }: { readonly timeMs: number }): boolean =>
      timeMs >= fromMs && timeMs < toMs;
    const fills = account.fills.filter(isIn);
    const totals = {
      volume: new Map<string, Amount>(),
      fees: new Map<string, Amount>(),
      realized: new Map<string, Amount>(),
      funding: new Map<string, Amount>(),
      deposits: new Map<string, Amount>(),
      withdrawals: new Map<string, Amount>(),
      interest: new Map<string, Amount>(),
    };
    for (const { market, cost, fee, feeCurrency, realized } of fills) {
      const isInverse = market.segment === 'inverse';
      const currency = isInverse ? (market.settle ?? '') : market.quote;
      addTo(totals.volume, currency, cost);
      addTo(totals.fees, feeCurrency, fee);
      if (market.settle !== null) addTo(totals.realized, market.settle, realized);
    }
    for (const { currency, amount } of account.fundings.filter(isIn)) {
      addTo(totals.funding, currency, amount);
    }
    for (const { type, currency, amount, status } of account.flows.filter(isIn)) {
      if (status !== 'ok') continue;
      if (type === 'deposit') addTo(totals.deposits, currency, amount);
      if (type === 'withdrawal') addTo(totals.withdrawals, currency, amount);
      if (type === 'interest') addTo(totals.interest, currency, amount);
    }
    const named = Object.entries(totals).map(([name, value]) => [name, written(value)] as const);
    const texts = Object.fromEntries(named) as Readonly<Record<keyof typeof totals, Sums>>;
    return { fills: fills.length, ...texts, ...this.#held(account) };
  }

  #held(account: Account): Pick<LedgerAnswer, 'balances' | 'positions'> {
    const wallets = new Set(this.world.ledger.rows(account.id).map(({ wallet }) => wallet));
    const balances = [...wallets].map((wallet) => [
      wallet,
      written(this.world.ledger.balances(account.id, wallet)),
    ]);
    const positions = new Map(
      [...account.positions].map(([symbol, { contracts }]) => [symbol, contracts]),
    );
    return {
      balances: Object.fromEntries(balances) as Readonly<Record<string, Sums>>,
      positions: written(positions),
    };
  }
}
