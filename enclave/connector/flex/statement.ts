// A Flex answer as records: all statements of a query, each with its account, attributes by attribute. Trades count at
// the level of executions only, and a cancelled one is the opposite trade. What the query leaves out is named,
// so that a missing section is missing coverage and no empty account.

import { XMLParser } from 'fast-xml-parser';
import { digestOf, flowOf, idAt, nameAt, negated, withoutSign } from '../normalise.ts';
import type { Raw } from '../raw.ts';
import { at, decimalAt, isRaw, textAt } from '../raw.ts';
import type {
  Balance,
  ConnectorRecord,
  Fill,
  FlowType,
  MarketKind,
  Money,
  Position,
} from '../records.ts';
import { isSound } from '../records.ts';
import { endOfFlexDay, parseFlexTime } from './dates.ts';

/** Lists, even with one element or none. */
const LISTS: ReadonlySet<string> = new Set([
  'FlexStatement',
  'Trade',
  'CashTransaction',
  'Transfer',
  'OpenPosition',
  'CashReportCurrency',
]);

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  parseTagValue: false,
  ignoreDeclaration: true,
  // The five of XML itself occur in descriptions, which are not read; a document's own are not expanded.
  processEntities: false,
  isArray: (name) => LISTS.has(name),
});

/** Null when it is no XML of this kind. */
export function parseFlexXml(text: string): Raw | null {
  try {
    const document: unknown = parser.parse(text);
    return isRaw(document) ? document : null;
  } catch {
    return null;
  }
}

export const SECTIONS = [
  'Trades',
  'CashTransactions',
  'Transfers',
  'OpenPositions',
  'CashReport',
] as const;
export type Section = (typeof SECTIONS)[number];

export interface FlexStatement {
  readonly accountId: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly records: readonly ConnectorRecord[];
  readonly malformed: Readonly<Record<Section, number>>;
  readonly missing: readonly Section[];
}

/** All statements of an answer; null when it is no answer with statements. */
export function readFlexStatements(document: Raw): readonly FlexStatement[] | null {
  const statements = at(document, 'FlexQueryResponse', 'FlexStatements', 'FlexStatement');
  if (!Array.isArray(statements) || statements.length === 0) return null;
  const read = statements.map((statement) => readStatement(statement));
  return read.every((statement) => statement !== null) ? read : null;
}

const ELEMENTS: Readonly<Record<Section, string>> = {
  Trades: 'Trade',
  CashTransactions: 'CashTransaction',
  Transfers: 'Transfer',
  OpenPositions: 'OpenPosition',
  CashReport: 'CashReportCurrency',
};

type Read = (raw: Raw, accountId: string) => ConnectorRecord | readonly ConnectorRecord[] | null;

const READERS: Readonly<Record<Section, Read>> = {
  Trades: readTrade,
  CashTransactions: readCash,
  Transfers: readTransfer,
  OpenPositions: readPosition,
  CashReport: readBalance,
};

function readStatement(statement: unknown): FlexStatement | null {
  const accountId = nameAt(statement, 'accountId');
  const from = parseFlexTime(textAt(statement, 'fromDate') ?? '');
  const toMs = endOfFlexDay(textAt(statement, 'toDate') ?? '');
  if (accountId === null || from === null || toMs === null) return null;
  const records: ConnectorRecord[] = [];
  const missing: Section[] = [];
  const malformed = Object.fromEntries(SECTIONS.map((name) => [name, 0])) as Record<
    Section,
    number
  >;
  for (const section of SECTIONS) {
    if (!isRaw(statement) || !(section in statement)) {
      missing.push(section);
      continue;
    }
    const raws = at(statement, section, ELEMENTS[section]);
    for (const raw of Array.isArray(raws) ? raws.filter(isRaw) : []) {
      const result = READERS[section](raw, accountId);
      const all = result === null ? [] : 'kind' in result ? [result] : result;
      if (result === null || !all.every(isSound)) malformed[section]++;
      else records.push(...all);
    }
  }
  return { accountId, fromMs: from.timeMs, toMs, records, malformed, missing };
}

