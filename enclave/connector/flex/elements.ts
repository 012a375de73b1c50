// The elements of a Flex statement as records, attribute by attribute. Trades count at the level of executions only, and
// a cancelled one is the opposite trade. An element that is none of ours says why: nothing is passed over unseen.

import { assertDecimal, canonicalDecimal, formatDecimal } from '../../../wire/decimal.ts';
import { digestOf, flowOf, idAt, nameAt, negated, sumOf, withoutSign } from '../normalise.ts';
import type { Raw } from '../raw.ts';
import { decimalAt, textAt } from '../raw.ts';
import type {
  Balance,
  ConnectorRecord,
  Fill,
  Flow,
  FlowType,
  MarketKind,
  Money,
  Position,
  Price,
} from '../records.ts';
import { endOfFlexDay, parseFlexTime } from './dates.ts';

/**
 * Why an element gives no record. `level`: it sums up, or splits, what other elements of its section say. `nothing`: it is of
 * nothing, such as a position of zero. `unused`: a rate of a currency that the statement does not have.
 */
export type Untaken = 'level' | 'nothing' | 'unused';

export interface Context {
  readonly accountId: string;
  /** Last day of the statement, as it writes it. */
  readonly toDate: string;
  /** A name for an element without an id of its own: two of the same are two. */
  readonly nameOf: (parts: readonly (string | null)[]) => string;
  /** Currencies of the records so far. */
  readonly currencies: ReadonlySet<string>;
}

/** Null: malformed. */
export type Taken = ConnectorRecord | readonly ConnectorRecord[] | Untaken | null;

/** Of the statements themselves, as prices are asked for. */
const SOURCE = 'interactivebrokers.com/flex-statement';

const KINDS: Readonly<Record<string, MarketKind>> = {
  STK: 'stock',
  FUND: 'stock',
  BOND: 'stock',
  BILL: 'stock',
  WAR: 'option',
  IOPT: 'option',
  OPT: 'option',
  FOP: 'option',
  // Of the style of futures: margined daily, no premium is paid.
  FSFOP: 'future',
  FSOPT: 'future',
  FUT: 'future',
  CASH: 'fx',
  // Coins and metals are positions with marks here, like shares, and in no cash report.
  CRYPTO: 'stock',
  CMDTY: 'stock',
  CFD: 'swap',
  FXCFD: 'swap',
};

interface Instrument {
  readonly symbol: string;
  readonly market: MarketKind;
  readonly base: string | null;
  readonly quote: string | null;
  readonly contractSize: string | null;
}

function instrumentOf(raw: Raw): Instrument | null {
  const symbol = nameAt(raw, 'symbol');
  const market = KINDS[textAt(raw, 'assetCategory') ?? ''];
  if (symbol === null || market === undefined) return null;
  const [base = symbol] = market === 'fx' ? symbol.split('.') : [symbol];
  const multiplier = decimalAt(raw, 'multiplier');
  const contract = market === 'option' || market === 'future' || market === 'swap';
  // Bonds are quoted in percent.
  const isPercent = /^(?:BOND|BILL)$/u.test(textAt(raw, 'assetCategory') ?? '');
  return {
    symbol,
    market,
    base,
    quote: nameAt(raw, 'currency'),
    contractSize: isPercent ? '0.01' : contract ? multiplier : null,
  };
}

function timeOfTrade(raw: Raw): number | null {
  const joined = textAt(raw, 'dateTime');
  if (joined !== null) return parseFlexTime(joined)?.timeMs ?? null;
  const date = textAt(raw, 'tradeDate');
  const time = textAt(raw, 'tradeTime');
  if (date === null) return null;
  return parseFlexTime(time === null ? date : `${date};${time}`)?.timeMs ?? null;
}

/** Commission and taxes are negative where they are paid. */
function feesOf(raw: Raw): readonly Money[] | null {
  const commission = negated(decimalAt(raw, 'ibCommission'));
  const currency = nameAt(raw, 'ibCommissionCurrency') ?? nameAt(raw, 'currency');
  if (commission === null || currency === null) return null;
  const fees: Money[] = [{ currency, amount: commission }];
  const taxes = negated(decimalAt(raw, 'taxes'));
  const own = nameAt(raw, 'currency');
  if (taxes !== null && taxes !== '0' && own !== null) fees.push({ currency: own, amount: taxes });
  return fees;
}

