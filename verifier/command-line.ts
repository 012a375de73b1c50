// What all verifying commands share at the edge: options, and the answer when nothing could be judged.

import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { REFUSAL_CODES } from '../wire/codes.ts';
import type { Refusal, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { renderDetail } from './attestation-text.ts';
import { hintOf } from './hints.ts';
import type { CommandIo } from './io.ts';

/** Unknown options and missing values are refused. */
export function parseOptions<T extends ParseArgsConfig>(
  config: T,
): Result<ReturnType<typeof parseArgs<T>>> {
  try {
    return accept(parseArgs(config));
  } catch (error) {
    return refuse('usage_invalid', { what: error instanceof Error ? error.message : 'options' });
  }
}

/** Codes that mean "I could not look" rather than "it does not hold". */
const UNDECIDED: ReadonlySet<string> = new Set([
  'usage_invalid',
  'source_unreachable',
  'file_unreadable',
  'disclosure_key_wrong',
  'input_unavailable',
  'toolchain_unusable',
  'build_failed',
]);

/** Says why nothing was judged, on stderr (and on stdout with --json), and answers exit code 2. */
export function undecided(io: CommandIo, refusal: Refusal, json: boolean): number {
  explain(io, 'undecided', refusal, json);
  return 2;
}

/** The same, but exit code 1 when the evidence was looked at and does not hold. */
export function refused(io: CommandIo, refusal: Refusal, json: boolean): number {
  if (UNDECIDED.has(refusal.code)) return undecided(io, refusal, json);
  explain(io, 'refused', refusal, json);
  return 1;
}

function explain(
  io: CommandIo,
  verdict: 'undecided' | 'refused',
  { code, detail }: Refusal,
  json: boolean,
): void {
  if (json) io.stdout(`${JSON.stringify({ verdict, code, detail }, null, 2)}\n`);
  const lines = [
    `${verdict.toUpperCase()}  ${code}: ${REFUSAL_CODES[code]}`,
    ...renderDetail(detail),
    `  next          ${hintOf(code)}`,
  ];
  io.stderr(`${lines.join('\n')}\n`);
}
