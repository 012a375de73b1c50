// Alpaca's trading API, live and paper: account, positions, activities, orders, assets, clock; and crypto prices
// from its data host. Keys travel in two headers, as they are.

import { timingSafeEqual } from 'node:crypto';
import { divide, formatAmount, multiply } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { Refusal, reply } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import type { Market } from '../../markets.ts';
import { newestFirst, oldestFirst } from '../../pages.ts';
import { hashOf, uuidOf } from '../../world.ts';
import type { Fill, Venue, World } from '../../world.ts';
import { activities } from './activities.ts';
import { bars } from './bars.ts';
import { alpacaRefusal } from './context.ts';
import type { Context, Public } from './context.ts';

const PER_MINUTE = 200;

interface Held {
  readonly market: Market;
  readonly amount: Amount;
  readonly price: Amount;
  readonly average: Amount;
}

function averageOf(fills: readonly Fill[]): Amount {
  let held = 0n;
  let cost = 0n;
  for (const fill of oldestFirst(fills)) {
    if (fill.side === 'buy') {
      held += fill.amount;
      cost += fill.cost;
    } else {
      cost -= held === 0n ? 0n : divide(multiply(cost, fill.amount), held);
      held -= fill.amount;
    }
  }
  return held <= 0n ? 0n : divide(cost, held);
}

function heldBy({ account, venue, world }: Context): readonly Held[] {
  return [...world.ledger.balances(account.id, 'spot')].flatMap(([currency, amount]) => {
    const market = venue.markets.get(`${currency}/USD`);
    if (market === undefined || amount === 0n) return [];
    const fills = account.fills.filter((fill) => fill.market === market);
    return [{ market, amount, price: venue.price(market), average: averageOf(fills) }];
  });
}

function account(context: Context): object {
  const { account: holder, world } = context;
  const cash = world.ledger.balance(holder.id, 'spot', 'USD');
  const worth = heldBy(context).reduce((sum, one) => sum + multiply(one.amount, one.price), 0n);
  const equity = formatAmount(cash + worth);
  return {
    id: uuidOf('alpaca-account', holder.uid),
    account_number: holder.uid,
    status: 'ACTIVE',
    crypto_status: 'ACTIVE',
    currency: 'USD',
    buying_power: formatAmount(cash),
    regt_buying_power: formatAmount(cash),
    non_marginable_buying_power: formatAmount(cash),
    cash: formatAmount(cash),
    accrued_fees: '0',
    portfolio_value: equity,
    pattern_day_trader: false,
    trading_blocked: false,
    transfers_blocked: false,
    account_blocked: false,
    created_at: '2022-03-04T14:53:18.500245Z',
    trade_suspended_by_user: false,
    multiplier: '1',
    shorting_enabled: false,
    equity,
    last_equity: equity,
    long_market_value: formatAmount(worth),
    short_market_value: '0',
    position_market_value: formatAmount(worth),
    initial_margin: '0',
    maintenance_margin: '0',
    daytrade_count: 0,
  };
}

function positions(context: Context): readonly object[] {
  return heldBy(context).map(({ market, amount, price, average }) => {
    const worth = multiply(amount, price);
    const paid = multiply(amount, average);
    return {
      asset_id: uuidOf('alpaca-asset', market.base),
      symbol: market.type === 'stock' ? market.base : `${market.base}${market.quote}`,
      exchange: market.type === 'stock' ? 'NASDAQ' : 'CRYPTO',
      asset_class: market.type === 'stock' ? 'us_equity' : 'crypto',
      asset_marginable: false,
      qty: formatAmount(amount),
      qty_available: formatAmount(amount),
      avg_entry_price: formatAmount(average),
      side: amount > 0n ? 'long' : 'short',
      market_value: formatAmount(worth),
      cost_basis: formatAmount(paid),
      unrealized_pl: formatAmount(worth - paid),
      unrealized_plpc: '0',
      unrealized_intraday_pl: '0',
      unrealized_intraday_plpc: '0',
      current_price: formatAmount(price),
      lastday_price: formatAmount(price),
      change_today: '0',
    };
  });
}

