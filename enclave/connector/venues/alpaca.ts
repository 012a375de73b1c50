// Alpaca, on its own HTTP: activities a hundred at a time, by the id of the last one. Fills come without fees; those are
// activities too, as are deposits, journals, dividends and interest, some of them dated by day alone. The
// venue does not say what a key may do.

import { parseUtf8 } from '../../../wire/bytes.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, HOUR_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { CallError, classOfAnswer } from '../call-error.ts';
import type { BalanceLine } from '../common.ts';
import { balancesSource, needList, nextAfter } from '../common.ts';
import { parseFlexTime } from '../flex/dates.ts';
import { parseExactJson } from '../json.ts';
import { balanceOf, digestOf, flowOf, idAt, nameAt, withoutSign } from '../normalise.ts';
import { convert } from '../paging.ts';
import type { Candle } from '../prices.ts';
import type { Raw } from '../raw.ts';
import { decimalAt, listAt, textAt } from '../raw.ts';
import type { ConnectorRecord, Fill, Flow, FlowType, MarketKind, Position } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, MomentSource, Source, Span } from '../source.ts';

const PAGE = 100;
/** What is dated by day shows up to some days later. */
const LATE_MS: number = 5 * DAY_MS;

type Get = (path: string, query?: Readonly<Record<string, string>>) => Promise<unknown>;

type Held = () => Promise<readonly Raw[]>;

export function openAlpaca(run: Run): Promise<Adapter> {
  const get = getter(run, tradingHost(run));
  return Promise.resolve({
    check: async () => {
      const account = await get('/v2/account');
      const accountId = idAt(account, 'id');
      if (accountId === null) throw new CallError('bad_response');
      if (textAt(account, 'status') !== 'ACTIVE') throw new CallError('account');
      return { ...UNKNOWN_PERMISSIONS, read: true, accountId };
    },
    phases: [() => Promise.resolve(sourcesOf(get, run))],
    close: () => undefined,
  });
}

function tradingHost({ job }: Run): string {
  return job.settings.environment === 'sandbox'
    ? 'https://paper-api.alpaca.markets'
    : 'https://api.alpaca.markets';
}

function getter(run: Run, host: string): Get {
  const { credentials } = run.job;
  return (path, query = {}) => {
    const search = new URLSearchParams(query).toString();
    return run.call(
      () => ({
        method: 'GET',
        url: `${host}${path}${search === '' ? '' : `?${search}`}`,
        headers: new Map([
          ['apca-api-key-id', parseUtf8(credentials.apiKey) ?? ''],
          ['apca-api-secret-key', parseUtf8(credentials.secret) ?? ''],
          ['user-agent', 'trackseal'],
        ]),
        body: null,
        weight: '1',
      }),
      ({ status, body }) => {
        const errorClass = classOfAnswer(status);
        // It says 403 to keys that it does not know.
        if (errorClass !== null) {
          throw new CallError(status === 403 ? 'authentication' : errorClass);
        }
        const value = parseExactJson(parseUtf8(body) ?? '');
        if (value === undefined) throw new CallError('bad_response');
        return value;
      },
      null,
    );
  };
}

/** Closed markets have no bars: of a stock, those of some days before come with them. */
export async function alpacaBars(
  run: Run,
  symbol: string,
  { fromMs, toMs }: Span,
  stepMs: number,
): Promise<readonly Candle[]> {
  const isCoin = symbol.includes('/');
  const path = isCoin ? '/v1beta3/crypto/us/bars' : '/v2/stocks/bars';
  const answer = await getter(run, 'https://data.alpaca.markets')(path, {
    symbols: symbol,
    timeframe: stepMs === HOUR_MS ? '1Hour' : '1Min',
    start: new Date(isCoin ? fromMs : fromMs - LATE_MS).toISOString(),
    end: new Date(toMs).toISOString(),
    limit: '10000',
    ...(isCoin ? {} : { adjustment: 'raw', feed: 'iex' }),
  });
  return listAt(answer, 'bars', symbol).map((raw) => {
    const atMs = Date.parse(textAt(raw, 't') ?? '');
    const fromMs = Number.isSafeInteger(atMs) ? atMs : null;
    return { fromMs, close: decimalAt(raw, 'c'), volume: decimalAt(raw, 'v') };
  });
}

function sourcesOf(get: Get, run: Run): readonly Source[] {
  // Asked once: coins and shares are of one moment.
  let asked: Promise<readonly Raw[]> | null = null;
  const held: Held = () => (asked ??= readPositions(get));
  return [
    balancesSource('cash', async () => {
      const account = await get('/v2/account');
      const cash = decimalAt(account, 'cash');
      const coins = (await held()).filter(isCoin);
      return [
        balanceOf('cash', nameAt(account, 'currency'), cash, null),
        ...coins.map(coinBalance),
      ];
    }),
    positions(held),
    activities(get, run, 'fills', 'trade_activity', FILL_OVERLAP_MS),
    activities(get, run, 'transfers', 'non_trade_activity', LATE_MS),
  ];
}