const PLACES = 18;

/** Without a price of its own, what was paid by how much there was of it, cut after 18 digits. */
function priceOf(raw: Raw, money: string | null, quantity: string, size: string): string | null {
  const told = decimalAt(raw, 'tradePrice');
  if (told !== null || money === null) return told;
  const [paid, units, factor] = [money, quantity, size].map((text) =>
    assertDecimal(withoutSign(text)),
  );
  if (paid === undefined || units === undefined || factor === undefined) return null;
  const whole = units.units * factor.units * 10n ** BigInt(paid.scale);
  const places = BigInt(PLACES + units.scale + factor.scale);
  if (whole === 0n) return null;
  const price = { units: (paid.units * 10n ** places) / whole, scale: PLACES };
  return canonicalDecimal(formatDecimal(price));
}

function moneyOf(raw: Raw): string | null {
  const told = decimalAt(raw, 'tradeMoney') ?? decimalAt(raw, 'proceeds');
  const cost = decimalAt(raw, 'cost');
  const commission = decimalAt(raw, 'ibCommission');
  if (told !== null || cost === null || commission === null) return told;
  // The cost of a purchase has the commission in it; that of a sale is what was once paid.
  return textAt(raw, 'buySell') === 'BUY' ? sumOf(cost, commission) : null;
}

export function readTrade(raw: Raw, { accountId, nameOf }: Context): Taken {
  if ((textAt(raw, 'levelOfDetail') ?? 'EXECUTION') !== 'EXECUTION') return 'level';
  const instrument = instrumentOf(raw);
  const quantity = decimalAt(raw, 'quantity');
  const timeMs = timeOfTrade(raw);
  if (instrument === null || quantity === null || timeMs === null) return null;
  const money = moneyOf(raw);
  const price = priceOf(raw, money, quantity, instrument.contractSize ?? '1');
  if (price === null) return null;
  // A corrected trade has the tradeID of the one that was cancelled.
  const own =
    idAt(raw, 'transactionID') ??
    idAt(raw, 'ibExecID') ??
    idAt(raw, 'tradeID') ??
    nameOf(['trade', instrument.symbol, quantity, money, String(timeMs)]);
  const isContract = instrument.contractSize !== null && instrument.market !== 'stock';
  const fill: Fill = {
    kind: 'fill',
    id: `${accountId}:${own}`,
    orderId: idAt(raw, 'ibOrderID'),
    clientOrderId: idAt(raw, 'orderReference'),
    ...instrument,
    settle: isContract ? instrument.quote : null,
    inverse: isContract ? false : null,
    // By its sign: a cancelled purchase is "BUY (Ca.)" with a negative quantity.
    side: quantity.startsWith('-') ? 'sell' : 'buy',
    price,
    amount: withoutSign(quantity),
    cost: money === null ? null : withoutSign(money),
    fees: feesOf(raw),
    timeMs,
    liquidity: null,
    rawDigest: digestOf(raw),
  };
  return fill;
}

/** `Deposits/Withdrawals` is what files say; the other spelling is in the manual. */
const CASH_TYPES: Readonly<Record<string, FlowType>> = {
  'deposits/withdrawals': 'deposit',
  'deposits & withdrawals': 'deposit',
  'deposits &amp; withdrawals': 'deposit',
  'bill pay': 'deposit',
  dividends: 'dividend',
  'payment in lieu of dividends': 'dividend',
  // Less income, and income again where it is given back; no fee of trading, and no deposit.
  'withholding tax': 'dividend',
  '871(m) withholding': 'dividend',
  'broker interest paid': 'interest',
  'broker interest received': 'interest',
  'bond interest paid': 'interest',
  'bond interest received': 'interest',
  'broker fees': 'fee',
  'other fees': 'fee',
  'advisor fees': 'fee',
  'commission adjustments': 'rebate',
  'price adjustments': 'other',
};

