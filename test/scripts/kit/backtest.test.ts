// Backtests over the committed capture: the money is exact, a second run is the same run, and what the text,
// the picture and the CSV say is what happened.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { BacktestOptions, BacktestRun } from '../../../scripts/kit/backtest.ts';
import { runBacktest } from '../../../scripts/kit/backtest.ts';
import type { BacktestResult } from '../../../scripts/kit/backtest-result.ts';
import { amountText, resultOfRun } from '../../../scripts/kit/backtest-result.ts';
import { renderBacktest, shortMoney, sparkline } from '../../../scripts/kit/backtest-text.ts';
import { fillsCsv } from '../../../scripts/kit/fills-csv.ts';
import { pathOf, plotBacktest, ticks, timeTicks } from '../../../scripts/kit/plot.ts';
import { Drawdown } from '../../../scripts/kit/recorder.ts';
import { toHex } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { SEED } from '../../enclave/strategy/support.ts';
import type { TapeRun } from './support.ts';
import { CAPTURE, ETH, newFolder, tapeOptions } from './support.ts';

interface Ran {
  readonly options: BacktestOptions;
  readonly run: BacktestRun;
  readonly result: BacktestResult;
}

async function backtest(tape: TapeRun = {}): Promise<Ran> {
  const options = await tapeOptions(tape);
  const run = assertAccepted(await runBacktest(options));
  return { options, run, result: resultOfRun(nodeCrypto, options, run, false) };
}

/** Decimal text × 10^scale; the fraction has at most as many digits. */
function scaled(text: string, scale: number): bigint {
  const [whole = '', fraction = ''] = text.split('.');
  if (fraction.length > scale) throw new Error(`${text} has more than ${scale} decimals`);
  return BigInt(whole + fraction.padEnd(scale, '0'));
}

/** An amount in 10^-8. */
function textOf(amount: bigint): string {
  return amountText(amount * 10n ** 16n);
}

/** Names of elements that are still open, or the first end that does not fit. */
function unclosed(svg: string): readonly string[] {
  const open: string[] = [];
  for (const [, closing, name = '', empty] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/gu)) {
    if (closing !== '/' && empty !== '/') open.push(name);
    if (closing === '/' && open.pop() !== name) return [`/${name}`];
  }
  return open;
}

