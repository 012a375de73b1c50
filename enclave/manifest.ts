// The measured manifest: which strategies this image may run. It is part of the image, so PCR0 pins it,
// and through the commitments the strategies.
//
//   {"version": 1, "strategies": [{"name", "version", "commitment": SHA-256(salt ‖ bundle), hex}]}

import * as z from 'zod';
import { parseUtf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export const MAX_MANIFEST_BYTES: number = 64 * 1024;

export interface MeasuredStrategy {
  readonly name: string;
  readonly version: string;
  readonly commitment: string;
}

export interface MeasuredManifest {
  readonly version: 1;
  readonly strategies: readonly MeasuredStrategy[];
}

const manifestSchema: z.ZodType<MeasuredManifest> = z.strictObject({
  version: z.literal(1),
  strategies: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(64),
        version: z.string().min(1).max(32),
        commitment: z.string().regex(/^[0-9a-f]{64}$/u),
      }),
    )
    .max(256),
});

/** Refuses `json_malformed`: the image was built wrongly. */
export function parseManifest(bytes: Uint8Array): Result<MeasuredManifest> {
  const text = bytes.length > MAX_MANIFEST_BYTES ? null : parseUtf8(bytes);
  if (text === null) return refuse('json_malformed', { file: 'measured manifest' });
  try {
    const parsed = manifestSchema.safeParse(JSON.parse(text));
    if (parsed.success) return accept(parsed.data);
  } catch {
    // Not JSON at all.
  }
  return refuse('json_malformed', { file: 'measured manifest' });
}
