// Every figure that a statement derives from others is computed again: the identity of an hour, its return, the figures of
// a snapshot from the hours before it, and those of a metrics statement from its hours. What differs is refused with the
// place and the name: the enclave's signature says who wrote a figure, not that it is right. What an hour has nothing
// beside it to be computed from stays as it was signed: realised by average cost, and the digest of the prices.

import { equalBytes } from '../../wire/bytes.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { formatFixed } from '../../wire/fixed.ts';
import { hourReturn } from '../../wire/performance/hour-return.ts';
import { metricsFigures } from '../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import { totalsOf } from '../../wire/performance/totals.ts';
import type { RefusalDetail, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import { DAY_MS } from '../../wire/track/head.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import { wrongOf } from './hour-basis.ts';

function differs(
  what: string,
  place: RefusalDetail,
  expected: string | null,
  actual: string | null,
): Result<never> {
  return refuse('record_mismatch', { what, ...place, expected, actual });
}

function text(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

/** Null as soon as one is null. */
function sum(values: readonly (Fixed | null)[]): Fixed | null {
  let total = 0n;
  for (const value of values) {
    if (value === null) return null;
    total += value;
  }
  return total;
}

function minus(value: Fixed | null): Fixed | null {
  return value === null ? null : -value;
}

function identityOf(figures: HourFigures): Fixed | null {
  const { equityStart, realised, unrealisedChange, funding, fees, income } = figures;
  const { inflow, outflow, residual } = figures;
  return sum([
    equityStart,
    realised,
    unrealisedChange,
    funding,
    minus(fees),
    income,
    inflow,
    minus(outflow),
    residual,
  ]);
}

const MARKET_SUMS = ['volume', 'fees', 'funding', 'income', 'realised'] as const;

/** Rows of markets add up to the hour, no row to nothing, and what they paid each other to zero; no contract has cost anything. Refuses `record_mismatch`. */
function checkMarkets({ figures, counter }: HourStatement): Result<null> {
  const { byMarket, trades, equityEnd, unrealisedEnd } = figures;
  for (const { market, equity, unrealised } of byMarket) {
    const isOther = equity !== null && unrealised !== null && equity !== unrealised;
    if (isOther && (market === 'swap' || market === 'future')) {
      return differs(`unrealised of ${market}`, { counter }, text(equity), text(unrealised));
    }
  }
  const dealt = byMarket.reduce((count, row) => count + row.trades, 0);
  const sums: readonly (readonly [string, Fixed | null, Fixed | null])[] = [
    ['trades', BigInt(trades), BigInt(dealt)],
    ['equity', equityEnd, sum(byMarket.map(({ equity }) => equity))],
    ['unrealised', unrealisedEnd, sum(byMarket.map(({ unrealised }) => unrealised))],
    ['outlay', 0n, sum(byMarket.map(({ outlay }) => outlay))],
    ...MARKET_SUMS.map(
      (name) => [name, figures[name], sum(byMarket.map((row) => row[name]))] as const,
    ),
  ];
  const wrong = sums.find(([, whole, rows]) => whole !== null && rows !== null && whole !== rows);
  return wrong === undefined
    ? accept(null)
    : differs(`markets: ${wrong[0]}`, { counter }, text(wrong[1]), text(wrong[2]));
}

/** Both sums, each by itself: deposits that are undone by withdrawals are none. Refuses `record_mismatch`. */
function checkFlows({ figures, counter }: HourStatement): Result<null> {
  const amounts = figures.flows.map(({ amount }) => amount);
  if (amounts.includes(null)) return accept(null);
  for (const [name, sign] of [
    ['inflow', 1n],
    ['outflow', -1n],
  ] as const) {
    const signed = amounts.map((amount) => (amount ?? 0n) * sign);
    const expected = sum(signed.map((amount) => (amount > 0n ? amount : 0n)));
    const stated = figures[name];
    if (stated !== null && stated !== expected) {
      return differs(name, { counter }, text(expected), text(stated));
    }
  }
  return accept(null);
}

/** Refuses `record_mismatch`. */
export function checkHour(statement: HourStatement): Result<null> {
  const { figures, counter } = statement;
  const place = { counter };
  const { equityEnd } = figures;
  const expectedEnd = identityOf(figures);
  if (equityEnd !== null && expectedEnd !== null && equityEnd !== expectedEnd) {
    return differs('change of equity', place, text(expectedEnd), text(equityEnd));
  }
  const flows = checkFlows(statement);
  if (!flows.ok) return flows;
  const markets = checkMarkets(statement);
  if (!markets.ok) return markets;
  const basis = wrongOf(statement);
  if (basis !== null) return differs(basis.what, place, basis.expected, basis.actual);
  const expected = hourReturn(figures);
  for (const name of ['ratio', 'method', 'reason'] as const) {
    const stated = statement.return[name];
    const what = name === 'ratio' ? 'return' : name;
    if (stated !== expected[name]) return differs(what, place, expected[name], stated);
  }
  return accept(null);
}

/** `hours`: those of the day before, as they held when the snapshot was stated. Refuses `record_mismatch`. */
export function checkSnapshot(
  snapshot: SnapshotStatement,
  hours: readonly HourStatement[],
): Result<null> {
  const { counter, atMs, basis } = snapshot;
  const place = { counter };
  const all = hours.filter(({ figures }) => figures.startMs >= atMs - DAY_MS);
  const last = all.at(-1);
  const counts = (name: string, expected: number, actual: number): Result<null> =>
    expected === actual ? accept(null) : differs(name, place, String(expected), String(actual));
  const complete = all.filter(({ figures }) => figures.complete).length;
  const numbers = [
    counts('last hour', last?.counter ?? 0, basis.lastCounter),
    counts('hours', all.length, basis.hours),
    counts('complete hours', complete, basis.completeHours),
  ].find(({ ok }) => !ok);
  if (numbers !== undefined) return numbers;
  const equity = last?.figures.equityEnd ?? null;
  const unrealised = last?.figures.unrealisedEnd ?? null;
  const amounts: readonly (readonly [string, Fixed | null, Fixed | null])[] = [
    ['equity', equity, snapshot.equity],
    ['unrealised', unrealised, snapshot.unrealised],
    ['balance', sum([equity, minus(unrealised)]), snapshot.balance],
    ['deposits', sum(all.map(({ figures }) => figures.inflow)), snapshot.deposits],
    ['withdrawals', sum(all.map(({ figures }) => figures.outflow)), snapshot.withdrawals],
  ];
  const markets = totalsOf(all.map(({ figures }) => figures)).byMarket;
  const marketTexts = [markets, snapshot.byMarket].map((rows) =>
    rows.map((own) => {
      const { volume, fees, funding, realised, equity, outlay, income, unrealised } = own;
      const money = [volume, fees, funding, realised, equity, outlay, income, unrealised];
      return [own.market, own.trades, ...money.map(text)].join(' ');
    }),
  );
  const [expectedMarkets = [], statedMarkets = []] = marketTexts;
  if (expectedMarkets.join('; ') !== statedMarkets.join('; ')) {
    return differs('markets', place, expectedMarkets.join('; '), statedMarkets.join('; '));
  }
  const wrong = amounts.find(([, expected, actual]) => expected !== actual);
  return wrong === undefined
    ? accept(null)
    : differs(wrong[0], place, text(wrong[1]), text(wrong[2]));
}

/**
 * `hours`: those that held at the last statement the metrics rest on, within their period. `hashOf` is the chain's. Refuses
 * `record_mismatch`.
 */
export function checkMetrics(
  metrics: MetricsStatement,
  hours: readonly HourStatement[],
  hashOf: (counter: number) => Uint8Array | null,
): Result<null> {
  for (const { counter, hash } of [metrics.first, metrics.last]) {
    const known = hashOf(counter);
    if (known === null || !equalBytes(known, hash)) {
      return refuse('record_mismatch', { what: 'hash of a metrics statement', counter });
    }
  }
  const place = { as_of_ms: metrics.asOfMs };
  const made = metricsFigures(performanceOf(hours.map(({ figures }) => figures)));
  // Neither one that this version does not know, nor one that is left out: what is beside a figure is a part of it.
  const lists = [
    ['', made.figures, metrics.figures],
    ['reason of ', made.reasons, metrics.reasons],
    ['convention ', made.conventions, metrics.conventions],
    ['gap ', gapTexts(made.gaps), gapTexts(metrics.gaps)],
  ] as const;
  for (const [what, expected, stated] of lists) {
    for (const name of new Set([...expected.keys(), ...stated.keys()])) {
      const [own, theirs] = [expected.get(name), stated.get(name)];
      if (own !== theirs) {
        return differs(`${what}${name}`, place, String(own ?? null), String(theirs ?? null));
      }
    }
  }
  return accept(null);
}

function gapTexts(gaps: MetricsStatement['gaps']): ReadonlyMap<string, string> {
  return new Map(
    gaps.map(({ fromMs, toMs, reason, change }, at) => [
      String(at),
      `${fromMs} to ${toMs}, ${reason}: ${change ?? 'null'}`,
    ]),
  );
}