/** When it was booked: a tax or a dividend may be dated long before. */
function bookedAt(raw: Raw, ...names: readonly string[]): number | null {
  const own = names.map((name) => textAt(raw, name)).find((text) => text !== null) ?? '';
  const dated = parseFlexTime(own);
  const booked = parseFlexTime(textAt(raw, 'reportDate') ?? '');
  if (dated === null || booked === null) return (dated ?? booked)?.timeMs ?? null;
  return Math.max(dated.timeMs, booked.timeMs);
}

export function readCash(raw: Raw, { accountId, nameOf }: Context): Taken {
  // The summary of a day repeats its details.
  if (textAt(raw, 'levelOfDetail') === 'SUMMARY') return 'level';
  const amount = decimalAt(raw, 'amount');
  const found = CASH_TYPES[(textAt(raw, 'type') ?? '').toLowerCase()] ?? 'other';
  const type = found === 'deposit' && amount?.startsWith('-') === true ? 'withdrawal' : found;
  const currency = nameAt(raw, 'currency');
  const when = textAt(raw, 'dateTime') ?? textAt(raw, 'reportDate');
  const own = idAt(raw, 'transactionID') ?? nameOf([type, currency, amount, when]);
  return flowOf({
    id: `${accountId}:${own}`,
    type,
    currency,
    amount,
    timeMs: bookedAt(raw, 'dateTime', 'settleDate'),
    from: accountId,
    market: KINDS[textAt(raw, 'assetCategory') ?? ''] ?? (type === 'dividend' ? 'stock' : null),
  });
}

/** Of a day, and not among the cash transactions. */
function chargeOf(
  raw: Raw,
  { accountId, nameOf }: Context,
  amount: string | null,
  facts: Pick<Flow, 'type' | 'market'>,
): Taken {
  const currency = nameAt(raw, 'currency');
  if (amount === '0') return 'nothing';
  const own = idAt(raw, 'transactionID') ?? nameOf([currency, amount, textAt(raw, 'date')]);
  const id = `${accountId}:${facts.type === 'fee' ? 'tax' : 'cfd'}-${own}`;
  return flowOf({ ...facts, id, currency, amount, timeMs: bookedAt(raw, 'date') });
}

/** On what was paid for. */
export function readSalesTax(raw: Raw, context: Context): Taken {
  return chargeOf(raw, context, decimalAt(raw, 'salesTax'), { type: 'fee', market: null });
}

/** Interest and borrowing of CFDs. */
export function readCfdCharge(raw: Raw, context: Context): Taken {
  return chargeOf(raw, context, decimalAt(raw, 'total'), { type: 'interest', market: 'swap' });
}

/** Shares that came or went (splits, tenders, spin-offs); where there is money for them, the two are a conversion. */
export function readCorporateAction(raw: Raw, { accountId, nameOf }: Context): Taken {
  if (textAt(raw, 'levelOfDetail') === 'SUMMARY') return 'level';
  const symbol = nameAt(raw, 'symbol');
  const currency = nameAt(raw, 'currency');
  const quantity = decimalAt(raw, 'quantity') ?? '0';
  const proceeds = decimalAt(raw, 'proceeds') ?? '0';
  const when = textAt(raw, 'dateTime');
  if (quantity === '0' && proceeds === '0') return 'nothing';
  const own = idAt(raw, 'transactionID') ?? nameOf(['action', symbol, quantity, proceeds, when]);
  const id = `${accountId}:${own}`;
  const type = quantity === '0' || proceeds === '0' ? 'other' : 'conversion';
  const networkId = type === 'conversion' ? id : null;
  const timeMs = bookedAt(raw, 'dateTime', 'reportDate');
  const common = { type, networkId, timeMs } as const;
  const shares = flowOf({ ...common, id, currency: symbol, amount: quantity });
  const money = flowOf({ ...common, id: `${id}-cash`, currency, amount: proceeds });
  if (shares === null || money === null) return null;
  return [shares, money].filter(({ amount }: Flow) => amount !== '0');
}

