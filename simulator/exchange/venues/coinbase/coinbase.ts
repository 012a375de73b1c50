// Coinbase: Advanced Trade (v3) for balances, fills, orders and products, and the older v2 for deposits,
// withdrawals, transactions and currencies.

import { formatAmount } from '../../amount.ts';
import { reply } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Market } from '../../markets.ts';
import { uuidOf } from '../../world.ts';
import type { Venue, World } from '../../world.ts';
import { checkSigned, CoinbaseLimits, coinbaseRefusal, coinbaseTrouble } from './access.ts';
import { candles } from './candles.ts';
import type { Context, Public } from './context.ts';
import { accountId, fiatFlows, fills, limitOf, oneOrder, orders, transactions } from './history.ts';

type Route =
  | { readonly path: RegExp; readonly open: (context: Public, id: string) => unknown }
  | { readonly path: RegExp; readonly act: (context: Context, id: string) => unknown };

function time({ call }: Public): object {
  const iso = new Date(call.nowMs).toISOString();
  const epoch = Math.floor(call.nowMs / 1000);
  if (call.path.startsWith('/v2/')) return { data: { iso, epoch } };
  return { iso, epochSeconds: String(epoch), epochMillis: String(call.nowMs) };
}

function product(market: Market, price: bigint): object {
  return {
    product_id: market.id,
    price: formatAmount(price),
    price_percentage_change_24h: '0',
    volume_24h: '1000',
    volume_percentage_change_24h: '0',
    base_increment: '0.00000001',
    quote_increment: '0.01',
    quote_min_size: '1',
    quote_max_size: '150000000',
    base_min_size: '0.00000001',
    base_max_size: '3400',
    base_name: market.base,
    quote_name: market.quote,
    watched: false,
    is_disabled: !market.isOpen,
    new: false,
    status: 'online',
    cancel_only: false,
    limit_only: false,
    post_only: false,
    trading_disabled: !market.isOpen,
    auction_mode: false,
    product_type: 'SPOT',
    quote_currency_id: market.quote,
    base_currency_id: market.base,
    fcm_trading_session_details: null,
    mid_market_price: formatAmount(price),
    alias: '',
    alias_to: [],
    base_display_symbol: market.base,
    quote_display_symbol: market.quote,
    view_only: false,
    price_increment: '0.01',
    display_name: market.id,
    product_venue: 'CBE',
  };
}

function products({ call, venue }: Public): object {
  const type = call.parameters.get('product_type');
  const ids = call.parameters.getAll('product_ids');
  const markets = type === 'FUTURE' ? [] : [...venue.markets.values()];
  const list = markets
    .filter(({ id }) => ids.length === 0 || ids.includes(id))
    .map((market) => product(market, venue.price(market)));
  return { products: list, num_products: list.length };
}

function currencies({ venue }: Public): readonly string[] {
  return [...new Set([...venue.markets.values()].flatMap(({ base, quote }) => [base, quote]))];
}

const FIAT: ReadonlySet<string> = new Set(['USD', 'EUR']);

function crypto(context: Public): object {
  const coins = currencies(context).filter((name) => !FIAT.has(name));
  const data = coins.map((code) => ({
    asset_id: uuidOf('coinbase-asset', code),
    code,
    name: code,
    color: '#0433FF',
    sort_index: 1,
    exponent: 8,
    type: 'crypto',
  }));
  return { data };
}

function money(context: Public): object {
  const data = currencies(context)
    .filter((name) => FIAT.has(name))
    .map((id) => ({ id, name: id, min_size: '0.01' }));
  return { data };
}

function exchangeRates(context: Public): object {
  const rates = Object.fromEntries(currencies(context).map((name) => [name, '1']));
  return { data: { currency: 'USD', rates } };
}

function accounts(context: Context): object {
  const { account, call, world } = context;
  const limit = limitOf(context, 49, 250);
  const cursor = Number(call.parameters.get('cursor') ?? '0');
  const all = currencies(context).map((currency) => ({
    uuid: accountId(account.uid, currency),
    name: `${currency} Wallet`,
    currency,
    available_balance: {
      value: formatAmount(world.ledger.balance(account.id, 'spot', currency)),
      currency,
    },
    default: true,
    active: true,
    created_at: '2023-01-04T06:20:06.456Z',
    updated_at: '2023-01-04T06:20:07.181Z',
    deleted_at: null,
    type: FIAT.has(currency) ? 'ACCOUNT_TYPE_FIAT' : 'ACCOUNT_TYPE_CRYPTO',
    ready: true,
    hold: { value: '0', currency },
    retail_portfolio_id: uuidOf('coinbase-portfolio', account.uid),
  }));
  const page = all.slice(cursor, cursor + limit);
  const hasNext = cursor + limit < all.length;
  return {
    accounts: page,
    has_next: hasNext,
    cursor: hasNext ? String(cursor + limit) : '',
    size: page.length,
  };
}