function orders(context: Context): readonly object[] {
  const { account: holder, call } = context;
  if (call.parameters.get('status') !== 'all' && call.parameters.get('status') !== 'closed')
    return [];
  const limit = Math.min(Number(call.parameters.get('limit') ?? '50'), 500);
  const after = Date.parse(call.parameters.get('after') ?? '1970-01-01');
  const until = Date.parse(call.parameters.get('until') ?? '9999-01-01');
  const firsts = [...Map.groupBy(holder.fills, ({ order }) => order).values()].flatMap((parts) =>
    parts.slice(0, 1),
  );
  const found = firsts.filter(({ timeMs }) => timeMs > after && timeMs < until);
  return newestFirst(found)
    .slice(0, limit)
    .map((fill) => {
      const iso = new Date(fill.timeMs).toISOString();
      return {
        id: uuidOf('alpaca-order', fill.order),
        client_order_id: fill.clientOrderId ?? uuidOf('alpaca-client', fill.order),
        created_at: iso,
        updated_at: iso,
        submitted_at: iso,
        filled_at: iso,
        expired_at: null,
        canceled_at: null,
        asset_class: fill.market.type === 'stock' ? 'us_equity' : 'crypto',
        symbol: fill.market.id,
        qty: formatAmount(fill.amount),
        filled_qty: formatAmount(fill.amount),
        filled_avg_price: formatAmount(fill.price),
        order_class: '',
        order_type: 'limit',
        type: 'limit',
        side: fill.side,
        time_in_force: 'gtc',
        limit_price: formatAmount(fill.price),
        status: 'filled',
      };
    });
}

function assets({ call, venue }: Public): readonly object[] {
  const wanted = call.parameters.get('asset_class');
  return [...venue.markets.values()]
    .filter(({ type }) => wanted === null || (wanted === 'crypto') === (type !== 'stock'))
    .map((market) => ({
      id: uuidOf('alpaca-asset', market.base),
      class: market.type === 'stock' ? 'us_equity' : 'crypto',
      exchange: market.type === 'stock' ? 'NASDAQ' : 'CRYPTO',
      symbol: market.id,
      name: market.base,
      status: 'active',
      tradable: true,
      marginable: false,
      shortable: false,
      easy_to_borrow: false,
      fractionable: true,
      min_order_size: '0.0001',
      min_trade_increment: '0.0001',
      price_increment: '0.01',
    }));
}

function clock({ call }: Public): object {
  // With New York's offset in winter, as Alpaca writes it.
  const local = new Date(call.nowMs - 5 * 3_600_000).toISOString().slice(0, -1);
  const timestamp = `${local}000000-05:00`;
  return { timestamp, is_open: true, next_open: timestamp, next_close: timestamp };
}

/** Coins only; dollars are activities. */
function walletTransfers({ account: holder }: Context): readonly object[] {
  return holder.flows
    .filter(
      ({ type, currency }) => currency !== 'USD' && (type === 'deposit' || type === 'withdrawal'),
    )
    .map((flow) => ({
      id: uuidOf('alpaca-transfer', flow.number),
      tx_hash: hashOf(flow.type, flow.number),
      direction: flow.type === 'deposit' ? 'INCOMING' : 'OUTGOING',
      amount: formatAmount(flow.amount),
      usd_value: '0',
      chain: flow.network,
      asset: flow.currency,
      from_address: `0x${hashOf('from', flow.number).slice(0, 40)}`,
      to_address: `0x${hashOf('to', flow.number).slice(0, 40)}`,
      status:
        flow.status === 'ok' ? 'COMPLETE' : flow.status === 'failed' ? 'FAILED' : 'PROCESSING',
      created_at: new Date(flow.timeMs).toISOString(),
      network_fee: formatAmount(flow.fee),
      fees: '0',
    }));
}

function snapshots({ call, venue }: Public): object {
  const symbols = (call.parameters.get('symbols') ?? '').split(',');
  const t = new Date(call.nowMs).toISOString();
  const entries = symbols.flatMap((symbol) => {
    const market = venue.markets.get(symbol);
    if (market === undefined) return [];
    const p = Number(formatAmount(venue.price(market)));
    const bar = { c: p, h: p, l: p, n: 1, o: p, t, v: 1, vw: p };
    const latest = { latestQuote: { ap: p, as: 1, bp: p, bs: 1, t }, latestTrade: { p, s: 1, t } };
    return [[symbol, { ...latest, dailyBar: bar, minuteBar: bar, prevDailyBar: bar }]];
  });
  return { snapshots: Object.fromEntries(entries) as object };
}

const ROUTES: ReadonlyMap<string, (context: Context) => unknown> = new Map<
  string,
  (context: Context) => unknown
