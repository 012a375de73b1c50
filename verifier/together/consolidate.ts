// Hours of several accounts as hours of one. Values, costs and profits add up; transfers between the accounts are no flows, and
// what is on its way belongs to the whole until it arrives. An account whose record begins or ends within the others' comes in
// and leaves with its value, as a flow. An hour that one of them does not know is not known of all. Derived: nobody signed it.

import type { Fixed } from '../../wire/fixed.ts';
import {
  isJump,
  isObserved,
  mayHideFlow,
  unexplainedGain,
} from '../../wire/performance/hour-return.ts';
import type {
  FigureMarket,
  HourFigures,
  HourStatus,
  MarketFigures,
} from '../../wire/track/figures.ts';
import { FIGURE_MARKETS, HOUR_MS } from '../../wire/track/figures.ts';
import { flowsOf } from './flows.ts';
import type { Member, Members } from './member.ts';
import { addAll } from './member.ts';
import type { Transfers } from './transfers.ts';
import { findTransfers } from './transfers.ts';
import { inTransitAt } from './transit.ts';

/** Of an account, what counts: its hours from the first that is not rebuilt. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Together {
  readonly hours: readonly HourFigures[];
  readonly transfers: Transfers;
  /** One for each account; null where no hour of it counts. */
  readonly spans: readonly (Span | null)[];
}

function positive(value: Fixed): Fixed {
  return value > 0n ? value : 0n;
}

/** What appeared between two hours of one account is not made up for by what another lost there. */
function hiddenJump(there: readonly Member[]): Fixed {
  const jumps = there.map(({ before, figures }) =>
    before !== undefined && isJump(before, figures)
      ? (figures.equityStart ?? 0n) - (before.equityEnd ?? 0n)
      : 0n,
  );
  const sum = jumps.reduce((all, jump) => all + jump, 0n);
  return jumps.reduce((all, jump) => all + positive(jump), 0n) - positive(sum);
}

/** Nor does what one lacks make up for what another has beyond its records. */
function residualOf(there: readonly Member[]): Fixed | null {
  const residuals = there.flatMap(({ figures: { residual } }) =>
    residual === null ? [] : [residual],
  );
  const found = there.reduce((sum, { figures }) => sum + unexplainedGain(figures), 0n);
  const gain = found + hiddenJump(there);
  if (residuals.length === 0 && gain === 0n) return null;
  return gain > 0n ? gain : residuals.reduce((sum, residual) => sum + residual, 0n);
}

function statusOf(there: readonly Member[], residual: Fixed | null): HourStatus {
  const statuses = new Set(there.map(({ figures }) => figures.status));
  if (there.some(({ figures }) => mayHideFlow(figures))) return 'beyond';
  if (statuses.has('unknown')) return 'unknown';
  return statuses.has('beyond') && (residual ?? 0n) < 0n ? 'beyond' : 'reconciled';
}

const SUMMED = [
  'volume',
  'fees',
  'funding',
  'realised',
  'outlay',
  'income',
  'unrealised',
] as const satisfies readonly (keyof MarketFigures)[];
type Summed = (typeof SUMMED)[number];

/** What accounts bring along of a market, and take away, is no profit of it. */
function broughtOf(market: FigureMarket, { there, gone }: Members): Fixed | null {
  const has = ({ byMarket }: HourFigures): readonly MarketFigures[] =>
    byMarket.filter((row) => row.market === market);
  // What of its value at the start was of which market its figures do not say.
  const isUnknown = there.some(
    ({ joins, figures }) => joins && figures.equityStart !== 0n && has(figures).length > 0,
  );
  if (isUnknown) return null;
  const taken = addAll(gone.flatMap(has).map(({ equity }) => equity));
  return taken === null ? null : -taken;
}

function marketOf(
  market: FigureMarket,
  members: Members,
  transit: Fixed,
): readonly MarketFigures[] {
  const rows = [...members.there.map(({ figures }) => figures), ...members.gone].map(
    (hour, at) => ({
      isThere: at < members.there.length,
      row: hour.byMarket.find((one) => one.market === market),
    }),
  );
  const isSpot = market === 'spot';
  if (rows.every(({ row }) => row === undefined) && !(isSpot && transit !== 0n)) return [];
  const own = rows.flatMap(({ isThere, row }) => (isThere && row !== undefined ? [row] : []));
  const sums = Object.fromEntries(
    SUMMED.map((name) => [name, addAll(own.map((row) => row[name]))]),
  ) as Record<Summed, Fixed | null>;
  const equity = addAll([...own.map((row) => row.equity), isSpot ? transit : 0n]);
  const outlay = isSpot ? sums.outlay : addAll([sums.outlay, broughtOf(market, members)]);
  const trades = own.reduce((all, row) => all + row.trades, 0);
  return [{ market, trades, ...sums, outlay, equity }];
}