function v2Accounts(context: Context): object {
  const { account, world } = context;
  const data = currencies(context).map((code) => ({
    id: accountId(account.uid, code),
    name: `${code} Wallet`,
    primary: false,
    type: FIAT.has(code) ? 'fiat' : 'wallet',
    currency: { code, name: code, exponent: 8, type: FIAT.has(code) ? 'fiat' : 'crypto' },
    balance: {
      amount: formatAmount(world.ledger.balance(account.id, 'spot', code)),
      currency: code,
    },
    created_at: '2022-03-25T00:36:16Z',
    updated_at: '2022-03-25T00:36:16Z',
    resource: 'account',
    resource_path: `/v2/accounts/${accountId(account.uid, code)}`,
    allow_deposits: true,
    allow_withdrawals: true,
  }));
  return {
    pagination: { next_starting_after: null, limit: 250, order: 'desc', next_uri: null },
    data,
  };
}

function keyPermissions({ account, key }: Context): object {
  return {
    can_view: key.permissions.has('read'),
    can_trade: key.permissions.has('trade'),
    can_transfer: key.permissions.has('transfer') || key.permissions.has('withdraw'),
    portfolio_uuid: uuidOf('coinbase-portfolio', account.uid),
    portfolio_type: 'DEFAULT',
  };
}

function portfolios({ account }: Context): object {
  const uuid = uuidOf('coinbase-portfolio', account.uid);
  return { portfolios: [{ name: 'Default', uuid, type: 'DEFAULT', deleted: false }] };
}

function transactionSummary(): object {
  return {
    total_volume: '0',
    total_fees: '0',
    fee_tier: {
      pricing_tier: 'Advanced 1',
      usd_from: '0',
      usd_to: '1000',
      taker_fee_rate: '0.001',
      maker_fee_rate: '0.001',
    },
  };
}

const ROUTES: readonly Route[] = [
  { path: /^\/v2\/time$/u, open: time },
  { path: /^\/api\/v3\/brokerage\/time$/u, open: time },
  { path: /^\/v2\/currencies$/u, open: money },
  { path: /^\/v2\/currencies\/crypto$/u, open: crypto },
  { path: /^\/v2\/exchange-rates$/u, open: exchangeRates },
  { path: /^\/api\/v3\/brokerage\/market\/products$/u, open: products },
  {
    path: /^\/api\/v3\/brokerage\/market\/products\/(?<id>[\w-]+)\/candles$/u,
    open: candles,
  },
  { path: /^\/api\/v3\/brokerage\/products$/u, act: products },
  { path: /^\/api\/v3\/brokerage\/accounts$/u, act: accounts },
  { path: /^\/api\/v3\/brokerage\/key_permissions$/u, act: keyPermissions },
  { path: /^\/api\/v3\/brokerage\/portfolios$/u, act: portfolios },
  { path: /^\/api\/v3\/brokerage\/transaction_summary$/u, act: transactionSummary },
  { path: /^\/api\/v3\/brokerage\/orders\/historical\/fills$/u, act: fills },
  { path: /^\/api\/v3\/brokerage\/orders\/historical\/batch$/u, act: orders },
  { path: /^\/api\/v3\/brokerage\/orders\/historical\/(?<id>[\w-]+)$/u, act: oneOrder },
  { path: /^\/v2\/accounts$/u, act: v2Accounts },
  {
    path: /^\/v2\/accounts\/(?<id>[\w-]+)\/deposits$/u,
    act: (context, id) => fiatFlows(context, id, 'deposit'),
  },
  {
    path: /^\/v2\/accounts\/(?<id>[\w-]+)\/withdrawals$/u,
    act: (context, id) => fiatFlows(context, id, 'withdrawal'),
  },
  { path: /^\/v2\/accounts\/(?<id>[\w-]+)\/transactions$/u, act: transactions },
];

export class Coinbase implements VenueApi {
  readonly name = 'coinbase';
  readonly hosts: readonly string[] = ['api.coinbase.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: CoinbaseLimits = new CoinbaseLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('coinbase');
  }

  answer(call: Call): Reply {
    const route = ROUTES.find(({ path }) => path.test(call.path));
    if (route === undefined || call.method !== 'GET') {
      throw coinbaseRefusal(call, 404, 'not_found', 'Not found');
    }
    const context = { call, world: this.#world, venue: this.#venue };
    const { limitScale } = this.#venue;
    const id = route.path.exec(call.path)?.groups?.['id'] ?? '';
    if ('open' in route) {
      const headers = this.#limits.charge(call, null, limitScale);
      return reply(route.open(context, id), 200, headers);
    }
    const signer = checkSigned(call, this.#world);
    const headers = this.#limits.charge(call, signer.account.uid, limitScale);
    return reply(route.act({ ...context, ...signer }, id), 200, headers);
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    return coinbaseTrouble(kind, retryAfterS);
  }
}
