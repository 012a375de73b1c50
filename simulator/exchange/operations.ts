// What happens in the simulated exchange: accounts and keys are made, trades filled, funding paid, money moved.
// Each operation posts to the ledger and appends to the account's history, or throws RangeError and changes
// nothing. Defaults are a venue's ordinary ones: fees of a taker in the currency that was received.

import { absolute, divide, formatAmount, multiply, parseAmount, roundTo } from './amount.ts';
import type { Amount } from './amount.ts';
import { issueKey } from './keys.ts';
import type { KeyOptions } from './keys.ts';
import { walletBook } from './ledger.ts';
import type { EntryKind, Leg } from './ledger.ts';
import type { Market, VenueName } from './markets.ts';
import type { Account, ApiKey, Fill, Flow, FlowStatus, FlowType, Funding } from './world.ts';
import type { Position, World } from './world.ts';
import { hashOf } from './world.ts';

/** Where trades settle when nothing else is said. */
const UNIFIED: ReadonlySet<VenueName> = new Set(['bybit', 'okx']);

export function walletOf(venue: VenueName, segment: Market['segment']): string {
  return UNIFIED.has(venue) ? 'trading' : segment;
}

export interface AccountOptions extends KeyOptions {
  readonly venue: VenueName;
  /** Of a main account at the same venue. */
  readonly parent?: string;
  readonly isSandbox?: boolean;
}

export interface Opened {
  readonly account: Account;
  readonly key: ApiKey;
}

export function openAccount(world: World, options: AccountOptions): Opened {
  const number = world.nextNumber();
  const account: Account = {
    id: `${options.venue}-${String(number)}`,
    uid: String(300_000_000 + number),
    venue: options.venue,
    isSandbox: options.isSandbox ?? false,
    parent: options.parent === undefined ? null : world.account(options.parent).id,
    keys: [],
    fills: [],
    fundings: [],
    orders: [],
    flows: [],
    positions: new Map(),
  };
  world.accounts.set(account.id, account);
  const key = issueKey(account, options, world.nowMs());
  world.addKey(account, key);
  return { account, key };
}

export interface TradeOptions {
  readonly account: string;
  /** Unified: `BTC/USDT`, `BTC/USDT:USDT`. */
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  /** The market's at `timeMs` without it. */
  readonly price?: string;
  /** Base, or contracts. */
  readonly amount: string;
  readonly fee?: string;
  readonly feeCurrency?: string;
  readonly isMaker?: boolean;
  readonly timeMs?: number;
  readonly clientOrderId?: string;
  /** Of an earlier fill's order, when this is another part of it. */
  readonly order?: number;
  /** `margin`, for instance; the market's own without it. */
  readonly wallet?: string;
}

interface Amounts {
  readonly amount: Amount;
  readonly cost: Amount;
}

interface Fee {
  readonly fee: Amount;
  readonly currency: string;
}

/** Venues that take the fee of a spot trade out of what was received. */
const PAID_FROM_RECEIVED: ReadonlySet<VenueName> = new Set(['bybit', 'okx', 'bitget', 'alpaca']);

function feeOf(options: TradeOptions, venue: VenueName, market: Market, amounts: Amounts): Fee {
  const { settle, quote, base } = market;
  const isCoin = market.type === 'spot';
  const isInBase = isCoin && options.side === 'buy' && PAID_FROM_RECEIVED.has(venue);
  const standard = settle ?? (isInBase ? base : quote);
  const currency = options.feeCurrency ?? standard;
  if (options.fee !== undefined) return { fee: parseAmount(options.fee), currency };
  if (currency !== standard) throw new RangeError('a fee in another currency needs its amount');
  if (market.type === 'stock' && venue === 'alpaca') return { fee: 0n, currency };
  const rate = parseAmount(settle === null ? '0.001' : '0.0005');
  const whole = isInBase ? amounts.amount : amounts.cost;
  return { fee: roundTo(multiply(whole, rate), 8), currency };
}

function costOf(market: Market, price: Amount, amount: Amount): Amount {
  const size = multiply(amount, market.contractSize);
  return market.segment === 'inverse' ? roundTo(divide(size, price), 8) : multiply(size, price);
}

/** Profit of closing `contracts` (signed as the position) at `price`, in `settle`, cut to eight places. */
export function profitOf(position: Position, contracts: Amount, price: Amount): Amount {
  const { market, entry } = position;
  const size = multiply(contracts, market.contractSize);
  if (contracts === 0n) return 0n;
  if (market.segment !== 'inverse') return roundTo(multiply(size, price - entry), 8);
  return roundTo(divide(size, entry) - divide(size, price), 8);
}