describe('a backtest', () => {
  it('gives the same outputs and the same log again, in another process', async () => {
    const [first, second] = [await backtest(), await backtest()];
    expect(first.result.signals).toBeGreaterThan(20);
    expect(first.result.by_instrument[0]?.fills).toBeGreaterThan(10);
    const { machine: _, ...facts } = first.result;
    const { machine: __, ...again } = second.result;
    expect(again).toEqual(facts);
    expect(fillsCsv(second.run.recorder)).toBe(fillsCsv(first.run.recorder));
    expect(plotBacktest(again as BacktestResult, second.run.recorder)).toBe(
      plotBacktest(facts as BacktestResult, first.run.recorder),
    );
  });

  it('gives another one with another seed, other parameters, other cuts, other fees', async () => {
    const base = await backtest();
    const other = await backtest({ seed: SEED.with(31, 9) });
    const larger = await backtest({ parameters: { quantity: 101 } });
    const cut = await backtest({ cuts: { closeRows: 64 } });
    const roots = [base, other, larger, cut].map(({ result }) => result.root);
    expect(new Set(roots).size).toBe(4);
    expect(other.result.outputs_sha256).not.toBe(base.result.outputs_sha256);
    expect(toHex(other.options.epoch.seed)).toBe(other.result.seed);
  });

  it('adds the money up to the last decimal, as its fills and the last mid say', async () => {
    const { result, run } = await backtest({ cuts: { limitEvents: 60_000 } });
    const [head = '', ...rows] = fillsCsv(run.recorder).trimEnd().split('\r\n');
    const names = head.split(',');
    const fills = rows.map((line) =>
      Object.fromEntries(line.split(',').map((value, at) => [names[at] ?? '', value])),
    );
    const [one] = result.by_instrument;
    if (one === undefined) throw new Error('no instrument');
    expect(fills.length).toBe(one.fills);
    // Prices have 2 decimals, quantities 5, fees 8, mids 3: all money fits into 8.
    let [cash, fees, position, volume] = [0n, 0n, 0n, 0n];
    for (const { side, price = '', quantity = '', fee = '' } of fills) {
      const amount = scaled(price, 2) * scaled(quantity, 5) * 10n;
      const sign = side === 'buy' ? 1n : -1n;
      cash -= sign * amount;
      position += sign * scaled(quantity, 5);
      fees += scaled(fee, 8);
      volume += amount;
      // A fee is rounded up to 10^-8.
      expect(
        [amount * 500n, amount * 100n].map((part) => (part + 999_999n) / 1_000_000n),
      ).toContain(scaled(fee, 8));
    }
    const value = position * scaled(one.mid ?? '', 3);
    expect(one.position).toBe((Number(position) / 1e5).toFixed(5));
    expect([one.fees, one.volume]).toEqual([textOf(fees), textOf(volume)]);
    expect(one.profit_at_mid).toBe(textOf(cash + value - fees));
    expect(result.profit_at_mid).toBe(one.profit_at_mid);
    // Average cost is rounded at the 24th decimal, and what one part loses the other has.
    const [realised = 0n, unrealised = 0n] = [one.realised, one.unrealised_at_mid ?? ''].map(
      (part) => scaled(part, 24),
    );
    expect(amountText(realised + unrealised - fees * 10n ** 16n)).toBe(one.profit_at_mid);
    expect(one.signals).toBe(one.buys + one.sells);
    const { accepted, filled, expired, cancelled, rejected } = one.orders;
    expect(accepted + Object.values(rejected).reduce((sum, n) => sum + n, 0)).toBe(one.signals);
    expect(filled + expired + cancelled).toBe(accepted);
  });

  it('ends with a strategy that crashes or is too slow, and says in which batch', async () => {
    const crashed = await backtest({ parameters: { crash_at: 200 } });
    expect(crashed.result.ended).toMatchObject({ code: 'strategy_crashed' });
    expect(crashed.result.ended?.batch).toBe(crashed.result.batches - 1);
    expect(crashed.result.signals).toBe(Math.floor(199 / 40));
    const slow = await backtest({ parameters: { loop_at: 200 }, timeBudgetMs: 3000 });
    expect(slow.result.ended).toEqual({ ...crashed.result.ended, code: 'strategy_over_budget' });
    expect(slow.result.outputs_sha256).toBe(crashed.result.outputs_sha256);
    expect(renderBacktest(slow.result, slow.run.recorder.results)).toMatch(
      /^ENDED {2}tape .*\n(?:.*\n)+ {2}ended {9}strategy_over_budget in batch \d+\n$/u,
    );
  });

  it('refuses what the strategy refuses', async () => {
    const wrong = await runBacktest(await tapeOptions({ parameters: { every: 0 } }));
    expect(wrong).toMatchObject({ ok: false, refusal: { code: 'strategy_parameters' } });
    const options = await tapeOptions({ parameters: { symbol: 'XRPUSDT' } });
    expect(await runBacktest(options)).toMatchObject({ refusal: { code: 'instrument_unknown' } });
  });

  it('shows a person the model, the money and the course of the result', async () => {
    const { result, run } = await backtest();
    const text = renderBacktest(result, run.recorder.results);
    expect(text).toMatch(/^RAN {2}tape {2}bundle [0-9a-f]{16}…\n/u);
    expect(text).toContain('orders reach the market 5 ms after their batch, 1 ticks slippage');
    expect(text).toContain('fees 0.0500 % taking, 0.0100 % making; no risk limits');
    expect(text).toContain('positions are valued at mid');
    expect(text).toMatch(
      /P&L at mid {4}-?\d+\.\d\d = -?\d+\.\d\d realised \+ -?\d+\.\d\d unrealised/u,
    );
    expect(text).toMatch(/\n {16}[▁▂▃▄▅▆▇█ ]{60}\n/u);
    expect(text).toContain(result.outputs_sha256);
  });
});

describe('the largest fall', () => {
  it('is from the highest point before it, and from 0 when nothing was won', () => {
    const drawdown = new Drawdown();
    const course = [5n, 9n, 7n, 12n, 3n, 11n, 2n, 20n, 12n];
    for (const [at, value] of course.entries()) drawdown.add(value, BigInt(at));
    expect([drawdown.largest, drawdown.fromNs, drawdown.toNs]).toEqual([10n, 3n, 6n]);
    const lost = new Drawdown();
    for (const [at, value] of [-1n, -4n, -2n].entries()) lost.add(value, BigInt(at));
    expect([lost.largest, lost.fromNs, lost.toNs]).toEqual([4n, 0n, 1n]);
    const won = new Drawdown();
    for (const [at, value] of [0n, 1n, 1n, 2n].entries()) won.add(value, BigInt(at));
    expect([won.largest, won.fromNs]).toEqual([0n, null]);
  });
});