>([
  ['/v2/account', account],
  ['/v2/positions', positions],
  ['/v2/orders', orders],
  ['/v2/assets', assets],
  ['/v2/clock', clock],
  ['/v2/wallets/transfers', walletTransfers],
  ['/v2/account/activities', (context) => activities(context, null)],
]);

export class Alpaca implements VenueApi {
  readonly name = 'alpaca';
  readonly hosts: readonly string[] = [
    'api.alpaca.markets',
    'paper-api.alpaca.markets',
    'data.alpaca.markets',
  ];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limit: FixedWindow = new FixedWindow(PER_MINUTE, 60_000);

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('alpaca');
  }

  answer(call: Call): Reply {
    if (call.method !== 'GET') throw alpacaRefusal(405, 40_510_000, 'method not allowed');
    const open = { call, world: this.#world, venue: this.#venue };
    if (call.host === 'data.alpaca.markets') {
      if (call.path === '/v1beta3/crypto/us/snapshots') return reply(snapshots(open));
      if (call.path === '/v1beta3/crypto/us/bars') return reply(bars(open, 'spot'));
      if (call.path === '/v2/stocks/bars') {
        this.#check(call);
        return reply(bars(open, 'stock'));
      }
      throw alpacaRefusal(404, 40_410_000, 'endpoint not found.');
    }
    const found = this.#check(call);
    const use = this.#limit.add(found.key.key, 1, call.nowMs, this.#venue.limitScale);
    const headers = {
      'x-ratelimit-limit': String(use.limit),
      'x-ratelimit-remaining': String(Math.max(0, use.limit - use.used)),
      'x-ratelimit-reset': String(Math.ceil((call.nowMs + use.retryAfterMs) / 1000)),
    };
    if (use.isOver) {
      const body = { code: 42_910_000, message: 'rate limit exceeded' };
      throw new Refusal(reply(body, 429, headers));
    }
    const context = { ...open, ...found };
    const type = /^\/v2\/account\/activities\/(?<type>[A-Z]+)$/u.exec(call.path)?.groups?.['type'];
    if (type !== undefined) return reply(activities(context, type), 200, headers);
    const act = ROUTES.get(call.path);
    if (act === undefined) throw alpacaRefusal(404, 40_410_000, 'endpoint not found.');
    return reply(act(context), 200, headers);
  }

  #check(call: Call): Pick<Context, 'account' | 'key'> {
    const isPaper = call.host.startsWith('paper-');
    const name = call.headers['apca-api-key-id'] ?? '';
    // Market data is for both kinds of keys.
    const other = call.host.startsWith('data.') ? this.#world.findKey('alpaca', true, name) : null;
    const found = this.#world.findKey('alpaca', isPaper, name) ?? other;
    const given = Buffer.from(call.headers['apca-api-secret-key'] ?? '');
    const secret = Buffer.from(found?.key.secret ?? '');
    const isSame = given.length === secret.length && timingSafeEqual(given, secret);
    if (found === null || !isSame || found.key.isRevoked) {
      throw new Refusal(reply({ message: 'unauthorized.' }, 401));
    }
    const { key } = found;
    const isElsewhere = key.addresses !== null && !key.addresses.includes(call.address);
    if (isElsewhere || !key.permissions.has('read')) {
      throw alpacaRefusal(403, 40_310_000, 'forbidden.');
    }
    return found;
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    const html = { 'content-type': 'text/html' };
    const limited = { code: 42_910_000, message: 'rate limit exceeded' };
    const later = { 'retry-after': String(retryAfterS) };
    const replies: Readonly<Record<Trouble, Reply>> = {
      maintenance: { status: 503, headers: html, body: '<html>maintenance</html>' },
      unavailable: reply({ code: 50_010_000, message: 'internal server error occurred' }, 500),
      rate_limited: reply(limited, 429, later),
      banned: reply(limited, 429, later),
      geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
      invalid_nonce: reply({ code: 40_010_001, message: 'request timestamp is invalid' }, 400),
      authentication: reply({ message: 'unauthorized.' }, 401),
      permission: reply({ code: 40_310_000, message: 'forbidden.' }, 403),
      account: reply({ code: 40_310_000, message: 'account is not authorized to trade' }, 403),
      bad_request: reply({ code: 42_210_000, message: 'invalid page_token' }, 422),
    };
    return replies[kind];
  }
}
