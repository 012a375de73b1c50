// measurements.json as `trackseal image build` and nitro-cli write it. Trusted, because it decides for whom
// something is sealed, and parsed strictly for the same reason: a misspelt register would be no condition.

import * as z from 'zod';
import { isZero, parseHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { printable, readBounded } from './command-line.ts';

const MAX_BYTES = 64 * 1024;
const PCR_BYTES = 48;

/** Lower-case hex, 96 characters each. */
export interface ImageMeasurements {
  readonly pcr0: string;
  readonly pcr1: string;
  readonly pcr2: string;
  /** 3 (role), 4 (instance), 8 (signing certificate), where given. */
  readonly others: ReadonlyMap<number, string>;
}

const pcr = z
  .string()
  .toLowerCase()
  .regex(/^[0-9a-f]{96}$/u);

const schema = z.looseObject({
  Measurements: z.strictObject({
    HashAlgorithm: z.string().regex(/^Sha384\b/u),
    PCR0: pcr,
    PCR1: pcr,
    PCR2: pcr,
    PCR3: pcr.optional(),
    PCR4: pcr.optional(),
    PCR8: pcr.optional(),
  }),
});

/** Refuses `policy_malformed`, and `debug_mode` for zeros: a debug enclave has those, whoever's it is. */
export function parseMeasurements(bytes: Uint8Array): Result<ImageMeasurements> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return refuse('policy_malformed', { what: 'not JSON' });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const field = printable(parsed.error.issues[0]?.path.join('.') ?? '');
    return refuse('policy_malformed', { field });
  }
  const { PCR0, PCR1, PCR2, PCR3, PCR4, PCR8 } = parsed.data.Measurements;
  const others = new Map<number, string>();
  for (const [index, value] of [
    [3, PCR3],
    [4, PCR4],
    [8, PCR8],
  ] as const) {
    if (value !== undefined) others.set(index, value);
  }
  for (const [index, value] of [[0, PCR0], [1, PCR1], [2, PCR2], ...others] as const) {
    if (isZero(parseHex(value) ?? new Uint8Array(PCR_BYTES)))
      return refuse('debug_mode', { index });
  }
  return accept({ pcr0: PCR0, pcr1: PCR1, pcr2: PCR2, others });
}

export async function readMeasurements(path: string): Promise<Result<ImageMeasurements>> {
  const bytes = await readBounded(path, MAX_BYTES);
  if (!bytes.ok) return bytes;
  const parsed = parseMeasurements(bytes.value);
  if (parsed.ok) return parsed;
  return refuse(parsed.refusal.code, { file: path, ...parsed.refusal.detail });
}
