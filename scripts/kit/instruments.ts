// The instrument table of a run: from a file, in the form that an enclave's configuration has, or made from
// the captures. Scales decide what every number of a strategy means, so a table that was made is shown.

import { readFile } from 'node:fs/promises';
import type { Instrument } from '../../wire/configuration.ts';
import { canonicalJson, parseConfiguration } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CaptureSurvey, SurveyedSymbol } from './capture-survey.ts';

/** Everything else of a configuration, to check a table by the rules that the enclave applies. */
const REST = {
  version: 1,
  log_id: 'local',
  feed_mode: 'replay',
  commit_policy: 'spool',
  compliance_public_key: '00'.repeat(32),
  streams: [{ id: 1, name: 'capture' }],
  strategies: [],
  intervals: { anchor_ms: 1000, heartbeat_ms: 1000, commit_ms: 1 },
  limits: { clock_divergence_ms: 1, attestations_per_second: 1 },
  tls_names: ['localhost'],
};

/** Refuses `config_invalid` with the path of the first wrong field. */
export function parseInstruments(value: unknown): Result<readonly Instrument[]> {
  const parsed = parseConfiguration(canonicalJson({ ...REST, instruments: value }));
  return parsed.ok ? accept(parsed.value.instruments) : parsed;
}

/** A table by itself, or an enclave's configuration that has one. */
export async function readInstruments(path: string): Promise<Result<readonly Instrument[]>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return refuse('json_malformed', { file: path });
    return refuse('file_unreadable', { file: path });
  }
  const table =
    typeof value === 'object' && value !== null && 'instruments' in value
      ? value.instruments
      : value;
  const parsed = parseInstruments(table);
  if (parsed.ok) return parsed;
  const { code, detail } = parsed.refusal;
  return refuse(code, { file: path, ...detail });
}

function instrumentOf(symbol: SurveyedSymbol, id: number): Instrument {
  return {
    id,
    venue: 'binance',
    symbol: symbol.symbol,
    market: symbol.futures ? 'linear' : 'spot',
    price_scale: symbol.priceScale,
    quantity_scale: symbol.quantityScale,
    sequence_rule: symbol.futures ? 'binance-futures' : 'binance-spot',
  };
}

/** One instrument for each symbol and market, with the decimals that the captures need. */
export function makeInstruments(surveys: readonly CaptureSurvey[]): readonly Instrument[] {
  const found = new Map<string, SurveyedSymbol>();
  for (const symbol of surveys.flatMap(({ symbols }) => symbols)) {
    const key = `${symbol.symbol} ${symbol.futures}`;
    const known = found.get(key) ?? symbol;
    found.set(key, {
      ...symbol,
      priceScale: Math.max(known.priceScale, symbol.priceScale),
      quantityScale: Math.max(known.quantityScale, symbol.quantityScale),
    });
  }
  return Array.from(found.values(), (symbol, at) => instrumentOf(symbol, at + 1));
}

/** The instruments of the table that a capture is about. */
export function instrumentsOf(
  survey: CaptureSurvey,
  instruments: readonly Instrument[],
): readonly Instrument[] {
  return instruments.filter(({ symbol, sequence_rule: rule }) =>
    survey.symbols.some(
      (seen) =>
        seen.symbol === symbol &&
        (rule === 'none' || seen.futures === (rule === 'binance-futures')),
    ),
  );
}
