// Sources that most venues have in the same form.

import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import { CallError } from './call-error.ts';
import { positionOf } from './normalise.ts';
import type { Raw } from './raw.ts';
import { listOrNullAt } from './raw.ts';
import type { Balance, MarketKind } from './records.ts';
import type { MomentSource } from './source.ts';

/** A list that has to be there; its absence is no empty account. */
export function needList(answer: unknown, ...path: readonly string[]): readonly Raw[] {
  const list = listOrNullAt(answer, ...path);
  if (list === null) throw new CallError('bad_response');
  return list;
}

export type BalanceLine = Balance | null | 'malformed';

/** All lines of a wallet, or nothing: a wallet with one missing would pass for a smaller one. */
export function balancesSource(
  market: string,
  read: () => Promise<readonly BalanceLine[]>,
): MomentSource {
  return {
    type: 'moment',
    what: 'balances',
    market,
    read: async () => {
      const lines = await read();
      const records = lines.filter((line) => line !== null && line !== 'malformed');
      return { records, malformed: lines.filter((line) => line === 'malformed').length };
    },
  };
}

/** `read` gives unified positions of ccxt; `kind` where they are in markets of another one. */
export function positionsSource(
  exchange: Exchange,
  market: string,
  read: () => Promise<unknown>,
  kind?: MarketKind,
): MomentSource {
  return {
    type: 'moment',
    what: 'positions',
    market,
    read: async () => {
      const unified = await read();
      if (!Array.isArray(unified)) throw new CallError('bad_response');
      const positions = unified.map((position) => positionOf(exchange, position, kind));
      const records = positions.filter((position) => position !== null && position !== 'malformed');
      return {
        records,
        malformed: positions.filter((position) => position === 'malformed').length,
      };
    },
  };
}
