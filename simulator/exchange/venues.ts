// The venues that the simulated exchange speaks for.

import type { VenueApi } from './call.ts';
import { Binance } from './venues/binance/binance.ts';
import { Bybit } from './venues/bybit/bybit.ts';
import { Kraken } from './venues/kraken/kraken.ts';
import type { World } from './world.ts';

export function venueApis(world: World): readonly VenueApi[] {
  return [new Binance(world), new Bybit(world), new Kraken(world)];
}