/** What a fill makes of a position. Answers the profit that it realised. */
function applyFill(position: Position, change: Amount, price: Amount): Amount {
  const before = position.contracts;
  const isSameSide = before === 0n || before > 0n === change > 0n;
  const after = before + change;
  if (isSameSide) {
    const held = absolute(before);
    const added = absolute(change);
    if (position.market.segment === 'inverse' && before !== 0n) {
      const worth = divide(held, position.entry) + divide(added, price);
      position.entry = roundTo(divide(held + added, worth), 8);
    } else {
      const worth = multiply(held, position.entry) + multiply(added, price);
      position.entry = roundTo(divide(worth, held + added), 8);
    }
    position.contracts = after;
    return 0n;
  }
  const closed = absolute(change) < absolute(before) ? -change : before;
  const realized = profitOf(position, closed, price);
  position.contracts = after;
  if (after === 0n) position.entry = 0n;
  else if (after > 0n !== before > 0n) position.entry = price;
  return realized;
}

function marketOf(world: World, account: Account, symbol: string): Market {
  const market = world.venue(account.venue).markets.get(symbol);
  if (market === undefined) throw new RangeError(`no market ${symbol} at ${account.venue}`);
  return market;
}

function moved(
  account: Account,
  wallet: string,
  other: string,
  currency: string,
  amount: Amount,
): Leg[] {
  if (amount === 0n) return [];
  return [
    { book: walletBook(account.id, wallet), currency, amount },
    { book: other, currency, amount: -amount },
  ];
}

function checkFunds(world: World, account: Account, wallet: string, legs: readonly Leg[]): void {
  const book = walletBook(account.id, wallet);
  const changes = new Map<string, Amount>();
  for (const leg of legs) {
    if (leg.book === book) {
      changes.set(leg.currency, (changes.get(leg.currency) ?? 0n) + leg.amount);
    }
  }
  for (const [currency, change] of changes) {
    const after = world.ledger.balance(account.id, wallet, currency) + change;
    if (change < 0n && after < 0n) {
      throw new RangeError(`${account.id} lacks ${formatAmount(-after)} ${currency} in ${wallet}`);
    }
  }
}

export function trade(world: World, options: TradeOptions): Fill {
  const account = world.account(options.account);
  const market = marketOf(world, account, options.symbol);
  const timeMs = options.timeMs ?? world.nowMs();
  const { prices } = world.venue(account.venue);
  const price =
    options.price === undefined
      ? (prices.get(market.symbol, timeMs) ?? 0n)
      : parseAmount(options.price);
  const amount = parseAmount(options.amount);
  if (price <= 0n || amount <= 0n) throw new RangeError('price and amount are positive');
  const wallet = options.wallet ?? walletOf(account.venue, market.segment);
  const cost = costOf(market, price, amount);
  const charged = feeOf(options, account.venue, market, { amount, cost });
  const { fee, currency: feeCurrency } = charged;
  const sign = options.side === 'buy' ? 1n : -1n;
  const feeLegs = moved(account, wallet, 'fees', feeCurrency, -fee);
  const legs: Leg[] = [];
  const kept = account.positions.get(market.symbol);
  const position: Position = { ...(kept ?? { market, wallet, contracts: 0n, entry: 0n }) };
  let realized = 0n;
  if (market.settle === null) {
    legs.push(...moved(account, wallet, 'market', market.base, sign * amount));
    legs.push(...moved(account, wallet, 'market', market.quote, -sign * cost));
    if (wallet !== 'margin') checkFunds(world, account, wallet, [...legs, ...feeLegs]);
  } else {
    realized = applyFill(position, sign * amount, price);
    legs.push(...moved(account, wallet, 'market', market.settle, realized));
    account.positions.set(market.symbol, position);
  }
  const number = world.nextNumber();
  const order = options.order ?? world.nextNumber();
  const kind = market.settle === null ? 'trade' : 'pnl';
  if (legs.length > 0) world.ledger.post(timeMs, kind, number, legs);
  if (feeLegs.length > 0) world.ledger.post(timeMs, 'fee', number, feeLegs);
  const { side, clientOrderId = null, isMaker = false } = options;
  const fill: Fill = {
    number,
    order,
    clientOrderId,
    market,
    wallet,
    side,
    price,
    amount,
    cost,
    fee,
    feeCurrency,
    timeMs,
    isMaker,
    realized,
  };
  insertByTime(account.fills, fill);
  if (options.price !== undefined) prices.set(market.symbol, price, timeMs);
  return fill;
}

