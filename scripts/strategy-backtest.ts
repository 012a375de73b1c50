// trackseal strategy backtest: a strategy over captures, through the same parser, batcher, runner process and
// paper broker as beside an enclave, and what came of it.

import { writeFile } from 'node:fs/promises';
import { parseOptions } from '../verifier/command-line.ts';
import type { CommandIo } from '../verifier/io.ts';
import { ProgressBar } from '../verifier/log/progress.ts';
import { locateRunner } from '../verifier/replay/locate-runner.ts';
import { equalBytes } from '../wire/bytes.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { BacktestOptions, BacktestRun } from './kit/backtest.ts';
import { runBacktest } from './kit/backtest.ts';
import type { BacktestResult } from './kit/backtest-result.ts';
import { resultOfRun } from './kit/backtest-result.ts';
import { renderBacktest } from './kit/backtest-text.ts';
import { CaptureFailure } from './kit/capture-batches.ts';
import { explain } from './kit/explain.ts';
import { fillsCsv } from './kit/fills-csv.ts';
import { likeEpoch, renderLike } from './kit/like.ts';
import { plotBacktest } from './kit/plot.ts';
import type { Model, PreparedCaptures } from './kit/prepare.ts';
import {
  DEFAULT_MODEL,
  parseNumber,
  parseSeed,
  prepareCaptures,
  readModel,
  readParameters,
} from './kit/prepare.ts';
import { findSource, readBundle } from './kit/strategy-source.ts';

const DEFAULTS = { rows: 256, ms: 50, 'time-budget': 5000 } as const;

const USAGE = `usage: trackseal strategy backtest PATH --capture FILE [--capture FILE …] [OPTIONS]

Runs a strategy over capture files as a host and an enclave would, and trades its signals with the paper
broker. PATH is a source file, a folder with strategy.ts, or what 'strategy pack' made of it.

  --capture FILE         lines of '<local time in ns> <json>' (Binance), also gzipped; several files are
                         streams of their own, merged by time
  --parameters FILE      default: parameters.json beside the strategy
  --instruments FILE     the table with the scales, or an enclave's configuration that has it; default:
                         instruments.json beside the strategy, else made from the captures and shown
  --rows N --ms N        where batches are closed; default ${DEFAULTS.rows} rows, ${DEFAULTS.ms} ms
  --limit ROWS           of each capture
  --seed HEX             of the strategy's random numbers, 32 bytes; default zeros
  --time-budget MS       longest time for one batch; default ${DEFAULTS['time-budget']}
  --latency-ms N         from a batch to the market; default ${DEFAULT_MODEL['latency-ms']}
  --taker-fee-ppm N      millionths of the notional; default ${DEFAULT_MODEL['taker-fee-ppm']}
  --maker-fee-ppm N      default ${DEFAULT_MODEL['maker-fee-ppm']}
  --slippage-ticks N     default ${DEFAULT_MODEL['slippage-ticks']}
  --host FILE            take the last four, risk limits and how batches are closed from an operator's file
                         (docs/OPERATE.md)
  --like LOG --key FILE  instead: make an epoch of this log happen again from its capture, with its seed,
                         leaf indexes and reports, and compare inputs, outputs and reports byte for
                         byte; with --epoch N, and with --only NAME|STREAM where it had several
                         strategies; --host names the file of that host
  --twice                run it again in another process: every output must be the same
  --plot FILE            prices, fills, positions and the result as SVG
  --fills FILE           the fills as CSV
  --json                 the result as JSON on stdout
  --help

Exit codes: 0 ran to the end, or is like the epoch; 1 the strategy ended before, or something differs;
2 could not run.
`;

