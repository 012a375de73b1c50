// Reading an image from disk, with a bound on its size before it is read.

import { readFile, stat } from 'node:fs/promises';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { MAX_EIF_BYTES } from './format.ts';

/** Refuses `file_unreadable` and `eif_too_large`. */
export async function readImage(path: string): Promise<Result<Uint8Array>> {
  try {
    const { size } = await stat(path);
    if (size > MAX_EIF_BYTES) return refuse('eif_too_large', { bytes: size });
    return accept(new Uint8Array(await readFile(path)));
  } catch {
    return refuse('file_unreadable', { path });
  }
}
