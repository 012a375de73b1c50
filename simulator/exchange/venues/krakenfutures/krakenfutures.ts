// Kraken Futures: linear contracts settle in the flex wallet (PF_), inverse ones in a margin account of their
// coin (PI_). Answers carry `result` and the server's time.

import { absolute, formatAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { reply } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import { profitOf } from '../../operations.ts';
import { jsonNumber } from '../../raw-json.ts';
import type { Venue, World } from '../../world.ts';
import { checkSigned, FuturesLimits, futuresRefusal, futuresTrouble } from './access.ts';
import { chart } from './candles.ts';
import type { Context, Public } from './context.ts';
import { accountLog, currencyId, executions, fills } from './history.ts';

type Route =
  | { readonly open: (context: Public) => object }
  | { readonly cost: number; readonly act: (context: Context) => object };

function instruments({ venue }: Public): object {
  return {
    instruments: [...venue.markets.values()].map((market) => ({
      symbol: market.id,
      type: market.segment === 'inverse' ? 'futures_inverse' : 'flexible_futures',
      underlying: 'rr_xbtusd',
      tickSize: 0.01,
      contractSize: jsonNumber(market.contractSize),
      tradeable: market.isOpen,
      impactMidSize: 1,
      maxPositionSize: 1_000_000,
      openingDate: '2022-01-01T00:00:00.000Z',
      contractValueTradePrecision: market.segment === 'inverse' ? 0 : 4,
      fundingRateCoefficient: 8,
      maxRelativeFundingRate: 0.001,
      postOnly: false,
      feeScheduleUid: 'eef90775-995b-4596-9257-0917f6134766',
      category: '',
      tags: [],
    })),
  };
}

function tickers({ call, venue }: Public): object {
  return {
    tickers: [...venue.markets.values()].map((market) => {
      const price = jsonNumber(venue.price(market));
      return {
        symbol: market.id,
        tag: 'perpetual',
        pair: `${market.base}:${market.quote}`,
        last: price,
        markPrice: price,
        indexPrice: price,
        bid: price,
        bidSize: 1,
        ask: price,
        askSize: 1,
        open24h: price,
        high24h: price,
        low24h: price,
        vol24h: 1000,
        volumeQuote: 65_000_000,
        openInterest: 1000,
        fundingRate: 0.0001,
        fundingRatePrediction: 0.0001,
        suspended: false,
        postOnly: false,
        change24h: 0,
        lastTime: new Date(call.nowMs).toISOString(),
        lastSize: 1,
      };
    }),
  };
}

function unrealized({ account, venue }: Context, segment: string, currency: string): Amount {
  const ofIt = [...account.positions.values()].filter(
    ({ market }) => market.segment === segment && market.settle === currency,
  );
  return ofIt.reduce((sum, one) => sum + profitOf(one, one.contracts, venue.price(one.market)), 0n);
}

function accounts(context: Context): object {
  const { account, venue, world } = context;
  const cash = [...world.ledger.balances(account.id, 'spot')].map(([currency, amount]) => [
    currencyId(currency),
    jsonNumber(amount),
  ]);
  const flex = [...world.ledger.balances(account.id, 'linear')];
  const currencies = flex.map(([currency, amount]) => [
    currency === 'BTC' ? 'XBT' : currency,
    {
      quantity: jsonNumber(amount),
      value: jsonNumber(amount),
      collateral: jsonNumber(amount),
      available: jsonNumber(amount),
    },
  ]);
  const margins = venue.marketsOf('inverse').map(({ base }) => {
    const amount = world.ledger.balance(account.id, 'inverse', base);
    const profit = unrealized(context, 'inverse', base);
    const value = jsonNumber(amount + profit);
    return [
      `fi_${currencyId(base)}usd`,
      {
        type: 'marginAccount',
        currency: currencyId(base),
        balances: { [currencyId(base)]: jsonNumber(amount) },
        auxiliary: { usd: 0, pv: value, pnl: jsonNumber(profit), af: value, funding: 0 },
        marginRequirements: { im: 0, mm: 0, lt: 0, tt: 0 },
        triggerEstimates: { im: 0, mm: 0, lt: 0, tt: 0 },
      },
    ];
  });
  const profit = unrealized(context, 'linear', 'USD');
  const dollars = world.ledger.balance(account.id, 'linear', 'USD');
  const flexAccount = {
    type: 'multiCollateralMarginAccount',
    currencies: Object.fromEntries(currencies) as object,
    initialMargin: 0,
    initialMarginWithOrders: 0,
    maintenanceMargin: 0,
    balanceValue: jsonNumber(dollars),
    portfolioValue: jsonNumber(dollars + profit),
    collateralValue: jsonNumber(dollars),
    pnl: jsonNumber(profit),
    unrealizedFunding: 0,
    totalUnrealized: jsonNumber(profit),
    totalUnrealizedAsMargin: jsonNumber(profit),
    availableMargin: jsonNumber(dollars),
    marginEquity: jsonNumber(dollars + profit),
  };
  const cashAccount = { type: 'cashAccount', balances: Object.fromEntries(cash) as object };
  const marginAccounts = Object.fromEntries(margins) as object;
  return { accounts: { cash: cashAccount, flex: flexAccount, ...marginAccounts } };
}

function openPositions(context: Context): object {
  const { account, venue } = context;
  const open = [...account.positions.values()].filter(({ contracts }) => contracts !== 0n);
  return {
    openPositions: open.map((position) => {
      const { market, contracts, entry } = position;
      const fill = account.fills.findLast((one) => one.market === market);
      return {
        side: contracts > 0n ? 'long' : 'short',
        symbol: market.id,
        price: jsonNumber(entry),
        fillTime: new Date(fill?.timeMs ?? 0).toISOString(),
        size: jsonNumber(absolute(contracts)),
        unrealizedFunding: 0,
        unrealizedPnl: jsonNumber(profitOf(position, contracts, venue.price(market))),
        pnlCurrency: market.settle,
      };
    }),
  };
}

function transfers({ account }: Context): object {
  const flows = account.flows.filter(({ type }) => type === 'deposit' || type === 'withdrawal');
  return {
    transfers: flows.map((flow) => ({
      receivedTime: new Date(flow.timeMs).toISOString(),
      completedTime: new Date(flow.timeMs).toISOString(),
      status: 'processed',
      transfer_id: String(flow.number),
      transactionId: String(flow.number),
      transferType: flow.type,
      amount: formatAmount(flow.amount),
      currency: currencyId(flow.currency),
    })),
  };
}

/** What the key may do, as `/api-keys/v3/check` tells it. */
function keyCheck({ key }: Context): object {
  const may = key.permissions;
  return {
    permissions: {
      general: may.has('trade') ? 'FULL_ACCESS' : 'READ_ONLY',
      withdrawal: may.has('withdraw') || may.has('transfer') ? 'FULL_ACCESS' : 'NO_ACCESS',
    },
  };
}

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/derivatives/api/v3/instruments', { open: instruments }],
  ['/derivatives/api/v3/tickers', { open: tickers }],
  ['/derivatives/api/v3/accounts', { cost: 2, act: accounts }],
  ['/derivatives/api/v3/openpositions', { cost: 2, act: openPositions }],
  ['/derivatives/api/v3/fills', { cost: 2, act: fills }],
  ['/derivatives/api/v3/transfers', { cost: 2, act: transfers }],
  ['/api/history/v2/executions', { cost: 1, act: executions }],
  ['/api/history/v3/executions', { cost: 1, act: executions }],
  ['/api/history/v2/account-log', { cost: 1, act: accountLog }],
  ['/api/history/v3/account-log', { cost: 1, act: accountLog }],
  ['/api-keys/v3/check', { cost: 1, act: keyCheck }],
]);

export class KrakenFutures implements VenueApi {
  readonly name = 'krakenfutures';
  readonly hosts: readonly string[] = ['futures.kraken.com', 'demo-futures.kraken.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: FuturesLimits = new FuturesLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('krakenfutures');
  }

  answer(call: Call): Reply {
    const context = { call, world: this.#world, venue: this.#venue };
    const charted = call.method === 'GET' ? chart(context) : null;
    if (charted !== null) return reply(charted);
    const route = ROUTES.get(call.path);
    if (route === undefined || call.method !== 'GET') throw futuresRefusal(call, 'notFound');
    const common = { result: 'success', serverTime: new Date(call.nowMs).toISOString() };
    if ('open' in route) return reply({ ...common, ...route.open(context) });
    const signer = checkSigned(call, this.#world);
    this.#limits.charge(call, signer.key, route.cost, this.#venue.limitScale);
    const answered = route.act({ ...context, ...signer });
    return reply(call.path.startsWith('/api/') ? answered : { ...common, ...answered });
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    return futuresTrouble(kind, this.#world.nowMs(), retryAfterS);
  }
}
