// The captures that replay is tested over: the committed one, and all of ../shared where it is there. By default
// only the first rows of the committed one, to keep `make test` short; `npm run test:replay` takes everything.

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { surveyCapture } from '../../scripts/kit/capture-survey.ts';
import { makeInstruments } from '../../scripts/kit/instruments.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { assertAccepted } from '../../wire/result.ts';
import { ROOT } from '../enclave/strategy/support.ts';

const COMMITTED = join(ROOT, 'data/binance-2024-08');
const SHARED = join(ROOT, '../shared/data/binance-2024-08');

/** Set by `npm run test:replay`. */
export const EVERYTHING: boolean = process.env['TRACKSEAL_REPLAY'] === 'everything';
/** Rows of a capture that are played; null: all. */
export const LIMIT: number | null = EVERYTHING ? null : 30_000;

/** Of one test, only to end a hung one. */
export const TIMEOUT_MS: number = EVERYTHING ? 3_600_000 : 300_000;

export interface TestedCapture {
  readonly name: string;
  readonly path: string;
}

function listCaptures(folder: string): readonly TestedCapture[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.gz'))
    .map((name) => ({
      name: `${folder === COMMITTED ? 'data' : 'shared'}/${name}`,
      path: join(folder, name),
    }));
}

export function testedCaptures(): readonly TestedCapture[] {
  const committed = listCaptures(COMMITTED);
  if (!EVERYTHING) {
    console.log('a sample of the replays: npm run test:replay has every file of every capture');
    return committed;
  }
  if (existsSync(SHARED)) return [...committed, ...listCaptures(SHARED)];
  console.log('skipped: there is no ../shared/data/binance-2024-08');
  return committed;
}

/** The instrument of a capture, with the scales that its numbers need. */
export async function instrumentOf(path: string): Promise<Instrument> {
  const [instrument, ...more] = makeInstruments([assertAccepted(await surveyCapture(path))]);
  if (instrument === undefined || more.length > 0) throw new Error('a capture of one instrument');
  return instrument;
}

/** The example's parameters for an instrument: orders of a tenth of a coin, of BTC a hundredth. */
export async function parametersFor(
  example: string,
  instrument: Instrument,
): Promise<Readonly<Record<string, unknown>>> {
  const { symbol, market, quantity_scale: scale } = instrument;
  const text = await readFile(join(ROOT, 'strategies', `${example}.ethusdt.json`), 'utf8');
  const quantity = 10 ** (scale - (symbol.startsWith('BTC') ? 2 : 1));
  const sizes = { quantity, max_position: 3 * quantity };
  return { ...(JSON.parse(text) as object), symbol, market, ...sizes };
}

export function jsonBytes(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}