describe('amounts for people', () => {
  it('are exact with eight decimals or more, and short when asked', () => {
    expect(amountText(0n)).toBe('0.00000000');
    expect(amountText(-(10n ** 24n))).toBe('-1.00000000');
    expect(amountText(123n * 10n ** 14n)).toBe('0.0000000123');
    expect(amountText(1n)).toBe('0.000000000000000000000001');
    expect(['-26.51982', '3.5', '7', null].map(shortMoney)).toEqual([
      '-26.51',
      '3.5',
      '7',
      'unknown (no market)',
    ]);
  });

  it('as bars', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([3, 3, Number.NaN, 3], 4)).toBe('▁▁ ▁');
    // The last value is the last bar.
    expect(sparkline([1, 1, 5, 9], 2)).toBe('▁█');
    expect(sparkline([])).toBe('');
  });
});

describe('the picture', () => {
  it('is one SVG with every fill, whatever a name contains', async () => {
    const { result, run } = await backtest();
    const svg = plotBacktest({ ...result, strategy: 'a<b&"c' }, run.recorder);
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 ')).toBe(true);
    expect(svg).toContain('a&lt;b&amp;&quot;c');
    expect(svg).not.toMatch(/<script|href|url\(|NaN|Infinity|undefined/u);
    const triangles = svg.match(/<path class="(?:buy|sell)"/gu) ?? [];
    expect(triangles.length).toBe(result.by_instrument[0]?.fills);
    expect(unclosed(svg)).toEqual([]);
  });

  it('has a picture of nothing, too', async () => {
    const { result, run } = await backtest({ parameters: { every: 1_000_000 } });
    expect(result.drawdown_at_mid).toEqual({ amount: '0.00000000', from: null, to: null });
    expect(plotBacktest(result, run.recorder)).not.toMatch(/NaN|Infinity/u);
  });

  it('marks round numbers and times', () => {
    expect(ticks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(ticks(-0.3, 0.3, 3)).toHaveLength(3);
    expect(ticks(5, 5, 3)).toEqual([5]);
    for (const [low, high] of [
      [2679.2, 2684.9],
      [-26.6, 1.2],
      [0.00001, 0.00007],
    ] as const) {
      const list = ticks(low, high, 5);
      expect(list.length).toBeGreaterThan(1);
      expect(list.length).toBeLessThanOrEqual(7);
      for (const value of list) expect(value >= low - 1e-9 && value <= high + 1e-9).toBe(true);
    }
    const minute = Date.parse('2024-08-08T23:54:14Z');
    const shown = timeTicks(minute, minute + 346_000, 9).map((ms) => new Date(ms).toISOString());
    expect(shown[0]).toBe('2024-08-08T23:55:00.000Z');
    expect(shown.at(-1)).toBe('2024-08-09T00:00:00.000Z');
    expect(shown).toHaveLength(6);
    expect(timeTicks(0, 400 * 86_400_000, 9).length).toBeLessThanOrEqual(9);
  });

  it('thins a line to what columns of pixels show, with its extremes and holes', () => {
    const scale = { x: (ms: number) => ms / 10, y: (value: number) => 100 - value };
    const times = Array.from({ length: 40 }, (_, at) => at);
    const values = times.map((at) => (at === 17 ? 90 : at === 23 ? 1 : 50));
    const data = pathOf(times, values, scale);
    const points = data.match(/[ML]/gu) ?? [];
    expect(points.length).toBeLessThanOrEqual(16);
    expect(data).toContain('L1.7 10.0');
    expect(data).toContain('L2.3 99.0');
    const holed = pathOf([0, 1, 2, 3], [1, Number.NaN, 2, 3], scale);
    expect(holed.match(/M/gu)).toHaveLength(2);
    expect(pathOf([0], [Number.NaN], scale)).toBe('');
  });
});

describe('what a backtest does not know', () => {
  it('of an instrument without a book, is null and no zero', async () => {
    const lines = gunzipSync(readFileSync(CAPTURE)).toString('utf8').split('\n');
    const trades = lines.filter((line) => line.includes('"e":"trade"')).slice(0, 200);
    const capture = join(await newFolder(), 'trades');
    writeFileSync(capture, trades.join('\n'));
    const { result } = await backtest({ capture, parameters: { every: 10 } });
    const [one] = result.by_instrument;
    expect(one?.mid).toBe(null);
    expect(Object.keys(one?.orders.rejected ?? {})).toEqual(['risk_no_market']);
    expect(one).toMatchObject({ symbol: ETH.symbol, fills: 0, position: '0.00000' });
  });
});
