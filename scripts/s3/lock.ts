// The Debian packages that a Ceph with an S3 gateway needs to run, by pool path and hash (ceph.lock.json). They
// come from Debian's unstable release, which moves: when the pinned files are nowhere any more, what is there
// today is asked of apt (resolve.ts).

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PinnedFile } from '../vm/lock.ts';

export interface CephLock {
  /** Of the package radosgw. */
  readonly version: string;
  readonly files: readonly PinnedFile[];
}

const lockSchema: z.ZodType<CephLock> = z.strictObject({
  version: z.string(),
  files: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/u),
        path: z.string().regex(/^pool\/[\w.+~:/-]+$/u),
        bytes: z.number().int().positive(),
        sha256: z.string().regex(/^[0-9a-f]{64}$/u),
        sha1: z.string().regex(/^[0-9a-f]{40}$/u),
      }),
    )
    .min(1),
});

export const LOCK_FILE: string = join(import.meta.dirname, 'ceph.lock.json');

export async function readCephLock(file: string = LOCK_FILE): Promise<CephLock> {
  return lockSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}
