// The venues that the simulated exchange speaks for.

import type { VenueApi } from './call.ts';
import { Alpaca } from './venues/alpaca/alpaca.ts';
import { Binance } from './venues/binance/binance.ts';
import { Bitget } from './venues/bitget/bitget.ts';
import { Bybit } from './venues/bybit/bybit.ts';
import { Coinbase } from './venues/coinbase/coinbase.ts';
import { Ibkr } from './venues/ibkr/ibkr.ts';
import { Kraken } from './venues/kraken/kraken.ts';
import { KrakenFutures } from './venues/krakenfutures/krakenfutures.ts';
import { Mexc } from './venues/mexc/mexc.ts';
import { Okx } from './venues/okx/okx.ts';
import type { World } from './world.ts';

export function venueApis(world: World): readonly VenueApi[] {
  return [
    new Binance(world),
    new Bybit(world),
    new Kraken(world),
    new KrakenFutures(world),
    new Coinbase(world),
    new Okx(world),
    new Bitget(world),
    new Mexc(world),
    new Ibkr(world),
    new Alpaca(world),
  ];
}
