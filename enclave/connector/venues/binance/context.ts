// What the parts of Binance's adapter share: the account they speak for, and how lists and lines are read.

import type { binance } from '../../ccxt.ts';
import { CallError } from '../../call-error.ts';
import type { Cursors } from '../../cursors.ts';
import { flowOf, idAt } from '../../normalise.ts';
import type { Raw } from '../../raw.ts';
import { decimalAt, listOrNullAt, textAt, timeAt } from '../../raw.ts';
import type { Flow } from '../../records.ts';
import type { Run } from '../../run.ts';
import type { Span } from '../../source.ts';

export type Kind = 'spot' | 'margin' | 'linear' | 'inverse';

export const LIMIT = 1000;

export interface Context {
  readonly exchange: binance;
  readonly run: Run;
  readonly cursors: Cursors;
  readonly kind: Kind;
  /** By the balances of this job; the pairs of what has changed are asked for. */
  changed: ReadonlySet<string>;
  held: ReadonlySet<string>;
  /** Something is set aside for an open order, or may be. */
  hasLocked: boolean;
}

export function bounds({ fromMs, toMs }: Span): {
  readonly startTime: number;
  readonly endTime: number;
} {
  return { startTime: fromMs, endTime: toMs };
}

export async function listOf(answer: Promise<unknown>): Promise<readonly Raw[]> {
  const list = listOrNullAt({ list: await answer }, 'list');
  if (list === null) throw new CallError('bad_response');
  return list;
}

/** Of a line with a signed amount. */
export function flow(
  exchange: binance,
  raw: Raw,
  type: Flow['type'],
  names: { readonly time: string; readonly ids: readonly string[]; readonly amount?: string },
): Flow | null {
  return flowOf({
    id: names.ids.map((name) => idAt(raw, name)).find((found) => found !== null),
    type,
    currency: exchange.safeCurrencyCode(textAt(raw, 'asset') ?? undefined),
    amount: decimalAt(raw, names.amount ?? 'amount'),
    timeMs: timeAt(raw, names.time),
  });
}