const OPTION: RegExp = /^[A-Z]{1,6}[0-9]{6}[CP][0-9]{8}$/u;

function kindOf(symbol: string): MarketKind {
  if (OPTION.test(symbol)) return 'option';
  return symbol.includes('/') ? 'spot' : 'stock';
}

async function readPositions(get: Get): Promise<readonly Raw[]> {
  return needList({ raws: await get('/v2/positions') }, 'raws');
}

function isCoin(raw: Raw): boolean {
  return textAt(raw, 'asset_class') === 'crypto';
}

/** `BTCUSD` and `BTC/USD` alike. */
function coinOf(symbol: string | null): string | null {
  return symbol?.split('/')[0]?.replace(/(?<=.)(?:USDT|USDC|USD|BTC)$/u, '') ?? null;
}

/** A coin is held, as at any exchange; its price is its market's. */
function coinBalance(raw: Raw): BalanceLine {
  return balanceOf('crypto', coinOf(nameAt(raw, 'symbol')), decimalAt(raw, 'qty'), null);
}

function positions(held: Held): MomentSource {
  return {
    type: 'moment',
    what: 'positions',
    market: 'all',
    read: async () => {
      const raws = (await held()).filter((raw) => !isCoin(raw));
      return convert(raws, position);
    },
  };
}

function position(raw: Raw): Position | null {
  const symbol = nameAt(raw, 'symbol');
  const quantity = decimalAt(raw, 'qty');
  const side = textAt(raw, 'side');
  if (symbol === null || quantity === null || (side !== 'long' && side !== 'short')) return null;
  const market = kindOf(symbol);
  return {
    kind: 'position',
    symbol,
    market,
    side,
    contracts: withoutSign(quantity),
    contractSize: market === 'option' ? '100' : null,
    entry: decimalAt(raw, 'avg_entry_price'),
    mark: decimalAt(raw, 'current_price'),
    unrealized: decimalAt(raw, 'unrealized_pl'),
    settle: 'USD',
    marginMode: null,
  };
}

function activities(
  get: Get,
  run: Run,
  what: 'fills' | 'transfers',
  category: string,
  overlapMs: number,
): HistorySource {
  return {
    type: 'history',
    what,
    ...(what === 'transfers'
      ? { also: ['deposits', 'withdrawals', 'interest', 'fees'] as const }
      : {}),
    market: 'all',
    key: category,
    windowMs: null,
    historyMs: null,
    overlapMs,
    byDay: what === 'transfers',
    page: async ({ fromMs, toMs }, token) => {
      const query = {
        category,
        direction: 'asc',
        page_size: String(PAGE),
        after: new Date(Math.max(fromMs - 1, 0)).toISOString(),
        until: new Date(toMs + DAY_MS).toISOString(),
      };
      const answer = await get(
        '/v2/account/activities',
        token === null ? query : { ...query, page_token: token },
      );
      const raws = needList({ raws: answer }, 'raws');
      // What the poll before did not see came since.
      const seenMs = run.job.cursors === null ? null : run.nowMs();
      const one = (raw: Raw): One => oneActivity(raw, seenMs);
      return {
        ...convert(raws, what === 'fills' ? oneFill : one),
        next: nextPage(raws),
      };
    },
  };
}

/** Two activities may have one id: what follows the last other id begins with all that have the page's last. */
function nextPage(raws: readonly Raw[]): string | null {
  const last = nextAfter(raws, PAGE, 'id');
  if (last === null) return null;
  const others = raws.map((raw) => textAt(raw, 'id')).filter((id) => id !== null && id !== last);
  const token = others.at(-1) ?? null;
  if (token === null) throw new CallError('bad_response');
  return token;
}

type One = ConnectorRecord | readonly ConnectorRecord[] | null;

function oneFill(raw: Raw): One {
  return textAt(raw, 'activity_type') === 'FILL' ? fillOf(raw) : [];
}

function oneActivity(raw: Raw, seenMs: number | null): One {
  return textAt(raw, 'activity_type') === 'FILL' ? [] : activity(raw, seenMs);
}

function fillOf(raw: Raw): Fill | null {
  const id = idAt(raw, 'id');
  const symbol = nameAt(raw, 'symbol');
  const price = decimalAt(raw, 'price');
  const amount = decimalAt(raw, 'qty');
  const timeMs = Date.parse(textAt(raw, 'transaction_time') ?? '');
  const side = textAt(raw, 'side');
  if (id === null || symbol === null || price === null || amount === null) return null;
  if (!Number.isSafeInteger(timeMs) || side === null) return null;
  const [base = symbol, quote = 'USD'] = symbol.split('/');
  const market = kindOf(symbol);
  return {
    kind: 'fill',
    id,
    orderId: idAt(raw, 'order_id'),
    clientOrderId: null,
    symbol,
    market,
    base,
    quote,
    settle: null,
    // `sell_short` and `buy_to_cover` too.
    side: side.startsWith('sell') ? 'sell' : 'buy',
    price,
    amount: withoutSign(amount),
    contractSize: market === 'option' ? '100' : null,
    inverse: market === 'option' ? false : null,
    cost: null,
    fees: null,
    timeMs,
    liquidity: null,
    rawDigest: digestOf(raw),
  };
}

