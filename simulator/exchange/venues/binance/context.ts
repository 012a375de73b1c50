// What an operation of Binance is given, and the windows and pages that several of them share.

import { formatPlaces } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { integerOf } from '../../call.ts';
import type { Call } from '../../call.ts';
import type { Market } from '../../markets.ts';
import type { Venue, World } from '../../world.ts';
import type { Signer } from './access.ts';
import { binanceRefusal, illegalParameter, malformedParameter } from './refusals.ts';

export interface Public {
  readonly call: Call;
  readonly world: World;
  readonly venue: Venue;
}

export interface Signed extends Public, Signer {}

export const DAY_MS = 86_400_000;

/** Binance writes eight decimals. */
export function eight(value: Amount): string {
  return formatPlaces(value, 8);
}

export function integer({ call }: Public, name: string): number | null {
  return integerOf(call, name, illegalParameter);
}

export function mandatory({ call }: Public, name: string): string {
  const text = call.parameters.get(name);
  if (text === null || text === '') throw malformedParameter(name);
  return text;
}

export function marketOf(context: Public, segment: Market['segment'], id: string): Market {
  const market = context.venue.marketById(segment, id);
  if (market === null) throw binanceRefusal(400, -1121, 'Invalid symbol.');
  return market;
}

/** `limit` or another name, cut at the venue's maximum where it cuts and refused where it refuses. */
export function limitOf(context: Public, name: string, standard: number, maximum: number): number {
  const limit = integer(context, name) ?? standard;
  if (limit < 1) throw illegalParameter(name);
  return Math.min(limit, maximum);
}

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

export interface SpanRule {
  /** The longest that may be asked for. */
  readonly maximumMs: number;
  /** What is answered where neither end is given: that much, until now. */
  readonly defaultMs: number;
  readonly refuse: () => Error;
}

/** A start without an end reaches as far as the rule allows, and an end without a start as far back. */
export function spanOf(context: Public, rule: SpanRule): Span {
  const start = integer(context, 'startTime');
  const end = integer(context, 'endTime');
  const { nowMs } = context.call;
  if (start === null && end === null) return { startMs: nowMs - rule.defaultMs, endMs: nowMs };
  const startMs = start ?? (end ?? nowMs) - rule.maximumMs;
  const endMs = end ?? startMs + rule.maximumMs;
  if (startMs > endMs) throw binanceRefusal(400, -1023, 'Start time is greater than end time.');
  if (endMs - startMs > rule.maximumMs) throw rule.refuse();
  return { startMs, endMs };
}

export function within<T extends { readonly timeMs: number }>(
  records: readonly T[],
  { startMs, endMs }: Span,
): readonly T[] {
  return records.filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs);
}
