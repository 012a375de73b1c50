// What an operation of Bitget is given.

import type { Call } from '../../call.ts';
import type { Account, ApiKey, Venue, World } from '../../world.ts';

export interface Public {
  readonly call: Call;
  readonly world: World;
  readonly venue: Venue;
}

export interface Context extends Public {
  readonly account: Account;
  readonly key: ApiKey;
}
