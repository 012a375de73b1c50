// Line charts as inline SVG: no script, no font, no image from anywhere. What is not known is a band, and the line stops at
// it. Each chart says in words what it shows; the tables of the report have the figures. Places are in per cent and text in
// pixels, so that a chart is as wide as the screen and its text can be read there.

import type { Html } from './html.ts';
import { html } from './html.ts';
import { day, minute } from './numbers.ts';

/** Units that a line has, in both directions; they are stretched to the box. */
const UNITS = 1000;
/** Below that many days labels have a time of day. */
const TIMES_BELOW_MS: number = 4 * 86_400_000;

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
  /** From zero at the top down to the line, and not as high: for drawdowns. */
  readonly isFilled: boolean;
  /** A level beside the chart, where levels are `step` apart. */
  readonly format: (value: number, step: number) => string;
}

interface Scale {
  readonly x: (ms: number) => number;
  readonly y: (value: number) => number;
  readonly low: number;
  readonly high: number;
}

/** Digits behind the point that tell levels apart which are `step` apart. */
export function digitsOf(step: number): number {
  return Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 12);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function percentOf(units: number): string {
  return `${round((units * 1000) / UNITS) / 10}%`;
}

/** Null where no value is known: then there are no levels. */
function rangeOf({ points, isFilled }: Chart): { low: number; high: number } | null {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const [first] = values;
  if (first === undefined) return null;
  const low = values.reduce((a, b) => Math.min(a, b), first);
  const high = isFilled ? 0 : values.reduce((a, b) => Math.max(a, b), first);
  if (isFilled) return { low: Math.min(low, -0.001), high };
  const room = high > low ? 0 : Math.abs(high) * 0.01 || 1;
  return { low: low - room, high: high + room };
}

function scaleOf(chart: Chart, { low, high }: { low: number; high: number }): Scale {
  const { startMs, endMs } = chart;
  const duration = Math.max(endMs - startMs, 1);
  return {
    low,
    high,
    x: (ms) => round((Math.min(Math.max(ms - startMs, 0), duration) / duration) * UNITS),
    y: (value) => round(((high - value) / (high - low)) * UNITS),
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
  return runsOf(thin(chart.points, scale)).map((run) => {
    const path = pathOf(run, scale);
    if (!chart.isFilled) return html`<polyline class="line" points="${path}" />`;
    const [from, to] = [scale.x(run[0]?.atMs ?? 0), scale.x(run.at(-1)?.atMs ?? 0)];
    return html`<polygon class="area" points="${from},0 ${path} ${to},0" /><polyline
        class="line loss"
        points="${path}"
      />`;
  });
}

/** Steps of 1, 2 or 5 times a power of ten. */
function stepOf({ low, high }: Scale): number {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
}

function levels(chart: Chart, scale: Scale): readonly Html[] {
  const { low, high } = scale;
  const step = stepOf(scale);
  const first = Math.ceil(low / step);
  const all = Array.from({ length: 12 }, (_, at) => (first + at) * step);
  return all
    .filter((value) => value <= high)
    .map((value) => {
      const y = percentOf(scale.y(value));
      return html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}" /><text
          class="level"
          x="-6"
          y="${y}"
          dy="4"
          >${chart.format(value, step)}</text
        >`;
    });
}

/** On a narrow screen every second one is left out. */
function dates({ startMs, endMs }: Chart): readonly Html[] {
  const label = (ms: number): string =>
    endMs - startMs < TIMES_BELOW_MS ? minute(ms).slice(5, 16) : day(ms);
  const places = ['first', 'date minor', 'date', 'date minor', 'last'];
  return places.map(
    (place, at) =>
      html`<text class="${place}" x="${at * 25}%" y="100%" dy="18"
        >${label(startMs + ((endMs - startMs) * at) / 4)}</text
      >`,
  );
}

function bandsOf(chart: Chart, { x }: Scale): readonly Html[] {
  return chart.bands.map(({ fromMs, toMs }) => {
    const width = Math.max(x(toMs) - x(fromMs), 1);
    return html`<rect
      class="gap"
      x="${percentOf(x(fromMs))}"
      y="0"
      width="${percentOf(width)}"
      height="100%"
      ><title>no return: ${minute(fromMs)} to ${minute(toMs)}</title></rect
    >`;
  });
}

function marksOf(chart: Chart, scale: Scale): readonly Html[] {
  return chart.marks.map(({ atMs, label, kind }) => {
    const x = percentOf(scale.x(atMs));
    return html`<line class="flow ${kind}" x1="${x}" x2="${x}" y1="94%" y2="100%"
      ><title>${label}</title></line
    >`;
  });
}

function legend({ bands, marks }: Chart): Html {
  const kinds = [
    ...(bands.length > 0 ? [html`<span><i class="key-gap"></i> no return</span>`] : []),
    ...(marks.some(({ kind }) => kind === 'in')
      ? [html`<span><i class="key-in"></i> paid in</span>`]
      : []),
    ...(marks.some(({ kind }) => kind === 'out')
      ? [html`<span><i class="key-out"></i> paid out</span>`]
      : []),
  ];
  return kinds.length === 0 ? html`` : html`<p class="legend" aria-hidden="true">${kinds}</p>`;
}

export function renderChart(chart: Chart): Html {
  const range = rangeOf(chart);
  const scale = scaleOf(chart, range ?? { low: 0, high: 1 });
  const { name, title, description, isFilled } = chart;
  return html`<figure>
    <figcaption>${title}${legend(chart)}</figcaption>
    <svg
      class="chart${isFilled ? ' low' : ''}"
      role="img"
      aria-labelledby="${name}-title ${name}-description"
    >
      <title id="${name}-title">${title}</title>
      <desc id="${name}-description">${description}</desc>
      ${bandsOf(chart, scale)}${range === null ? nothing() : levels(chart, scale)}${dates(chart)}
      <svg
        class="plot"
        viewBox="0 0 ${UNITS} ${UNITS}"
        width="100%"
        height="100%"
        preserveAspectRatio="none"
      >
        ${lines(chart, scale)}
      </svg>
      ${marksOf(chart, scale)}
    </svg>
  </figure>`;
}

function nothing(): Html {
  return html`<text class="date" x="50%" y="50%">nothing is known</text>`;
}
