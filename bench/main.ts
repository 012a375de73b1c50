// npm run bench: the whole path and the log alone, as ratios against a JSON baseline in the same run.
// Machines differ and are noisy: the ratios are what to compare, medians of several turns.

import { stdout } from 'node:process';
import { parseArgs } from 'node:util';
import type { MarketEvent } from '../host-proxy/feed/events.ts';
import { rowsOf } from '../host-proxy/feed/events.ts';
import { readEvents, repeatEvents } from './events.ts';
import type { JsonEvent } from './json-baseline.ts';
import { runJsonBaseline } from './json-baseline.ts';
import { benchLog } from './log-alone.ts';
import { runWholePath } from './whole-path.ts';

const USAGE = `usage: npm run bench -- [--json] [--repeat N] [--rows N] [--turns N] [--quick]

  --repeat N   how often the capture (163,074 events) is replayed in one turn; default 6
  --rows N     events in a batch; default 512
  --turns N    turns, of which the median counts; default 3
  --quick      one turn of the capture: shows that it runs, not how fast it is
  --json       the report as JSON
`;

const NS_PER_MS = 1e6;

function decimals(price: number, quantity: number): { price: number; quantity: number } {
  return { price: price / 1e2, quantity: quantity / 1e5 };
}

function jsonRows(event: MarketEvent): JsonEvent[] {
  const base = {
    instrument: event.instrument,
    exchange_time: Number(event.exchangeTimeNs ?? 0n) / NS_PER_MS,
    receive_time: Number(event.receiveTimeNs) / NS_PER_MS,
  };
  if (event.type === 'trade') {
    const { price, quantity, id } = event;
    const side = event.buyerTook ? 'bid' : 'ask';
    return [{ ...base, kind: 'trade', side, ...decimals(price, quantity), id }];
  }
  if (event.type === 'best') {
    const { updateId: id } = event;
    return [
      { ...base, kind: 'bbo', side: 'bid', ...decimals(event.bidPrice, event.bidQuantity), id },
      { ...base, kind: 'bbo', side: 'ask', ...decimals(event.askPrice, event.askQuantity), id },
    ];
  }
  return Array.from({ length: rowsOf(event) }, (_, level) => ({
    ...base,
    kind: 'level',
    side: level < event.bids ? 'bid' : 'ask',
    ...decimals(event.levels[2 * level] ?? 0, event.levels[2 * level + 1] ?? 0),
    id: event.lastId,
  }));
}

function inBatches<T>(rows: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

interface PathReport {
  readonly events: number;
  readonly rows_per_batch: number;
  readonly signals: number;
  readonly leaves: number;
  readonly events_per_second: number;
  readonly json_per_event: { readonly events_per_second: number; readonly ratio: number };
  readonly json_per_batch: { readonly events_per_second: number; readonly ratio: number };
}

/** Baseline events that are signed one by one: fewer, because it is slow. */
const SINGLE_EVENTS = 100_000;

async function benchPath(
  events: readonly MarketEvent[],
  repeat: number,
  rowsPerBatch: number,
  turns: number,
): Promise<PathReport> {
  const repeated = repeatEvents(events, repeat);
  const rows = repeated.flatMap(jsonRows);
  const batched = inBatches(rows, rowsPerBatch);
  const single = inBatches(rows.slice(0, SINGLE_EVENTS), 1);
  const ours: number[] = [];
  const jsonBatches: number[] = [];
  const jsonEvents: number[] = [];
  let last = null;
  for (let turn = 0; turn < turns; turn++) {
    last = await runWholePath(repeated, rowsPerBatch);
    ours.push(last.eventsPerSecond);
    jsonBatches.push((await runJsonBaseline(batched)).eventsPerSecond);
    jsonEvents.push((await runJsonBaseline(single)).eventsPerSecond);
  }
  return {
    events: rows.length,
    rows_per_batch: rowsPerBatch,
    signals: last?.signals ?? 0,
    leaves: last?.leaves ?? 0,
    events_per_second: median(ours),
    json_per_event: {
      events_per_second: median(jsonEvents),
      ratio: median(ours) / median(jsonEvents),
    },
    json_per_batch: {
      events_per_second: median(jsonBatches),
      ratio: median(ours) / median(jsonBatches),
    },
  };
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US').padStart(12);
}

function render(path: PathReport, log: ReturnType<typeof benchLog>): string {
  const { json_per_event: perEvent, json_per_batch: perBatch } = path;
  return [
    `Whole path: ${path.events.toLocaleString('en-US')} events, ${path.rows_per_batch} a batch, ${path.signals} signals, ${path.leaves} leaves`,
    '  market data -> strategy -> signed log, synced -> released signal -> paper order -> report',
    `  trackseal                        ${count(path.events_per_second)} events/s`,
    `  JSON, one signed entry an event  ${count(perEvent.events_per_second)} events/s   ratio ${perEvent.ratio.toFixed(2)}`,
    `  JSON, one signed entry a batch   ${count(perBatch.events_per_second)} events/s   ratio ${perBatch.ratio.toFixed(2)}`,
    '  (the baselines parse, keep the best prices, hash, sign, append and sync; they run no strategy,',
    '  keep no books, check nothing and trade nothing)',
    '',
    'Log alone, entries of 256 bytes, no disk: tree and checkpoint against a JSON hash chain',
    ...log.map(
      (row) =>
        `  ${String(row.entriesPerCommit).padStart(5)} a commit  ${count(row.entriesPerSecond)} entries/s   baseline ${count(row.baselineEntriesPerSecond)}   ratio ${row.ratio.toFixed(2)}`,
    ),
    '',
  ].join('\n');
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '6' },
    rows: { type: 'string', default: '512' },
    turns: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) stdout.write(USAGE);
else {
  const { quick } = values;
  const repeat = quick ? 1 : Number(values.repeat);
  const turns = quick ? 1 : Number(values.turns);
  const events = await readEvents();
  const path = await benchPath(events, repeat, Number(values.rows), turns);
  const log = benchLog(quick ? 10_000 : 50_000);
  const report = { node: process.version, whole_path: path, log_alone: log };
  stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : render(path, log));
}
