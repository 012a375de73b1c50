// A backtest for people: one screen, with the model in words before the money, and the course of the result
// as one line of bars.

import type { BacktestResult, InstrumentResult } from './backtest-result.ts';
import { formatDecimal } from '../../wire/market/scaled.ts';

const BARS = '▁▂▃▄▅▆▇█';
const SPARK_WIDTH = 60;

function row(name: string, text: string): string {
  return `  ${name.padEnd(14)}${text}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Two decimals, cut off; JSON has them all. */
export function shortMoney(amount: string | null): string {
  if (amount === null) return 'unknown (no market)';
  return /^-?\d+(?:\.\d{1,2})?/u.exec(amount)?.[0] ?? amount;
}

/** Bars between the lowest and the highest value; spaces where there is none. */
export function sparkline(values: readonly number[], width: number = SPARK_WIDTH): string {
  const known = values.filter((value) => !Number.isNaN(value));
  const low = known.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = known.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const columns = Math.min(width, values.length);
  return Array.from({ length: columns }, (_, column) => {
    const value = values[Math.floor(((column + 1) * values.length) / columns) - 1] ?? Number.NaN;
    if (Number.isNaN(value)) return ' ';
    const share = high === low ? 0 : (value - low) / (high - low);
    return BARS[Math.min(Math.floor(share * BARS.length), BARS.length - 1)] ?? ' ';
  }).join('');
}

function instrumentLines(one: InstrumentResult): readonly string[] {
  const { orders } = one;
  const rejected = Object.entries(orders.rejected).map(([code, n]) => `${n} ${code}`);
  return [
    '',
    `${one.symbol} ${one.market}`,
    row('signals', `${count(one.signals)}: ${count(one.buys)} to buy, ${count(one.sells)} to sell`),
    row(
      'orders',
      `${count(orders.accepted)} accepted, ${count(orders.filled)} filled, ` +
        `${count(orders.expired)} expired, ${count(orders.cancelled)} cancelled at the end` +
        (rejected.length > 0 ? `; rejected: ${rejected.join(', ')}` : ''),
    ),
    row('fills', `${count(one.fills)}: ${one.bought} bought, ${one.sold} sold`),
    row(
      'position',
      one.average_price === null
        ? one.position
        : `${one.position} at ${one.average_price} on average; mid ${one.mid ?? 'none'}`,
    ),
    row('volume', `${shortMoney(one.volume)}, fees ${shortMoney(one.fees)}`),
    row(
      'P&L at mid',
      `${shortMoney(one.profit_at_mid)} = ${shortMoney(one.realised)} realised ` +
        `+ ${shortMoney(one.unrealised_at_mid)} unrealised − ${shortMoney(one.fees)} fees`,
    ),
    row('drawdown', shortMoney(one.drawdown_at_mid.amount)),
  ];
}

function percent(ppm: number): string {
  return `${formatDecimal(ppm, 4)} %`;
}

function modelLines({ model, cuts, seed, machine }: BacktestResult): readonly string[] {
  return [
    row(
      'batches',
      `closed at ${cuts.rows} rows or ${cuts.ms} ms; time budget ${machine.time_budget_ms} ms`,
    ),
    row(
      'execution',
      `orders reach the market ${model.latency_ms} ms after their batch, ` +
        `${model.slippage_ticks} ticks slippage; fees ${percent(model.taker_fee_ppm)} taking, ` +
        `${percent(model.maker_fee_ppm)} making; ${model.limits ? 'with' : 'no'} risk limits`,
    ),
    row('', 'our orders do not move the market; resting orders have no place in a queue'),
    row('', 'reports reach the strategy before its next batch; positions are valued at mid'),
    row('seed', seed),
  ];
}

/** `results` is the course of the result, one value a batch. */
export function renderBacktest(result: BacktestResult, results: readonly number[]): string {
  const { ended, machine } = result;
  const lines = [
    `${ended === null ? 'RAN' : 'ENDED'}  ${result.strategy}  bundle ${result.bundle_sha256.slice(0, 16)}…`,
    ...result.captures.map(({ file, messages, rows, first, last }) =>
      row(
        'capture',
        `${file}: ${count(messages)} messages, ${count(rows)} rows, ${first} to ${last}`,
      ),
    ),
    ...modelLines(result),
    ...result.by_instrument.flatMap(instrumentLines),
    '',
    'All',
    row(
      'rows',
      `${count(result.rows)} in ${count(result.batches)} batches, ${count(result.gaps)} gaps`,
    ),
    row(
      'P&L at mid',
      `${shortMoney(result.profit_at_mid)} after ${shortMoney(result.fees)} of fees`,
    ),
    row('', sparkline(results)),
    row(
      'drawdown',
      result.drawdown_at_mid.from === null
        ? 'none'
        : `${shortMoney(result.drawdown_at_mid.amount)}, ` +
            `${result.drawdown_at_mid.from} to ${result.drawdown_at_mid.to ?? ''}`,
    ),
    row('outputs', `${count(result.signals)}, SHA-256 ${result.outputs_sha256}`),
    row('run', `${count(result.leaves)} leaves, root ${result.root}`),
    row(
      'machine',
      `${machine.seconds.toFixed(1)} s, ${count(machine.rows_per_second)} rows/s, ` +
        `slowest batch ${machine.slowest_batch_ms.toFixed(1)} ms`,
    ),
  ];
  if (ended !== null) {
    lines.push(row('ended', `${ended.code} in batch ${count(ended.batch)}`));
  }
  return `${lines.join('\n')}\n`;
}
