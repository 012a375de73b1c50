// Line charts as inline SVG: no script, no font, no image from anywhere. What is not known is a band, and the line stops at
// it. Each chart says in words what it shows; the tables of the report have the figures.

import type { Html } from './html.ts';
import { html } from './html.ts';
import { day } from './numbers.ts';

const WIDTH = 960;
const LEFT = 84;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;
/** Columns of pixels that a line has. */
const COLUMNS: number = WIDTH - LEFT - RIGHT;

export interface ChartPoint {
  readonly atMs: number;
  /** Null: the line stops. */
  readonly value: number | null;
}

export interface Band {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Mark {
  readonly atMs: number;
  readonly label: string;
  readonly kind: 'in' | 'out';
}

export interface Chart {
  /** A word for the identifiers of its title and description. */
  readonly name: string;
  readonly title: string;
  /** What a reader who does not see it has to know. */
  readonly description: string;
  readonly points: readonly ChartPoint[];
  readonly startMs: number;
  readonly endMs: number;
  readonly bands: readonly Band[];
  readonly marks: readonly Mark[];
  readonly height: number;
  /** From the top down to the line: for drawdowns. */
  readonly isFilled: boolean;
  readonly format: (value: number) => string;
}

interface Scale {
  readonly x: (ms: number) => number;
  readonly y: (value: number) => number;
  readonly low: number;
  readonly high: number;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function scaleOf({ points, startMs, endMs, height }: Chart): Scale {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  let low = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
  let high = values.reduce((a, b) => Math.max(a, b), values[0] ?? 1);
  const spread = high - low;
  const room = spread > 0 ? 0 : Math.abs(high) * 0.01 || 1;
  low -= room;
  high += room;
  const duration = Math.max(endMs - startMs, 1);
  return {
    low,
    high,
    x: (ms) => round(LEFT + ((ms - startMs) / duration) * COLUMNS),
    y: (value) => round(TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM)),
  };
}

/** Lowest and highest of each column of pixels, in the order in which they came: a spike is never lost. */
function thin(points: readonly ChartPoint[], { x }: Scale): readonly ChartPoint[] {
  const kept: ChartPoint[] = [];
  let column: ChartPoint[] = [];
  const flush = (): void => {
    const known = column.filter(({ value }) => value !== null);
    const order = known.toSorted((a, b) => (a.value ?? 0) - (b.value ?? 0));
    const wanted = new Set([column[0], order[0], order.at(-1), column.at(-1)]);
    kept.push(...column.filter((point) => point.value === null || wanted.has(point)));
    column = [];
  };
  for (const point of points) {
    const first = column[0];
    if (first !== undefined && Math.floor(x(first.atMs)) !== Math.floor(x(point.atMs))) flush();
    column.push(point);
  }
  flush();
  return kept;
}

/** Runs of known values. */
function runsOf(points: readonly ChartPoint[]): readonly (readonly ChartPoint[])[] {
  const runs: ChartPoint[][] = [];
  let isOpen = false;
  for (const point of points) {
    if (point.value === null) {
      isOpen = false;
      continue;
    }
    if (!isOpen) runs.push([]);
    isOpen = true;
    runs.at(-1)?.push(point);
  }
  return runs;
}

function pathOf(run: readonly ChartPoint[], { x, y }: Scale): string {
  const [first] = run;
  // A point by itself is a short stroke.
  const points = run.length === 1 && first !== undefined ? [first, first] : run;
  return points.map(({ atMs, value }) => `${x(atMs)},${y(value ?? 0)}`).join(' ');
}

function lines(chart: Chart, scale: Scale): readonly Html[] {
  const top = scale.y(scale.high);
  return runsOf(thin(chart.points, scale)).map((run) => {
    const path = pathOf(run, scale);
    if (!chart.isFilled) return html`<polyline class="line" points="${path}" />`;
    const [from, to] = [scale.x(run[0]?.atMs ?? 0), scale.x(run.at(-1)?.atMs ?? 0)];
    return html`<polygon class="area" points="${from},${top} ${path} ${to},${top}" /><polyline
        class="line loss"
        points="${path}"
      />`;
  });
}

/** Steps of 1, 2 or 5 times a power of ten. */
function ticksOf({ low, high }: Scale): readonly number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let at = Math.ceil(low / step); at * step <= high && ticks.length < 12; at++) {
    ticks.push(at * step);
  }
  return ticks;
}

function axis(chart: Chart, scale: Scale): readonly Html[] {
  const levels = ticksOf(scale).map((value) => {
    const y = scale.y(value);
    return html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}" /><text
        class="level"
        x="${LEFT - 6}"
        y="${y + 4}"
        >${chart.format(value)}</text
      >`;
  });
  const dates = [0, 1, 2, 3, 4].map((part) => {
    const ms = chart.startMs + ((chart.endMs - chart.startMs) * part) / 4;
    const anchor = part === 0 ? 'first' : part === 4 ? 'last' : 'date';
    return html`<text class="${anchor}" x="${scale.x(ms)}" y="${chart.height - 8}"
      >${day(ms)}</text
    >`;
  });
  return [...levels, ...dates];
}

function bandsOf(chart: Chart, scale: Scale): readonly Html[] {
  return chart.bands.map(({ fromMs, toMs }) => {
    const from = scale.x(Math.max(fromMs, chart.startMs));
    const width = round(Math.max(scale.x(Math.min(toMs, chart.endMs)) - from, 1));
    const height = chart.height - TOP - BOTTOM;
    return html`<rect class="gap" x="${from}" y="${TOP}" width="${width}" height="${height}"
      ><title>not known: ${day(fromMs)}</title></rect
    >`;
  });
}

function marksOf(chart: Chart, scale: Scale): readonly Html[] {
  const bottom = chart.height - BOTTOM;
  return chart.marks.map(({ atMs, label, kind }) => {
    const x = scale.x(atMs);
    return html`<line class="flow ${kind}" x1="${x}" x2="${x}" y1="${bottom - 10}" y2="${bottom}"
      ><title>${label}</title></line
    >`;
  });
}

export function renderChart(chart: Chart): Html {
  const scale = scaleOf(chart);
  const { name, title, description, height } = chart;
  return html`<figure>
    <figcaption>${title}</figcaption>
    <svg
      viewBox="0 0 ${WIDTH} ${height}"
      role="img"
      aria-labelledby="${name}-title ${name}-description"
    >
      <title id="${name}-title">${title}</title>
      <desc id="${name}-description">${description}</desc>
      ${axis(chart, scale)}${bandsOf(chart, scale)}${lines(chart, scale)}${marksOf(chart, scale)}
    </svg>
  </figure>`;
}