/** Keeps a history in the order of its times, whatever order it is told in. */
function insertByTime<T extends { readonly timeMs: number }>(history: T[], record: T): void {
  let at = history.length;
  while (at > 0 && (history[at - 1]?.timeMs ?? 0) > record.timeMs) at -= 1;
  history.splice(at, 0, record);
}

export interface FundingOptions {
  readonly account: string;
  readonly symbol: string;
  /** Signed: received or paid. */
  readonly amount: string;
  readonly timeMs?: number;
}

export function fund(world: World, options: FundingOptions): Funding {
  const account = world.account(options.account);
  const market = marketOf(world, account, options.symbol);
  if (market.settle === null) throw new RangeError(`${market.symbol} has no funding`);
  const timeMs = options.timeMs ?? world.nowMs();
  const wallet = walletOf(account.venue, market.segment);
  const amount = parseAmount(options.amount);
  const number = world.nextNumber();
  const currency = market.settle;
  world.ledger.post(timeMs, 'funding', number, moved(account, wallet, 'funding', currency, amount));
  const funding: Funding = { number, market, wallet, currency, amount, timeMs };
  insertByTime(account.fundings, funding);
  return funding;
}

export interface FlowOptions {
  readonly account: string;
  readonly currency: string;
  /** Positive for deposits, withdrawals and transfers. */
  readonly amount: string;
  /** What a withdrawal costs besides. */
  readonly fee?: string;
  readonly timeMs?: number;
  readonly status?: FlowStatus;
  readonly network?: string;
  /** That of the other side, where both are simulated; 64 hex digits. */
  readonly transaction?: string;
  /** Where it comes from or goes to in this account; the spot wallet without it. */
  readonly wallet?: string;
}

export interface TransferOptions extends FlowOptions {
  readonly toWallet: string;
  /** The same account without it. */
  readonly toAccount?: string;
}

function flowOf(world: World, type: FlowType, options: FlowOptions): Flow {
  const { currency, status = 'ok', network = currency } = options;
  const number = world.nextNumber();
  const amount = parseAmount(options.amount);
  const fee = parseAmount(options.fee ?? '0');
  const isSigned = !['deposit', 'withdrawal', 'transfer'].includes(type);
  if (!isSigned && amount <= 0n) throw new RangeError(`a ${type} is positive`);
  const timeMs = options.timeMs ?? world.nowMs();
  const transaction = options.transaction ?? hashOf(type, number);
  const common = { number, type, currency, amount, fee, timeMs, status, network, transaction };
  return { ...common, fromWallet: null, toWallet: null, otherAccount: null };
}

/** A deposit or withdrawal over the chain, or interest, a dividend, a fee that is no trade's. */
export function move(world: World, type: Exclude<FlowType, 'transfer'>, given: FlowOptions): Flow {
  const account = world.account(given.account);
  const wallet = given.wallet ?? walletOf(account.venue, 'spot');
  const raw = flowOf(world, type, given);
  const isOut = type === 'withdrawal';
  const flow: Flow = { ...raw, [isOut ? 'fromWallet' : 'toWallet']: wallet };
  const { currency, amount, fee, timeMs, number, status } = flow;
  if (status !== 'failed' && !(status === 'pending' && type === 'deposit')) {
    const legs = moved(account, wallet, 'chain', currency, isOut ? -amount : amount);
    legs.push(...moved(account, wallet, 'fees', currency, -fee));
    if (isOut) checkFunds(world, account, wallet, legs);
    const kind: EntryKind = type;
    if (legs.length > 0) world.ledger.post(timeMs, kind, number, legs);
  }
  insertByTime(account.flows, flow);
  return flow;
}

/** Between wallets of one account, or of a main account and its sub-account. */
export function transfer(world: World, options: TransferOptions): Flow {
  const account = world.account(options.account);
  const target = world.account(options.toAccount ?? options.account);
  if (target.venue !== account.venue) throw new RangeError('a transfer stays within a venue');
  const fromWallet = options.wallet ?? walletOf(account.venue, 'spot');
  const { toWallet } = options;
  const otherAccount = target.id === account.id ? null : target.id;
  const flow: Flow = { ...flowOf(world, 'transfer', options), fromWallet, toWallet, otherAccount };
  const legs = moved(
    account,
    fromWallet,
    walletBook(target.id, toWallet),
    flow.currency,
    -flow.amount,
  );
  checkFunds(world, account, fromWallet, legs);
  world.ledger.post(flow.timeMs, 'transfer', flow.number, legs);
  insertByTime(account.flows, flow);
  if (otherAccount !== null) {
    insertByTime(target.flows, { ...flow, otherAccount: account.id });
  }
  return flow;
}