const KINDS: Readonly<Record<string, MarketKind>> = {
  STK: 'stock',
  FUND: 'stock',
  BOND: 'stock',
  BILL: 'stock',
  WAR: 'option',
  IOPT: 'option',
  OPT: 'option',
  FOP: 'option',
  FSFOP: 'option',
  FUT: 'future',
  CASH: 'fx',
  CRYPTO: 'spot',
  CFD: 'swap',
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
  return {
    symbol,
    market,
    base,
    quote: nameAt(raw, 'currency'),
    contractSize: contract ? multiplier : null,
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

function readTrade(raw: Raw, accountId: string): Fill | readonly [] | null {
  if ((textAt(raw, 'levelOfDetail') ?? 'EXECUTION') !== 'EXECUTION') return [];
  const instrument = instrumentOf(raw);
  const quantity = decimalAt(raw, 'quantity');
  const price = decimalAt(raw, 'tradePrice');
  const timeMs = timeOfTrade(raw);
  const id = idAt(raw, 'tradeID') ?? idAt(raw, 'ibExecID') ?? idAt(raw, 'transactionID');
  if (instrument === null || quantity === null || price === null) return null;
  if (timeMs === null || id === null) return null;
  const money = decimalAt(raw, 'tradeMoney');
  return {
    kind: 'fill',
    id: `${accountId}:${id}`,
    orderId: idAt(raw, 'ibOrderID'),
    clientOrderId: idAt(raw, 'orderReference'),
    ...instrument,
    settle: instrument.contractSize === null ? null : instrument.quote,
    inverse: instrument.contractSize === null ? null : false,
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
}

/** `Deposits/Withdrawals` is what files say; the other spelling is in the manual. */
const CASH_TYPES: Readonly<Record<string, FlowType>> = {
  'deposits/withdrawals': 'deposit',
  'deposits & withdrawals': 'deposit',
  'deposits &amp; withdrawals': 'deposit',
  dividends: 'dividend',
  'payment in lieu of dividends': 'dividend',
  // No fees: what is paid for trading is summed up as such.
  'withholding tax': 'other',
  '871(m) withholding': 'other',
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

function readCash(raw: Raw, accountId: string): ConnectorRecord | readonly [] | null {
  // The summary of a day repeats its details.
  if (textAt(raw, 'levelOfDetail') === 'SUMMARY') return [];
  const amount = decimalAt(raw, 'amount');
  const found = CASH_TYPES[(textAt(raw, 'type') ?? '').toLowerCase()] ?? 'other';
  const type = found === 'deposit' && amount?.startsWith('-') === true ? 'withdrawal' : found;
  const when = textAt(raw, 'dateTime') ?? textAt(raw, 'reportDate') ?? '';
  const currency = nameAt(raw, 'currency');
  const own = idAt(raw, 'transactionID') ?? `${type}-${currency}-${amount}-${when}`;
  return flowOf({
    id: `${accountId}:${own}`,
    type,
    currency,
    amount,
    timeMs: parseFlexTime(when)?.timeMs ?? null,
    from: accountId,
  });
}

/** Cash, or securities: those are named by their symbol. */
function readTransfer(raw: Raw, accountId: string): ConnectorRecord | readonly [] | null {
  if (textAt(raw, 'levelOfDetail') === 'LOT') return [];
  const cash = decimalAt(raw, 'cashTransfer');
  const quantity = decimalAt(raw, 'quantity');
  const direction = (textAt(raw, 'direction') ?? '').toUpperCase();
  const isCash = cash !== null && cash !== '0';
  const size = isCash ? cash : quantity;
  if (size === null || (direction !== 'IN' && direction !== 'OUT')) return null;
  const amount = direction === 'OUT' ? negated(withoutSign(size)) : withoutSign(size);
  const when = textAt(raw, 'dateTime') ?? textAt(raw, 'date') ?? '';
  const currency = isCash ? nameAt(raw, 'currency') : nameAt(raw, 'symbol');
  const own = idAt(raw, 'transactionID') ?? `transfer-${currency}-${amount}-${when}`;
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

function readPosition(raw: Raw, accountId: string): Position | readonly [] | null {
  // Lots of a position beside the position itself.
  if (textAt(raw, 'levelOfDetail') === 'LOT') return [];
  const instrument = instrumentOf(raw);
  const quantity = decimalAt(raw, 'position');
  if (instrument === null || quantity === null) return null;
  if (quantity === '0') return [];
  return {
    kind: 'position',
    symbol: `${accountId}:${instrument.symbol}`.slice(0, 64),
    market: instrument.market,
    side: quantity.startsWith('-') ? 'short' : 'long',
    contracts: withoutSign(quantity),
    contractSize: instrument.contractSize,
    entry: decimalAt(raw, 'costBasisPrice') ?? decimalAt(raw, 'openPrice'),
    mark: decimalAt(raw, 'markPrice'),
    // Stocks, options and futures alike; `forexCfdUnrealizedPl` is of currencies and CFDs only.
    unrealized: decimalAt(raw, 'fifoPnlUnrealized'),
    settle: instrument.quote,
    marginMode: null,
  };
}

function readBalance(raw: Raw, accountId: string): Balance | readonly [] | null {
  const currency = nameAt(raw, 'currency');
  // All currencies added up, in that of the account.
  if (currency === 'BASE_SUMMARY') return [];
  const total = decimalAt(raw, 'endingCash');
  if (currency === null || total === null) return null;
  return { kind: 'balance', wallet: accountId, currency, total, free: null };
}
