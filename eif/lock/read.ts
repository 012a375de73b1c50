// The lock of this checkout.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { refuse } from '../../wire/result.ts';
import { ROOT } from '../build/bundles.ts';
import type { ImageLock } from './lock.ts';
import { parseLock } from './lock.ts';

export const LOCK_FILE: string = join(ROOT, 'eif/image.lock');

/** Refuses `input_missing` and `lock_malformed`. */
export async function readLock(path: string = LOCK_FILE): Promise<Result<ImageLock>> {
  try {
    return parseLock(new Uint8Array(await readFile(path)));
  } catch {
    return refuse('input_missing', { path });
  }
}
