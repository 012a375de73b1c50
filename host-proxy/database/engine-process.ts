// PGlite in a process of its own: a statement that takes long holds up nobody but the database, and what goes wrong
// in it ends this process, which the host starts again. Takes protocol bytes over IPC, one exchange at a time. The
// folder is locked here, because two engines on one folder would destroy it.
//
//   argv: FOLDER MAX_RESULT_BYTES

import { PGlite } from '@electric-sql/pglite';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockFolder } from '../folder-lock.ts';
import { isExchange } from './engine-messages.ts';
import type { EngineAnswer } from './engine-messages.ts';

const LOCK_MS = 10_000;
/** PGlite's own, without -F (no fsync) and -O (changes of system tables), and small. */
const START = [
  '--single',
  '-j',
  ...[
    'search_path=public',
    'exit_on_error=false',
    'log_checkpoints=false',
    'max_worker_processes=0',
    'max_parallel_workers=0',
    'max_parallel_workers_per_gather=0',
    'max_parallel_maintenance_workers=0',
    'io_method=sync',
    'shared_buffers=32MB',
    'work_mem=16MB',
    'maintenance_work_mem=32MB',
  ].flatMap((setting) => ['-c', setting]),
];

// The engine has one session, whose user was authenticated as a superuser: whoever may say SET SESSION AUTHORIZATION
// becomes one. The front refuses the words (statements.ts); these are the ways that need no words. The others
// would write what no table is, or block.
const CLOSED = `
REVOKE ALL ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;
REVOKE UPDATE ON pg_catalog.pg_settings FROM PUBLIC;
REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;
REVOKE ALL ON LANGUAGE sql FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.pg_sleep_for(interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.pg_sleep_until(timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.pg_terminate_backend(integer, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION pg_catalog.pg_cancel_backend(integer) FROM PUBLIC;
`;

function answer(message: EngineAnswer): void {
  process.send?.(message);
}

async function main(folder: string, maxResultBytes: number): Promise<void> {
  const end = performance.now() + LOCK_MS;
  // The engine before may still be on its way out.
  let lock = await lockFolder(folder);
  while (lock === null && performance.now() < end) {
    await sleep(50);
    lock = await lockFolder(folder);
  }
  if (lock === null) {
    answer({ type: 'in_use' });
    process.disconnect?.();
    return;
  }
  const database = await PGlite.create({ dataDir: folder, startParams: START });
  await database.exec('SET SESSION AUTHORIZATION postgres');
  await database.exec(CLOSED);
  const version = await database.query<{ server_version: string }>('SHOW server_version');
  process.on('message', (message) => {
    if (!isExchange(message)) return;
    if (message.type === 'stop') {
      void database.close().then(() => {
        process.disconnect?.();
      });
      return;
    }
    let sent = 0;
    void database
      .execProtocolRawStream(message.bytes, {
        onRawData: (data) => {
          sent += data.length;
          // The memory is the engine's: a copy leaves.
          if (sent <= maxResultBytes) answer({ type: 'data', bytes: Buffer.from(data) });
        },
      })
      .then(() => {
        answer({ type: 'done', overflow: sent > maxResultBytes });
      });
  });
  answer({ type: 'ready', version: version.rows[0]?.server_version ?? '' });
}

// Without the host there is nothing to do.
process.on('disconnect', () => process.exit(0));
const [, , folder = '', maxResultBytes = '0'] = process.argv;
await main(folder, Number(maxResultBytes));
