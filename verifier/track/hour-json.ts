// Hours of a verdict on a record, with all that a report prints of them: a table of it ends somewhere, and says that the rest
// is here.

import type { Fixed } from '../../wire/fixed.ts';
import { formatFixed } from '../../wire/fixed.ts';
import { hourReturn } from '../../wire/performance/hour-return.ts';
import type { HourFigures, PriceSource } from '../../wire/track/figures.ts';
import type { VerifiedRecord } from './check-record.ts';

/** One that holds now; amounts in US dollars. */
export interface HourJson {
  readonly start_ms: number;
  readonly return: string | null;
  readonly method: string | null;
  readonly reason: string | null;
  readonly equity_start: string | null;
  readonly equity_end: string | null;
  readonly unrealised_end: string | null;
  readonly unrealised_change: string | null;
  readonly inflow: string | null;
  readonly outflow: string | null;
  readonly fees: string | null;
  readonly funding: string | null;
  readonly residual: string | null;
  readonly tolerance: string;
  readonly status: string;
  readonly gaps: readonly string[];
  readonly rebuilt: boolean;
  readonly counter: number;
  readonly origin: string;
  readonly leaf: number;
  readonly position: number;
}

export interface PriceSourceJson {
  readonly source: string;
  readonly rows: number;
  readonly oldest_age_ms: number;
}

function amount(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

export function hourJson({
  statement,
  leafIndex,
  position,
}: VerifiedRecord['hours'][number]): HourJson {
  const { figures, counter, origin } = statement;
  const { ratio, method, reason } = hourReturn(figures);
  return {
    start_ms: figures.startMs,
    return: ratio,
    method,
    reason,
    equity_start: amount(figures.equityStart),
    equity_end: amount(figures.equityEnd),
    unrealised_end: amount(figures.unrealisedEnd),
    unrealised_change: amount(figures.unrealisedChange),
    inflow: amount(figures.inflow),
    outflow: amount(figures.outflow),
    fees: amount(figures.fees),
    funding: amount(figures.funding),
    residual: amount(figures.residual),
    tolerance: formatFixed(figures.tolerance),
    status: figures.status,
    gaps: figures.gaps,
    rebuilt: figures.rebuilt,
    counter,
    origin,
    leaf: leafIndex,
    position,
  };
}

/** Of all hours together, in the order in which they were first used. */
export function priceSources(hours: readonly HourFigures[]): readonly PriceSource[] {
  const sources = new Map<string, PriceSource>();
  for (const { source, rows, oldestAgeMs } of hours.flatMap(({ prices }) => prices)) {
    const found = sources.get(source) ?? { source, rows: 0, oldestAgeMs: 0 };
    const oldest = Math.max(found.oldestAgeMs, oldestAgeMs);
    sources.set(source, { source, rows: found.rows + rows, oldestAgeMs: oldest });
  }
  return [...sources.values()];
}

export function priceSourceJson({ source, rows, oldestAgeMs }: PriceSource): PriceSourceJson {
  return { source, rows, oldest_age_ms: oldestAgeMs };
}
