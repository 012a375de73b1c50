// The three charts of a report: value, index and drawdown, hour by hour, with gaps where they are. Doubles are for the eye
// only; the figures are in the tables.

import type { Performance } from '../../wire/performance/performance.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';
import type { ChartPoint, Mark } from './chart.ts';
import { digitsOf, renderChart } from './chart.ts';
import type { HourRow } from './sections.ts';
import type { Html } from './html.ts';
import type { IndexPoint } from './index-line.ts';
import { indexLine } from './index-line.ts';
import { day, dollars, minute, named, percent } from './numbers.ts';

interface Part {
  readonly name: string;
  readonly title: string;
}

interface Ends {
  /** Null: as the last one that is known. */
  readonly start: number | null;
  /** Null: the line stops. */
  readonly end: number | null;
}

/** Each hour from its start to its end, so that the first one and the one after a gap are lines, too. */
function pointsOf(
  hours: readonly HourRow[],
  first: number | null,
  ends: (hour: HourRow) => Ends,
): readonly ChartPoint[] {
  let last = first;
  let lastMs: number | null = null;
  return hours.flatMap((hour): readonly ChartPoint[] => {
    const { startMs } = hour.figures;
    const { start, end } = ends(hour);
    const from = { atMs: startMs, value: start ?? last };
    const isOn = lastMs === startMs;
    lastMs = end === null ? null : startMs + HOUR_MS;
    if (end === null) return [{ atMs: startMs, value: null }];
    last = end;
    const to = { atMs: startMs + HOUR_MS, value: end };
    return isOn ? [to] : [{ atMs: startMs, value: null }, from, to];
  });
}

/** For the eye only: a double of an exact amount. */
function approximate(value: bigint | null): number | null {
  return value === null ? null : Number(value / 10n ** 12n) / 1e6;
}

function flowMarks(hours: readonly HourRow[]): readonly Mark[] {
  return hours.flatMap(({ figures }) =>
    figures.flows.flatMap(({ atMs, amount }): readonly Mark[] => {
      if (amount === null || amount === 0n) return [];
      const kind = amount > 0n ? 'in' : 'out';
      const label = `${minute(atMs)}: ${dollars(amount)} US dollars`;
      return [{ atMs, label, kind }];
    }),
  );
}

function level(value: number, digits: number): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString('en-US', options).replace('-', '\u2212');
}

/** `part`: before each name and title, where a page has charts of several times. */
export function charts(
  performance: Performance,
  hours: readonly HourRow[],
  part: Part = { name: '', title: '' },
): readonly Html[] {
  const { coverage, linked, gaps: told, points } = performance;
  if (coverage.recorded === 0) return [];
  const { startMs, endMs } = coverage;
  const line = new Map(indexLine(points).map((point) => [point.atMs, point] as const));
  const isGap = new Set(points.flatMap(({ startMs: at, ratio }) => (ratio === null ? [at] : [])));
  // Within a gap nothing is drawn; behind it the line goes on where the gap ended.
  const along =
    (pick: (point: IndexPoint) => number) =>
    ({ figures }: HourRow): Ends => {
      if (isGap.has(figures.startMs)) return { start: null, end: null };
      const [from, to] = [line.get(figures.startMs), line.get(figures.startMs + HOUR_MS)];
      const start = from === undefined ? null : pick(from);
      return { start, end: to === undefined ? null : pick(to) };
    };
  const shared = { startMs, endMs, bands: told, marks: [], isFilled: false };
  const span = `${day(startMs)} to ${day(endMs)}`;
  const gaps = `${named(told.length, 'gap')} shown as bands.`;
  const fall = performance.hourly.maximum_drawdown;
  return [
    renderChart({
      ...shared,
      name: `${part.name}equity`,
      title: `${part.title}Value of the account, US dollars`,
      description: `${span}: from ${dollars(performance.totals.equityStart)} to ${dollars(performance.totals.equityEnd)}. ${gaps} Marks at the bottom are deposits and withdrawals.`,
      points: pointsOf(hours, null, ({ figures }) => ({
        start: approximate(figures.equityStart),
        end: approximate(figures.equityEnd),
      })),
      marks: flowMarks(hours),
      format: (value, step) => level(value, digitsOf(step)),
    }),
    renderChart({
      ...shared,
      name: `${part.name}index`,
      title: `${part.title}Time-weighted index: deposits and withdrawals do not move it`,
      description: `${span}: 1 at the start; ${linked.ratio === null ? `with gaps ${percent(linked.bridged)}` : percent(linked.ratio)}. ${gaps}`,
      points: pointsOf(
        hours,
        1,
        along(({ index }) => Number(index)),
      ),
      format: (value, step) => level(value, digitsOf(step)),
    }),
    renderChart({
      ...shared,
      name: `${part.name}drawdown`,
      title: `${part.title}Drawdown from the highest index`,
      description: `${span}: ${fall === null ? 'the index never fell' : `deepest ${percent(fall.depth)} at ${minute(fall.troughMs)}`}. ${gaps}`,
      points: pointsOf(
        hours,
        0,
        along(({ drawdown }) => -Number(drawdown)),
      ),
      isFilled: true,
      format: (value, step) => `${level(value * 100, digitsOf(step * 100))} %`,
    }),
  ];
}

/** Of the hours that were worked out backwards: their own charts, and in none of the others. */
export function rebuiltCharts(
  { rebuilt }: Performance,
  hours: readonly HourRow[],
): readonly Html[] {
  if (rebuilt === null) return [];
  const { startMs, endMs } = rebuilt.linked;
  const own = hours.filter(({ figures }) => figures.startMs >= startMs && figures.startMs < endMs);
  const alone = performanceOf(
    own.map(({ figures }) => Object.assign({}, figures, { rebuilt: false })),
  );
  return charts(alone, own, { name: 'rebuilt-', title: 'Worked out backwards: ' });
}
