// A backtest as a picture: one self-contained SVG without scripts, fonts or links, for a browser. For each
// instrument the middle of the book with the fills on it and the position below; then the result at mid with
// its largest fall. Lines are thinned to what a column of pixels can show: its first, lowest, highest and last.

import type { BacktestResult } from './backtest-result.ts';
import { shortMoney } from './backtest-text.ts';
import type { InstrumentRecord, RecordedFill, Recorder } from './recorder.ts';
import { SIDE } from '../../wire/payloads.ts';

const WIDTH = 1200;
const LEFT = 84;
const RIGHT = 24;
const PLOT: number = WIDTH - LEFT - RIGHT;
const GAP = 34;
const TOP = 76;
const MAX_INSTRUMENTS = 4;

const STYLE = `
  svg { background: #ffffff; font: 12px system-ui, sans-serif; }
  text { fill: #333333; } .dim { fill: #777777; } .title { font-size: 16px; font-weight: 600; }
  .frame { fill: none; stroke: #cccccc; } .grid { stroke: #eeeeee; } .zero { stroke: #aaaaaa; }
  .line { fill: none; stroke: #2b5fad; stroke-width: 1.2; } .area { fill: #2b5fad; opacity: 0.18; }
  .buy { fill: #12843e; } .sell { fill: #c22f2f; } .fall { fill: #c22f2f; opacity: 0.1; }
  @media (prefers-color-scheme: dark) {
    svg { background: #14171c; } text { fill: #d8dbe0; } .dim { fill: #8a9099; }
    .frame { stroke: #3a404a; } .grid { stroke: #22272f; } .zero { stroke: #5a616c; }
    .line { stroke: #7aa7ea; } .area { fill: #7aa7ea; } .buy { fill: #4cc47c; } .sell { fill: #f07070; }
  }`;

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function coordinate(value: number): string {
  return value.toFixed(1);
}

/** About `count` round numbers between the two, one more at most. */
export function ticks(low: number, high: number, count: number): readonly number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((n) => n * rough).find((size) => span / size <= count + 1) ?? span;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

const TIME_STEPS_S: readonly number[] = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
];

/** At most `count` times in ms that a clock shows as round. */
export function timeTicks(fromMs: number, toMs: number, count: number): readonly number[] {
  const fits = (seconds: number): boolean => (toMs - fromMs) / (seconds * 1000) <= count - 1;
  const seconds = TIME_STEPS_S.find(fits) ?? Math.ceil((toMs - fromMs) / 1000 / (count - 1));
  const step = seconds * 1000;
  const first = Math.ceil(fromMs / step) * step;
  const last = Math.floor(toMs / step) * step;
  return Array.from(
    { length: Math.max(0, (last - first) / step + 1) },
    (_, at) => first + at * step,
  );
}

interface Scale {
  readonly x: (ms: number) => number;
  readonly y: (value: number) => number;
}

interface Panel {
  readonly top: number;
  readonly height: number;
  readonly title: string;
  readonly low: number;
  readonly high: number;
}

function span(values: readonly number[]): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? { low: 0, high: 1 } : { low, high };
}

function widen(low: number, high: number): { low: number; high: number } {
  const margin = high > low ? (high - low) * 0.06 : Math.abs(high) * 0.01 || 1;
  return { low: low - margin, high: high + margin };
}

/** Path data of a line with holes at NaN. */
export function pathOf(times: readonly number[], values: readonly number[], scale: Scale): string {
  const parts: string[] = [];
  let column = Number.NaN;
  let points: { x: number; y: number }[] = [];
  let pen = 'M';
  const flush = (): void => {
    const [first] = points;
    const last = points.at(-1);
    if (first === undefined || last === undefined) return;
    const ordered = points.toSorted((a, b) => a.y - b.y);
    for (const point of new Set([first, ordered[0] ?? first, ordered.at(-1) ?? last, last])) {
      parts.push(`${pen}${coordinate(point.x)} ${coordinate(point.y)}`);
      pen = 'L';
    }
    points = [];
  };
  for (const [at, value] of values.entries()) {
    if (Number.isNaN(value)) {
      flush();
      pen = 'M';
      continue;
    }
    const point = { x: scale.x(times[at] ?? 0), y: scale.y(value) };
    if (Math.floor(point.x) !== column) flush();
    column = Math.floor(point.x);
    points.push(point);
  }
  flush();
  return parts.join('');
}

class Picture {
  readonly #times: readonly number[];
  readonly #from: number;
  readonly #to: number;
  readonly parts: string[] = [];

  constructor(times: readonly number[]) {
    this.#times = times;
    this.#from = times[0] ?? 0;
    this.#to = Math.max(times.at(-1) ?? 1, this.#from + 1);
  }

