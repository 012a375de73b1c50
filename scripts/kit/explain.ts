// A refusal for the author of a strategy: the code, the facts, and what to do next.

import type { RefusalCode } from '../../wire/codes.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import type { Refusal } from '../../wire/result.ts';
import { renderDetail } from '../../verifier/attestation-text.ts';
import type { CommandIo } from '../../verifier/io.ts';

const HINTS: Partial<Readonly<Record<RefusalCode, string>>> = {
  usage_invalid: '--help shows the options',
  file_unreadable:
    'check the path: a file with sources, a folder with strategy.ts, or what `strategy pack` made',
  json_malformed: 'correct the JSON: a parser of your editor shows the place',
  capture_malformed:
    'look at that line: `<local time in ns> <json>`; a price or quantity with more decimals than the scale is refused, so compare the instrument table',
  config_invalid:
    'correct that field of the instrument table; `strategy backtest` without one shows the table that fits the captures',
  instrument_unknown:
    'the strategy subscribes to an instrument that the table does not have: compare venue, symbol and market in parameters and table',
  strategy_malformed:
    'the default export must be `defineStrategy({ parameters, subscribe, start, onBatch })`, and onBatch must return nothing',
  strategy_parameters: 'compare the parameters file with the schema in the strategy',
  strategy_crashed:
    'the strategy threw, or its process ended: write a scenario for the batch where it happened and run `strategy test`',
  strategy_over_budget:
    'a batch took longer than the time budget, or memory ran out: bound what a batch does, or try --time-budget',
  strategy_output_malformed:
    'quantity and limit are whole numbers from 1, ttlMs is 1 to 86,400,000, and the instrument must be subscribed',
  strategy_output_limit: 'at most 64 signals in one batch',
  bucket_missing: 'make it with `trackseal bucket create`, or correct the URL',
  bucket_unlocked: 'that bucket has no Object Lock: make one with `trackseal bucket create`',
  bucket_denied: 'check the AWS credentials of the environment and what they may do there',
  replay_mismatch:
    'compare strategy, parameters, capture and the host’s file with those of that epoch',
};

/** Prints the refusal, and with `json` the same as an object on stdout; answers the exit code. */
export function explain(
  io: CommandIo,
  { code, detail }: Refusal,
  { json, exit }: { readonly json: boolean; readonly exit: 1 | 2 },
): number {
  const verdict = exit === 1 ? 'refused' : 'undecided';
  if (json) io.stdout(`${JSON.stringify({ verdict, code, detail }, null, 2)}\n`);
  const next = HINTS[code];
  const lines = [
    `${verdict.toUpperCase()}  ${code}: ${REFUSAL_CODES[code]}`,
    ...renderDetail(detail),
    ...(next === undefined ? [] : [`  next          ${next}`]),
  ];
  io.stderr(`${lines.join('\n')}\n`);
  return exit;
}
