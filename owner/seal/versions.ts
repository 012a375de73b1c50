// The owner's counter of sealed versions, one for each purpose and name. An enclave refuses a version below the
// one in its predecessor's header, so a counter must not be lost; it may jump. It is written, and synced,
// before anything is sealed under a new number: an interrupted command leaves a hole and no second item.

import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { parseUtf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { readBounded } from '../command-line.ts';

const MAX_BYTES = 256 * 1024;

const schema = z.record(z.string(), z.int().min(1).max(Number.MAX_SAFE_INTEGER));

/** `purpose/name` to the highest version that was ever sealed. */
export type SealVersions = Readonly<Record<string, number>>;

/** Empty where there is no file yet. */
export async function readVersions(path: string): Promise<Result<SealVersions>> {
  const probe = await open(path).catch((error: NodeJS.ErrnoException) => error.code);
  if (probe === 'ENOENT') return accept({});
  if (typeof probe === 'object') await probe.close();
  const bytes = await readBounded(path, MAX_BYTES);
  if (!bytes.ok) return bytes;
  try {
    const parsed = schema.safeParse(JSON.parse(parseUtf8(bytes.value) ?? ''));
    if (parsed.success) return accept(parsed.data);
  } catch {
    // Not JSON at all.
  }
  return refuse('json_malformed', { file: path });
}

/**
 * The version to seal under: the next one, or `wanted` where that is not lower than what was sealed before. The
 * same number again is for sealing the same thing for another image; refuses `seal_rolled_back` for less.
 */
export function chooseVersion(
  versions: SealVersions,
  item: string,
  wanted: number | null,
): Result<number> {
  const last = versions[item] ?? 0;
  if (wanted === null) return accept(last + 1);
  if (wanted >= last && wanted >= 1) return accept(wanted);
  return refuse('seal_rolled_back', { item, sealed_before: last, asked_for: wanted });
}

export async function writeVersions(path: string, versions: SealVersions): Promise<Result<null>> {
  try {
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(canonicalJson(versions));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    const folder = await open(dirname(path));
    await folder.sync();
    await folder.close();
    return accept(null);
  } catch {
    return refuse('file_unreadable', { path, what: 'cannot be written' });
  }
}