  scaleOf({ top, height, low, high }: Panel): Scale {
    const perMs = PLOT / (this.#to - this.#from);
    return {
      x: (ms) => LEFT + (ms - this.#from) * perMs,
      y: (value) => top + height - ((value - low) / (high - low)) * height,
    };
  }

  frame(panel: Panel): void {
    const { top, height, title, low, high } = panel;
    const scale = this.scaleOf(panel);
    for (const value of ticks(low, high, Math.max(3, Math.floor(height / 36)))) {
      const y = coordinate(scale.y(value));
      const label = value.toLocaleString('en-US', { maximumFractionDigits: 8 });
      this.parts.push(
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`,
        `<text class="dim" x="${LEFT - 8}" y="${y}" dy="4" text-anchor="end">${label}</text>`,
      );
    }
    this.parts.push(
      `<rect class="frame" x="${LEFT}" y="${top}" width="${PLOT}" height="${height}"/>`,
      `<text x="${LEFT}" y="${top - 8}">${escape(title)}</text>`,
    );
  }

  zero(panel: Panel): void {
    if (panel.low > 0 || panel.high < 0) return;
    const y = coordinate(this.scaleOf(panel).y(0));
    this.parts.push(`<line class="zero" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`);
  }

  line(panel: Panel, values: readonly number[]): void {
    const data = pathOf(this.#times, values, this.scaleOf(panel));
    this.parts.push(`<path class="line" d="${data}"/>`);
  }

  fills(panel: Panel, fills: readonly RecordedFill[], record: InstrumentRecord): void {
    const { x, y } = this.scaleOf(panel);
    const { price_scale: priceScale, quantity_scale: quantityScale } = record.instrument;
    for (const { side, price, quantity, timeNs, signal } of fills) {
      const [left, value] = [x(Number(timeNs / 1_000_000n)), price / 10 ** priceScale];
      const buys = side === SIDE.buy;
      const tip = coordinate(y(value));
      const base = coordinate(y(value) + (buys ? 9 : -9));
      const name = `${buys ? 'buy' : 'sell'} ${quantity / 10 ** quantityScale} at ${value}, signal ${signal}`;
      const [a, b] = [coordinate(left - 4), coordinate(left + 4)];
      this.parts.push(
        `<path class="${buys ? 'buy' : 'sell'}" d="M${coordinate(left)} ${tip}L${a} ${base}L${b} ${base}Z">` +
          `<title>${name}</title></path>`,
      );
    }
  }

  band(panel: Panel, from: string | null, to: string | null): void {
    if (from === null || to === null) return;
    const { x } = this.scaleOf(panel);
    const [left, right] = [x(Date.parse(from)), x(Date.parse(to))];
    const width = coordinate(Math.max(right - left, 1));
    this.parts.push(
      `<rect class="fall" x="${coordinate(left)}" y="${panel.top}" width="${width}" height="${panel.height}"/>`,
    );
  }

  timeAxis(y: number): void {
    for (const ms of timeTicks(this.#from, this.#to, 9)) {
      const x = coordinate(LEFT + ((ms - this.#from) / (this.#to - this.#from)) * PLOT);
      const label = new Date(ms).toISOString().slice(11, 19);
      this.parts.push(`<text class="dim" x="${x}" y="${y}" text-anchor="middle">${label}</text>`);
    }
  }
}

/** The SVG's text. */
export function plotBacktest(result: BacktestResult, recorder: Recorder): string {
  const ids = new Set(result.by_instrument.map(({ instrument }) => instrument));
  const shown = recorder.instruments
    .filter(({ instrument }) => ids.has(instrument.id))
    .slice(0, MAX_INSTRUMENTS);
  const picture = new Picture(recorder.timesMs);
  let top = TOP;
  const place = (height: number, title: string, values: readonly number[], zero = false): Panel => {
    const { low, high } = span(values);
    const range = widen(zero ? Math.min(low, 0) : low, zero ? Math.max(high, 0) : high);
    const panel = { top, height, title, ...range };
    top += height + GAP;
    picture.frame(panel);
    return panel;
  };
  for (const record of shown) {
    const { symbol, market, id } = record.instrument;
    const price = place(240, `${symbol} ${market}: middle of the book, fills`, record.mids);
    picture.line(price, record.mids);
    const fills = recorder.fills.filter(({ instrument }) => instrument === id);
    picture.fills(price, fills, record);
    const position = place(80, `${symbol} position`, record.positions, true);
    picture.zero(position);
    picture.line(position, record.positions);
  }
  const panel = place(200, 'result, positions at mid, quote currency', recorder.results, true);
  const { from, to, amount } = result.drawdown_at_mid;
  picture.band(panel, from, to);
  picture.zero(panel);
  picture.line(panel, recorder.results);
  picture.timeAxis(top - GAP + 18);
  const height = top + 12;
  const title =
    `${result.strategy}: ${shortMoney(result.profit_at_mid)} after ${shortMoney(result.fees)} of fees, ` +
    `drawdown ${shortMoney(amount)}`;
  const files = result.captures.map(({ file }) => file).join(', ');
  const { model } = result;
  const about =
    `${files}; orders ${model.latency_ms} ms after their batch, fees ${model.taker_fee_ppm}/${model.maker_fee_ppm} ppm, ` +
    `${model.slippage_ticks} ticks slippage; times are UTC`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="${LEFT}" y="26">${escape(title)}</text>`,
    `<text class="dim" x="${LEFT}" y="44">${escape(about)}</text>`,
    ...picture.parts,
    '</svg>',
    '',
  ].join('\n');
}
