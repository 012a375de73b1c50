// One writer at a time for the memory of heads. SQLite is used for nothing but its file lock, which the
// kernel frees when the process is gone, however it went; `heads.json.lock` stays behind, empty. Who can
// write in that folder can make us wait, or forget: the memory is the verifier's own.

import { setTimeout as sleep } from 'node:timers/promises';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

/** Writers hold the lock for as long as it takes to read and write one file. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 20;
const SQLITE_BUSY = 5;

export interface HeldLock {
  release(): void;
}

/** Waits for its turn; refuses `file_unreadable` when the folder cannot be written or nobody yields. */
export async function lockHeads(
  path: string,
  patienceMs: number = PATIENCE_MS,
): Promise<Result<HeldLock>> {
  const lockPath = `${path}.lock`;
  const untilMs = performance.now() + patienceMs;
  try {
    await mkdir(dirname(path), { recursive: true });
    const database = new DatabaseSync(lockPath, { timeout: 0 });
    for (;;) {
      if (tryLock(database)) return accept({ release: () => database.close() });
      if (performance.now() > untilMs) {
        database.close();
        return refuse('file_unreadable', { path: lockPath, what: 'another verifier holds it' });
      }
      await sleep(PAUSE_MS);
    }
  } catch (error) {
    const system = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return refuse('file_unreadable', { path: lockPath, what: 'cannot be written', system });
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