const OPTIONS = {
  capture: { type: 'string', multiple: true },
  parameters: { type: 'string' },
  instruments: { type: 'string' },
  rows: { type: 'string' },
  ms: { type: 'string' },
  limit: { type: 'string' },
  seed: { type: 'string' },
  'time-budget': { type: 'string' },
  'latency-ms': { type: 'string' },
  'taker-fee-ppm': { type: 'string' },
  'maker-fee-ppm': { type: 'string' },
  'slippage-ticks': { type: 'string' },
  host: { type: 'string' },
  like: { type: 'string' },
  key: { type: 'string' },
  epoch: { type: 'string' },
  only: { type: 'string' },
  twice: { type: 'boolean' },
  plot: { type: 'string' },
  fills: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = {
  readonly [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K] extends { readonly multiple: true }
    ? string[]
    : (typeof OPTIONS)[K]['type'] extends 'string'
      ? string
      : boolean;
};

interface Task {
  readonly options: BacktestOptions;
  readonly model: Model;
  readonly prepared: PreparedCaptures;
}

function readCuts(values: Values, feed: Model['feed']): Result<BacktestOptions['cuts']> {
  const rows = values.rows ?? String(feed?.close_rows ?? DEFAULTS.rows);
  const closeRows = parseNumber('rows', rows, 1, 1024);
  if (!closeRows.ok) return closeRows;
  const ms = values.ms ?? String(feed?.close_ms ?? DEFAULTS.ms);
  const closeMs = parseNumber('ms', ms, 1, 60_000);
  if (!closeMs.ok) return closeMs;
  const ofFeed = feed?.source === 'replay' ? feed.limit_events : null;
  const limit = values.limit ?? ofFeed?.toString();
  const limitEvents =
    limit === undefined ? accept(null) : parseNumber('limit', limit, 1, Number.MAX_SAFE_INTEGER);
  if (!limitEvents.ok) return limitEvents;
  return accept({
    closeRows: closeRows.value,
    closeMs: closeMs.value,
    limitEvents: limitEvents.value,
  });
}

async function prepare(values: Values, path: string): Promise<Result<Task>> {
  const { capture = [] } = values;
  if (capture.length === 0) return refuse('usage_invalid', { what: 'give --capture' });
  if (capture.length > 64) return refuse('usage_invalid', { what: 'at most 64 captures' });
  const seed = parseSeed(values.seed);
  if (!seed.ok) return seed;
  const budget = values['time-budget'] ?? String(DEFAULTS['time-budget']);
  const timeBudgetMs = parseNumber('time-budget', budget, 1, 60_000);
  if (!timeBudgetMs.ok) return timeBudgetMs;
  const model = await readModel(values, values.host);
  if (!model.ok) return model;
  const cuts = readCuts(values, model.value.feed);
  if (!cuts.ok) return cuts;
  const program = locateRunner();
  if (!program.ok) return program;
  const source = findSource(path);
  if (!source.ok) return source;
  const parameters = await readParameters(source.value, values.parameters);
  if (!parameters.ok) return parameters;
  const bundle = await readBundle(source.value);
  if (!bundle.ok) return bundle;
  const prepared = await prepareCaptures(source.value, capture, values.instruments);
  if (!prepared.ok) return prepared;
  const { captures, instruments } = prepared.value;
  const { paper, limits } = model.value;
  const epoch = {
    crypto: nodeCrypto,
    program: program.value,
    name: source.value.name,
    bundle: bundle.value,
    parameters: parameters.value,
    seed: seed.value,
    instruments,
    timeBudgetMs: timeBudgetMs.value,
    trading: { paper, limits },
  };
  const options = { epoch, captures, cuts: cuts.value };
  return accept({ options, model: model.value, prepared: prepared.value });
}

async function runOnce(
  { options, prepared }: Task,
  io: CommandIo,
  label: string,
): Promise<Result<BacktestRun>> {
  const bar = new ProgressBar(io, label);
  const firstNs = prepared.surveys.reduce(
    (first, { firstTimeNs }) => (firstTimeNs < first ? firstTimeNs : first),
    prepared.surveys[0]?.firstTimeNs ?? 0n,
  );
  const lastNs = prepared.surveys.reduce(
    (last, { lastTimeNs }) => (lastTimeNs > last ? lastTimeNs : last),
    0n,
  );
  const secondsOf = (ns: bigint): number => Number((ns - firstNs) / 1_000_000_000n);
  try {
    const onProgress = ({ timeNs }: { readonly timeNs: bigint }): void => {
      bar.update(secondsOf(timeNs), secondsOf(lastNs));
    };
    return await runBacktest({ ...options, onProgress });
  } catch (error) {
    if (error instanceof CaptureFailure) return { ok: false, refusal: error.refusal };
    throw error;
  } finally {
    bar.clear();
  }
}

function sameRuns(first: BacktestRun, second: BacktestRun): boolean {
  return first.outputsSha256 === second.outputsSha256 && equalBytes(first.root, second.root);
}

/** The same strategy and capture as in an epoch: is everything as in its log? */
async function judgeLike(
  { options }: Task,
  like: string,
  values: Values,
  io: CommandIo,
): Promise<number> {
  const json = values.json === true;
  const [capture, ...more] = options.captures;
  if (capture === undefined || more.length > 0 || values.key === undefined) {
    const detail = { what: '--like takes one --capture and --key' };
    return explain(io, { code: 'usage_invalid', detail }, { json, exit: 2 });
  }
  const { epoch: wanted, key, only } = values;
  const made = await likeEpoch({ options, capture, log: like, key, wanted, only }, io);
  if (!made.ok) return explain(io, made.refusal, { json, exit: 2 });
  const { value } = made;
  io.stdout(json ? `${JSON.stringify(value, null, 2)}\n` : renderLike(value));
  if (value.first_difference === null) return 0;
  const detail = { what: value.first_difference.what, leaf: value.first_difference.leaf };
  return explain(io, { code: 'replay_mismatch', detail }, { json: false, exit: 1 });
}

async function judge(task: Task, values: Values, io: CommandIo): Promise<number> {
  const json = values.json === true;
  const ran = await runOnce(task, io, 'backtest, s');
  if (!ran.ok) return explain(io, ran.refusal, { json, exit: 2 });
  const run = ran.value;
  const again = values.twice === true ? await runOnce(task, io, 'again, s') : null;
  if (again?.ok === false) return explain(io, again.refusal, { json, exit: 2 });
  const twice = again === null ? null : sameRuns(run, again.value);
  const result: BacktestResult = resultOfRun(nodeCrypto, task.options, run, task.model.limited);
  if (values.plot !== undefined) await writeFile(values.plot, plotBacktest(result, run.recorder));
  if (values.fills !== undefined) await writeFile(values.fills, fillsCsv(run.recorder));
  if (json) {
    const verdict = run.ended === null && twice !== false ? 'ran' : 'refused';
    const code = twice === false ? 'replay_mismatch' : (run.ended?.code ?? null);
    io.stdout(`${JSON.stringify({ verdict, code, twice_identical: twice, ...result }, null, 2)}\n`);
  } else {
    io.stdout(renderBacktest(result, run.recorder.results));
    if (twice === true) io.stdout('  twice         identical in another process, byte for byte\n');
  }
  if (twice === false) {
    const detail = { what: 'the same strategy, run twice: something in it is not determined' };
    return explain(io, { code: 'replay_mismatch', detail }, { json: false, exit: 1 });
  }
  if (run.ended === null) return 0;
  const { code, batch } = run.ended;
  return explain(io, { code, detail: { batch } }, { json: false, exit: 1 });
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return explain(io, parsed.refusal, { json, exit: 2 });
  const values: Values = parsed.value.values;
  const { positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    const refusal = { code: 'usage_invalid', detail: { what: 'give one PATH' } } as const;
    return explain(io, refusal, { json, exit: 2 });
  }
  const task = await prepare(values, path);
  if (!task.ok) return explain(io, task.refusal, { json, exit: 2 });
  if (values.like !== undefined) return judgeLike(task.value, values.like, values, io);
  const { table, instruments } = task.value.prepared;
  if (table === null) {
    const text = instruments.map((one) => `  ${JSON.stringify(one)}`).join(',\n');
    io.stderr(
      `no instruments.json: made from the captures; parameters count in its scales\n[\n${text}\n]\n`,
    );
  }
  return judge(task.value, values, io);
}