const NO_DIGEST: Uint8Array = new Uint8Array(32);
type Total =
  | 'realised'
  | 'realisedAverage'
  | 'unrealisedEnd'
  | 'unrealisedChange'
  | 'funding'
  | 'fees'
  | 'income'
  | 'volume';

function hourOf(members: Members, transfers: Transfers): HourFigures {
  const { startMs, there, gone } = members;
  const all = there.map(({ figures }) => figures);
  const stayed = there.filter(({ joins }) => !joins).map(({ figures }) => figures.equityStart);
  const left = gone.map(({ equityEnd }) => equityEnd);
  const endMs = startMs + HOUR_MS;
  const transit = inTransitAt(transfers.internal, endMs);
  const equityStart = addAll([...stayed, ...left, inTransitAt(transfers.internal, startMs)]);
  const hasJump = there.some(({ before, figures }) => isJump(before, figures));
  const complete = all.every(isObserved) && !hasJump;
  const residual = residualOf(there);
  const sum = (name: Total): Fixed | null => addAll(all.map((hour) => hour[name]));
  const gaps = new Set(all.flatMap((hour) => hour.gaps));
  // It says that the hour is not known, whatever a later poll told of one of them.
  if (!complete) gaps.add('not_known');
  return {
    startMs,
    equityStart,
    equityEnd: addAll([...all.map(({ equityEnd }) => equityEnd), transit]),
    ...flowsOf(equityStart, members, transfers),
    realised: sum('realised'),
    realisedAverage: sum('realisedAverage'),
    unrealisedEnd: sum('unrealisedEnd'),
    unrealisedChange: sum('unrealisedChange'),
    funding: sum('funding'),
    fees: sum('fees'),
    income: sum('income'),
    residual,
    tolerance: all.reduce((total, { tolerance }) => total + tolerance, 0n),
    status: complete ? statusOf(there, residual) : 'unknown',
    trades: all.reduce((total, { trades }) => total + trades, 0),
    volume: sum('volume'),
    byMarket: FIGURE_MARKETS.flatMap((market) => marketOf(market, members, transit)),
    prices: [],
    pricesDigest: NO_DIGEST,
    polls: all.reduce((total, { polls }) => total + polls, 0),
    complete,
    gaps: [...gaps].sort(),
    rebuilt: all.some(({ rebuilt }) => rebuilt),
  };
}

/** What was worked out backwards before an account was seen counts in no record. */
function counted(hours: readonly HourFigures[]): readonly HourFigures[] {
  const first = hours.findIndex(({ rebuilt }) => !rebuilt);
  return first < 0 ? [] : hours.slice(first);
}

/** Null where nobody is there, or an account lacks the hour within its record. */
function membersOf(
  accounts: readonly (readonly HourFigures[])[],
  spans: readonly (Span | null)[],
  byStart: readonly ReadonlyMap<number, HourFigures>[],
  startMs: number,
): Members | null {
  const firstMs = firstOf(spans);
  const there: Member[] = [];
  const gone: HourFigures[] = [];
  for (const [account, span] of spans.entries()) {
    if (span === null) continue;
    const last = accounts[account]?.at(-1);
    if (span.toMs === startMs && last !== undefined) gone.push(last);
    if (startMs < span.fromMs || startMs >= span.toMs) continue;
    const figures = byStart[account]?.get(startMs);
    if (figures === undefined) return null;
    const before = byStart[account]?.get(startMs - HOUR_MS);
    there.push({ figures, before, joins: span.fromMs === startMs && startMs > firstMs });
  }
  return there.length === 0 ? null : { startMs, there, gone };
}

function firstOf(spans: readonly (Span | null)[]): number {
  return spans.reduce((least, span) => Math.min(least, span?.fromMs ?? least), Infinity);
}

/** `accounts`: the hours of each that hold now, in the order of time. Hours that one of them lacks are left out: gaps. */
export function consolidate(accounts: readonly (readonly HourFigures[])[]): Together {
  const own = accounts.map(counted);
  const transfers = findTransfers(own);
  const spans = own.map((hours): Span | null => {
    const [first, last] = [hours[0], hours.at(-1)];
    if (first === undefined || last === undefined) return null;
    return { fromMs: first.startMs, toMs: last.startMs + HOUR_MS };
  });
  const toMs = spans.reduce((most, span) => Math.max(most, span?.toMs ?? most), -Infinity);
  const byStart = own.map((hours) => new Map(hours.map((hour) => [hour.startMs, hour] as const)));
  const hours: HourFigures[] = [];
  for (let startMs = firstOf(spans); startMs < toMs; startMs += HOUR_MS) {
    const members = membersOf(own, spans, byStart, startMs);
    if (members !== null) hours.push(hourOf(members, transfers));
  }
  return { hours, transfers, spans };
}
