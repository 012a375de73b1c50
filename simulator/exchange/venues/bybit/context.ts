// What an operation of Bybit is given.

import { integerOf } from '../../call.ts';
import type { Call } from '../../call.ts';
import type { Market } from '../../markets.ts';
import type { Account, ApiKey, Venue, World } from '../../world.ts';
import { bybitRefusal } from './access.ts';

export interface Public {
  readonly call: Call;
  readonly world: World;
  readonly venue: Venue;
}

export interface Context extends Public {
  readonly account: Account;
  readonly key: ApiKey;
}

export function integer({ call }: Public, name: string): number | null {
  return integerOf(call, name, () => bybitRefusal(call, 10_001, `${name} params error`));
}

/** `spot`, `linear` or `inverse`; options have no markets here. */
export function category({ call }: Public): Market['segment'] | 'option' {
  const text = call.parameters.get('category');
  if (text === 'spot' || text === 'linear' || text === 'inverse' || text === 'option') return text;
  throw bybitRefusal(call, 10_001, 'params error: category invalid');
}

export function marketIn(context: Public, id: string): Market {
  const segment = category(context);
  const market = segment === 'option' ? null : context.venue.marketById(segment, id);
  if (market === null) {
    throw bybitRefusal(context.call, 10_001, 'Not supported symbols');
  }
  return market;
}
