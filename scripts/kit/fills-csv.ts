// The fills of a backtest as CSV (RFC 4180), one line each, for spreadsheets and notebooks. Prices,
// quantities and fees are exact decimals.

import { formatDecimal } from '../../wire/market/scaled.ts';
import { SIDE } from '../../wire/payloads.ts';
import type { Recorder } from './recorder.ts';

const HEAD = 'time_ns,time,symbol,market,side,price,quantity,fee,signal,client_order_id';
const FEE_SCALE = 8;

export function fillsCsv(recorder: Recorder): string {
  const instruments = new Map(
    recorder.instruments.map(({ instrument }) => [instrument.id, instrument]),
  );
  const lines = recorder.fills.map((fill) => {
    const instrument = instruments.get(fill.instrument);
    if (instrument === undefined) throw new Error('a fill of an unknown instrument');
    return [
      fill.timeNs.toString(),
      new Date(Number(fill.timeNs / 1_000_000n)).toISOString(),
      instrument.symbol,
      instrument.market,
      fill.side === SIDE.buy ? 'buy' : 'sell',
      formatDecimal(fill.price, instrument.price_scale),
      formatDecimal(fill.quantity, instrument.quantity_scale),
      formatDecimal(fill.fee, FEE_SCALE),
      String(fill.signal),
      fill.clientOrderId,
    ].join(',');
  });
  return `${[HEAD, ...lines].join('\r\n')}\r\n`;
}
