// What an operation of Alpaca is given, and how it refuses.

import { Refusal, reply } from '../../call.ts';
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

export function alpacaRefusal(status: number, code: number, message: string): Refusal {
  return new Refusal(reply({ code, message }, status));
}
