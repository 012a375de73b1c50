// The venues that the simulated exchange speaks for.

import type { VenueApi } from './call.ts';
import { Binance } from './venues/binance/binance.ts';
import type { World } from './world.ts';

export function venueApis(world: World): readonly VenueApi[] {
  return [new Binance(world)];
}
