// Tells its times for each line that it reads, with all permissions dropped, as the ledger runs.

import process from 'node:process';
import { createInterface } from 'node:readline';
import { dropPermissions } from '../../enclave/permissions.ts';

dropPermissions();
for await (const _ of createInterface({ input: process.stdin })) {
  const times = { monotonic: String(process.hrtime.bigint()), wall: Date.now() };
  process.stdout.write(`${JSON.stringify(times)}\n`);
}
