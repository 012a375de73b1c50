// What the store said of the objects that an evidence file was made from: version ids and locks. Nobody
// can check it without asking the store again, and the verdict says so.

import { z } from 'zod';
import { equalBytes, parseUtf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { StoreFacts } from '../log/source.ts';
import { PART } from './manifest.ts';

const MAX_BYTES: number = 16 * 1024 * 1024;
const MAX_OBJECTS = 65_536;
const printable = z.string().regex(/^[ -~]{0,1024}$/u);

const schema: z.ZodType<StoreFacts | null> = z
  .strictObject({
    store: printable,
    objects: z
      .array(
        z.strictObject({
          key: printable,
          version_id: printable,
          sha256: z.string().regex(/^[0-9a-f]{64}$/u),
          mode: z.enum(['COMPLIANCE', 'GOVERNANCE', 'none']),
          retain_until: z.iso.datetime().nullable(),
          legal_hold: z.boolean(),
        }),
      )
      .max(MAX_OBJECTS),
    findings: z
      .array(
        z.strictObject({
          problem: z.enum([
            'other_version',
            'delete_marker',
            'lock_missing',
            'lock_short',
            'lock_governance',
          ]),
          key: printable,
          version_id: printable,
        }),
      )
      .max(MAX_OBJECTS),
  })
  .nullable();

/** `null` for a folder or a URL, which have neither versions nor locks. */
export function encodeVersions(facts: StoreFacts | null): Uint8Array {
  return canonicalJson(facts);
}

export function parseVersions(bytes: Uint8Array): Result<StoreFacts | null> {
  const text = bytes.length > MAX_BYTES ? null : parseUtf8(bytes);
  try {
    const json: unknown = JSON.parse(text ?? '');
    const parsed = schema.safeParse(json);
    if (parsed.success && equalBytes(canonicalJson(json), bytes)) return accept(parsed.data);
  } catch {
    // Not JSON at all.
  }
  return refuse('bundle_contradiction', { part: PART.versions, what: 'format' });
}