/** Cash, or securities: those are named by their symbol. */
export function readTransfer(raw: Raw, { accountId, nameOf }: Context): Taken {
  if (textAt(raw, 'levelOfDetail') === 'LOT') return 'level';
  const cash = decimalAt(raw, 'cashTransfer');
  const quantity = decimalAt(raw, 'quantity');
  const direction = (textAt(raw, 'direction') ?? '').toUpperCase();
  const isCash = cash !== null && cash !== '0';
  const size = isCash ? cash : quantity;
  if (size === null || (direction !== 'IN' && direction !== 'OUT')) return null;
  const amount = direction === 'OUT' ? negated(withoutSign(size)) : withoutSign(size);
  const when = textAt(raw, 'dateTime') ?? textAt(raw, 'date') ?? '';
  const currency = isCash ? nameAt(raw, 'currency') : nameAt(raw, 'symbol');
  const own = idAt(raw, 'transactionID') ?? nameOf(['transfer', currency, amount, when]);
  const other = nameAt(raw, 'account');
  return flowOf({
    id: `${accountId}:${own}`,
    type: 'transfer_in',
    currency,
    amount,
    timeMs: parseFlexTime(when)?.timeMs ?? null,
    from: direction === 'IN' ? other : accountId,
    to: direction === 'IN' ? accountId : other,
  });
}

export function readPosition(raw: Raw, { accountId, toDate }: Context): Taken {
  // Lots of a position beside the position itself.
  if (textAt(raw, 'levelOfDetail') === 'LOT') return 'level';
  const instrument = instrumentOf(raw);
  const quantity = decimalAt(raw, 'position');
  if (instrument === null || quantity === null) return null;
  if (quantity === '0') return 'nothing';
  const mark = decimalAt(raw, 'markPrice');
  const position: Position = {
    kind: 'position',
    symbol: `${accountId}:${instrument.symbol}`.slice(0, 64),
    market: instrument.market,
    side: quantity.startsWith('-') ? 'short' : 'long',
    contracts: withoutSign(quantity),
    contractSize: instrument.contractSize,
    entry: decimalAt(raw, 'costBasisPrice') ?? decimalAt(raw, 'openPrice'),
    mark,
    // Stocks, options and futures alike; `forexCfdUnrealizedPl` is of currencies and CFDs only.
    unrealized: decimalAt(raw, 'fifoPnlUnrealized'),
    settle: instrument.quote,
    marginMode: null,
  };
  const price = priceRow('mark', instrument.symbol, textAt(raw, 'reportDate') ?? toDate, mark);
  return price === null ? position : [position, price];
}

/** Null where there is none: of zero and below too. */
function priceRow(
  of: Price['of'],
  symbol: string,
  day: string,
  price: string | null,
): Price | null {
  const atMs = endOfFlexDay(day);
  if (atMs === null || price === null || price === '0' || price.startsWith('-')) return null;
  return { kind: 'price', of, symbol, atMs, price, source: SOURCE, stepMs: 0, tradedMs: atMs };
}

/** Of the currencies that the statement has, and of the dollar; there are thirty others for every day. */
export function readRate(raw: Raw, { currencies }: Context): Taken {
  const from = nameAt(raw, 'fromCurrency');
  const to = nameAt(raw, 'toCurrency');
  const day = textAt(raw, 'reportDate');
  if (from === null || to === null || day === null) return null;
  if (from === to || (from !== 'USD' && !currencies.has(from))) return 'unused';
  return priceRow('spot', `${from}/${to}`, day, decimalAt(raw, 'rate'));
}

export function readBalance(raw: Raw, { accountId }: Context): Taken {
  const currency = nameAt(raw, 'currency');
  // All currencies added up, in that of the account.
  if (currency === 'BASE_SUMMARY') return 'level';
  const total = decimalAt(raw, 'endingCash');
  if (currency === null || total === null) return null;
  const balance: Balance = { kind: 'balance', wallet: accountId, currency, total, free: null };
  return balance;
}
