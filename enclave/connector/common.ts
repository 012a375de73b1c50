// Sources that most venues have in the same form.

import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import { CallError } from './call-error.ts';
import { positionOf } from './normalise.ts';
import type { Raw } from './raw.ts';
import { listOrNullAt, textAt } from './raw.ts';
import type { Balance, MarketKind, Position } from './records.ts';
import { isSound } from './sound.ts';
import type { MomentSource } from './source.ts';

/** A list that has to be there; its absence is no empty account. */
export function needList(answer: unknown, ...path: readonly string[]): readonly Raw[] {
  const list = listOrNullAt(answer, ...path);
  if (list === null) throw new CallError('bad_response');
  return list;
}

/** Where the next page begins; null after the last one, which is not full. A full one has to say it. */
export function nextAfter(raws: readonly Raw[], limit: number, idName: string): string | null {
  if (raws.length < limit) return null;
  const last = textAt(raws.at(-1), idName);
  if (last === null) throw new CallError('bad_response');
  return last;
}

function soundOf(lines: readonly (Balance | Position | null | 'malformed')[]): {
  readonly records: readonly (Balance | Position)[];
  readonly malformed: number;
} {
  const there = lines.filter((line) => line !== null);
  const records = there.filter((line) => line !== 'malformed' && isSound(line));
  return {
    records: records as readonly (Balance | Position)[],
    malformed: there.length - records.length,
  };
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
      return soundOf(lines);
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
      return soundOf(positions);
    },
  };
}
