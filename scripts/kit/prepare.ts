// What a run of a strategy needs, from a command's options: the bundle, parameters, seed, captures with their
// instruments, the model of execution. Everything that was chosen for the user is said.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseHostConfig } from '../../host-proxy/config-file.ts';
import type { HostConfig } from '../../host-proxy/config-file.ts';
import type { RiskLimits } from '../../host-proxy/execution/risk.ts';
import type { TradingOptions } from '../../host-proxy/execution/trading.ts';
import { tradingOf } from '../../host-proxy/execution/trading.ts';
import { parseHex, utf8 } from '../../wire/bytes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { SEED_BYTES } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CaptureOptions } from './capture-batches.ts';
import type { CaptureSurvey } from './capture-survey.ts';
import { surveyCapture } from './capture-survey.ts';
import { instrumentsOf, makeInstruments, readInstruments } from './instruments.ts';
import type { StrategySource } from './strategy-source.ts';
import { findBeside } from './strategy-source.ts';

/** Nothing is too large: a backtest is about the strategy. `--host` brings the firm's limits. */
export const NO_LIMITS: RiskLimits = {
  maxOrderNotional: 10n ** 26n,
  maxPositionNotional: 10n ** 26n,
  maxOrders: Number.MAX_SAFE_INTEGER,
  orderWindowMs: 1,
  priceBandPpm: Number.MAX_SAFE_INTEGER,
  maxDailyLoss: 10n ** 26n,
};

export const DEFAULT_MODEL: Record<
  'latency-ms' | 'taker-fee-ppm' | 'maker-fee-ppm' | 'slippage-ticks',
  number
> = {
  'latency-ms': 5,
  'taker-fee-ppm': 500,
  'maker-fee-ppm': 100,
  'slippage-ticks': 1,
};
const RANGES: Readonly<Record<keyof typeof DEFAULT_MODEL, readonly [number, number]>> = {
  'latency-ms': [0, 60_000],
  'taker-fee-ppm': [-1_000_000, 1_000_000],
  'maker-fee-ppm': [-1_000_000, 1_000_000],
  'slippage-ticks': [0, 1_000_000],
};

export type ModelOptions = Readonly<Partial<Record<keyof typeof DEFAULT_MODEL, string>>>;

/** A whole number of an option, in its range. */
export function parseNumber(
  name: string,
  text: string,
  minimum: number,
  maximum: number,
): Result<number> {
  const value = /^-?\d{1,16}$/u.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return accept(value);
  return refuse('usage_invalid', { what: `--${name}: a whole number, ${minimum} to ${maximum}` });
}

export function parseSeed(text: string | undefined): Result<Uint8Array> {
  const seed = text === undefined ? new Uint8Array(SEED_BYTES) : parseHex(text);
  return seed?.length === SEED_BYTES
    ? accept(seed)
    : refuse('usage_invalid', { what: '--seed: 64 hex digits' });
}

export interface Model extends TradingOptions {
  /** The risk limits are the firm's. */
  readonly limited: boolean;
  /** How the operator's host cuts batches; null without its file. */
  readonly feed: HostConfig['feed'];
}

async function readHostConfig(path: string): Promise<Result<HostConfig>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return refuse('file_unreadable', { file: path });
  }
  const parsed = parseHostConfig(text, resolve(path));
  if (parsed.ok) return accept(parsed.config);
  return refuse('config_invalid', { file: path, what: parsed.problems.join('; ') });
}

/** The model of an operator's host, or the one that the options describe. */
export async function readModel(
  options: ModelOptions,
  hostFile: string | undefined,
): Promise<Result<Model>> {
  if (hostFile !== undefined) {
    const host = await readHostConfig(hostFile);
    if (!host.ok) return host;
    const { execution, feed } = host.value;
    return accept({ ...tradingOf(execution), limited: true, feed });
  }
  const values = { ...DEFAULT_MODEL };
  for (const name of Object.keys(RANGES) as (keyof typeof DEFAULT_MODEL)[]) {
    const text = options[name];
    if (text === undefined) continue;
    const value = parseNumber(name, text, ...RANGES[name]);
    if (!value.ok) return value;
    values[name] = value.value;
  }
  const paper = {
    latencyMs: values['latency-ms'],
    takerFeePpm: values['taker-fee-ppm'],
    makerFeePpm: values['maker-fee-ppm'],
    slippageTicks: values['slippage-ticks'],
  };
  return accept({ paper, limits: NO_LIMITS, limited: false, feed: null });
}

/** The parameters in the form in which they are sealed. */
export async function readParameters(
  source: StrategySource,
  file: string | undefined,
): Promise<Result<Uint8Array>> {
  const path = file ?? findBeside(source, 'parameters.json');
  if (path === null) {
    return refuse('usage_invalid', {
      what: 'no parameters.json beside the strategy: give --parameters',
    });
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return refuse('file_unreadable', { file: path });
  }
  try {
    // As a pack's file has it: the bytes of a packed one are what was committed to.
    return accept(source.packed ? utf8(text) : canonicalJson(JSON.parse(text)));
  } catch {
    return refuse('json_malformed', { file: path });
  }
}

export interface PreparedCaptures {
  readonly captures: readonly CaptureOptions[];
  readonly surveys: readonly CaptureSurvey[];
  readonly instruments: readonly Instrument[];
  /** Where the table comes from; null when it was made from the captures. */
  readonly table: string | null;
}

/** Looks through the captures, and finds the instruments that each is about. */
export async function prepareCaptures(
  source: StrategySource,
  paths: readonly string[],
  file: string | undefined,
): Promise<Result<PreparedCaptures>> {
  const surveys: CaptureSurvey[] = [];
  for (const path of paths) {
    const survey = await surveyCapture(path);
    if (!survey.ok) return survey;
    surveys.push(survey.value);
  }
  const table = file ?? findBeside(source, 'instruments.json');
  const read = table === null ? accept(makeInstruments(surveys)) : await readInstruments(table);
  if (!read.ok) return read;
  const instruments = read.value;
  const captures = surveys.map((survey) => ({
    path: survey.path,
    instruments: instrumentsOf(survey, instruments),
  }));
  const without = captures.find((capture) => capture.instruments.length === 0);
  if (without !== undefined) {
    return refuse('instrument_unknown', { file: without.path, what: 'none of it is in the table' });
  }
  return accept({ captures, surveys, instruments, table });
}
