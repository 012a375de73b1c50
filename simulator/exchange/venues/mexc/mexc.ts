// MEXC: spot (v3) and linear contracts (v1) on one host.

import { reply } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import type { Venue, World } from '../../world.ts';
import { checkContract, checkSpot, contractRefusal, mexcTrouble, MexcLimits } from './access.ts';
import { spotRefusal } from './access.ts';
import { contractKlines, spotKlines } from './candles.ts';
import type { Context, Public } from './context.ts';
import { assets, details, fundingRecords, historyPositions, openPositions } from './contract.ts';
import { orderDeals } from './contract.ts';
import { account, coins, deposits, exchangeInfo, myTrades, tickers, transfers } from './spot.ts';
import { withdrawals } from './spot.ts';

type Open = (context: Public) => unknown;
type Act = (context: Context) => unknown;

const SPOT_OPEN: Readonly<Record<string, Open>> = {
  '/api/v3/time': ({ call }) => ({ serverTime: call.nowMs }),
  '/api/v3/ping': () => ({}),
  '/api/v3/exchangeInfo': exchangeInfo,
  '/api/v3/ticker/24hr': tickers,
  '/api/v3/klines': spotKlines,
};

const SPOT: Readonly<Record<string, Act>> = {
  '/api/v3/account': account,
  '/api/v3/myTrades': myTrades,
  '/api/v3/capital/config/getall': coins,
  '/api/v3/capital/deposit/hisrec': deposits,
  '/api/v3/capital/withdraw/history': withdrawals,
  '/api/v3/capital/transfer': transfers,
};

const CONTRACT_OPEN: Readonly<Record<string, Open>> = {
  '/api/v1/contract/ping': ({ call }) => call.nowMs,
  '/api/v1/contract/detail': details,
};

const CONTRACT: Readonly<Record<string, Act>> = {
  '/api/v1/private/account/assets': assets,
  '/api/v1/private/position/open_positions': openPositions,
  '/api/v1/private/position/list/history_positions': historyPositions,
  '/api/v1/private/position/funding_records': fundingRecords,
  '/api/v1/private/order/list/order_deals': orderDeals,
};

const CHART: RegExp =
  /^\/api\/v1\/contract\/kline\/(?:fair_price\/|index_price\/)?(?<id>[A-Z_]+)$/u;

export class Mexc implements VenueApi {
  readonly name = 'mexc';
  readonly hosts: readonly string[] = ['api.mexc.com', 'contract.mexc.com'];
  readonly #world: World;
  readonly #venue: Venue;
  readonly #limits: MexcLimits = new MexcLimits();

  constructor(world: World) {
    this.#world = world;
    this.#venue = world.venue('mexc');
  }

  answer(call: Call): Reply {
    const context = { call, world: this.#world, venue: this.#venue };
    this.#limits.charge(call, call.path === '/api/v3/myTrades' ? 10 : 1, this.#venue.limitScale);
    const isContract = call.path.startsWith('/api/v1/');
    if (call.method === 'GET') {
      const spotOpen = SPOT_OPEN[call.path];
      if (spotOpen !== undefined) return reply(spotOpen(context));
      const spot = SPOT[call.path];
      if (spot !== undefined) return reply(spot({ ...context, ...checkSpot(call, this.#world) }));
      const id = CHART.exec(call.path)?.groups?.['id'];
      if (id !== undefined) return succeeded(contractKlines(context, id));
      const contractOpen = CONTRACT_OPEN[call.path];
      if (contractOpen !== undefined) return succeeded(contractOpen(context));
      const contract = CONTRACT[call.path];
      if (contract !== undefined) {
        return succeeded(contract({ ...context, ...checkContract(call, this.#world) }));
      }
    }
    throw isContract ? contractRefusal(404, 'Not Found') : spotRefusal(404, 404, 'Not Found');
  }

  trouble(kind: Trouble, retryAfterS: number): Reply {
    return mexcTrouble(kind, retryAfterS);
  }
}

function succeeded(data: unknown): Reply {
  return reply({ success: true, code: 0, data });
}
