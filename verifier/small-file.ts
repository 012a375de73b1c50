// Reads files that a user names, up to a maximum: options, policies, keys, memories. Whoever names a pipe
// or a device gets no more than that maximum either.

import { open } from 'node:fs/promises';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

const FIRST_BYTES: number = 64 * 1024;

/** Reads a whole small file; `maximum` is checked before it is read. */
export async function readSmallFile(path: string, maximum: number): Promise<Result<Uint8Array>> {
  try {
    const file = await open(path);
    try {
      // Grows with what is there: a maximum may be large.
      let buffer = new Uint8Array(Math.min(maximum + 1, FIRST_BYTES));
      let length = 0;
      for (;;) {
        if (length === buffer.length) {
          const larger = new Uint8Array(Math.min(maximum + 1, 2 * buffer.length));
          larger.set(buffer);
          buffer = larger;
        }
        const { bytesRead } = await file.read(buffer, length, buffer.length - length);
        length += bytesRead;
        if (length > maximum)
          return refuse('file_unreadable', { path, what: 'too large', maximum });
        if (bytesRead === 0) return accept(buffer.slice(0, length));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return refuse('file_unreadable', { path, system: code });
  }
}