const TYPES: Readonly<Record<string, FlowType>> = {
  CSD: 'deposit',
  CSW: 'withdrawal',
  TRANS: 'deposit',
  JNLC: 'transfer_in',
  ACATC: 'transfer_in',
  CIL: 'other',
  FEE: 'fee',
  DIVFEE: 'fee',
  PTC: 'fee',
  PTR: 'rebate',
};

/**
 * What moves securities beside money, or instead of it; in others a quantity is what was held. A conversion has both; what
 * has shares alone (splits, names that changed, options that expired) is of type `other`.
 */
const SECURITIES: Readonly<Record<string, FlowType>> = {
  ACATS: 'transfer_in',
  JNL: 'transfer_in',
  JNLS: 'transfer_in',
  CFEE: 'fee',
  FOPT: 'transfer_in',
  ...Object.fromEntries(
    'MA NC OPASN OPCA OPCSH OPEXC OPEXP OPTRD OPXRC REORG SC SPIN SPLIT SSO SSP VOF'
      .split(' ')
      .map((name) => [name, 'conversion'] as const),
  ),
};

function typeOf(name: string): FlowType {
  const prefix = name.startsWith('DIV') ? 'dividend' : name.startsWith('INT') ? 'interest' : null;
  return TYPES[name] ?? prefix ?? SECURITIES[name] ?? 'other';
}

/** Most are dated by day alone: then the time in the id, New York's, or when it was first seen, or the day's begin. */
function timeOf(raw: Raw, seenMs: number | null): number | null {
  const [, day = '', time = ''] = /^([0-9]{8})([0-9]{6})/u.exec(textAt(raw, 'id') ?? '') ?? [];
  const named = time === '000000' ? null : (parseFlexTime(`${day};${time}`)?.timeMs ?? null);
  const exact = textAt(raw, 'transaction_time');
  const dated = Date.parse(exact ?? textAt(raw, 'date') ?? '');
  if (!Number.isSafeInteger(dated) || exact !== null) return Number.isNaN(dated) ? null : dated;
  return named ?? Math.max(dated, seenMs ?? dated);
}

function activity(raw: Raw, seenMs: number | null): One {
  const name = textAt(raw, 'activity_type') ?? '';
  const id = idAt(raw, 'id');
  const money = decimalAt(raw, 'net_amount');
  const symbol = nameAt(raw, 'symbol');
  const sub = textAt(raw, 'activity_sub_type') ?? '';
  const isOfShares = SECURITIES[name] !== undefined || sub === 'SDIV';
  const quantity = isOfShares ? decimalAt(raw, 'qty') : null;
  if (money === null && quantity === null) return null;
  const hasMoney = money !== null && money !== '0';
  const hasShares = quantity !== null && quantity !== '0';
  const status = textAt(raw, 'status') ?? 'executed';
  // Money of a merger, and the shares that it is for, may be activities of their own.
  const group = /^S?CMA$/u.test(sub) ? idAt(raw, 'group_id') : null;
  // An option that is exercised and the shares that come of it have one id.
  const own = id === null || symbol === null ? id : `${id}-${symbol}`;
  const common = {
    timeMs: timeOf(raw, seenMs),
    status: status === 'executed' || status === 'correct' ? 'ok' : 'canceled',
    from: nameAt(raw, 'activity_type'),
    market: symbol === null || name === 'CFEE' ? null : kindOf(symbol),
    networkId: group ?? (hasMoney && hasShares ? own : null),
  } as const;
  const typed = (type: FlowType): FlowType =>
    type === 'conversion' && common.networkId === null ? 'other' : type;
  const lines: (Flow | null)[] = [];
  if (hasMoney) {
    const found = typed(typeOf(name));
    const type = found === 'deposit' && money.startsWith('-') ? 'withdrawal' : found;
    const currency = nameAt(raw, 'currency') ?? 'USD';
    const named = isOfShares && own !== id ? `${own}-money` : id;
    lines.push(flowOf({ ...common, id: named, type, currency, amount: money }));
  }
  if (hasShares) {
    const type = typed(SECURITIES[name] ?? 'other');
    const currency = name === 'CFEE' ? coinOf(symbol) : symbol;
    lines.push(flowOf({ ...common, id: own, type, currency, amount: quantity }));
  }
  const known = lines.filter((line) => line !== null);
  return known.length === lines.length ? known : null;
}
