// What verifying costs the JSON baseline: every line parsed, its hash computed again from the one before,
// its signature checked. The enclave of the baseline hashes the line that it received, so that the
// batch is written again the same way here.

import { createHash, createPublicKey, verify } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

/** Entries a second; throws when an entry does not verify. */
export async function verifyJson(logFile: string, keyFile: string): Promise<number> {
  const key = createPublicKey(readFileSync(keyFile, 'utf8'));
  let previous = '';
  let entries = 0;
  const start = performance.now();
  const input = createReadStream(logFile);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const entry = JSON.parse(line) as { hash: string; signature: string; batch: unknown };
    const text = JSON.stringify({ batch: entry.batch });
    const hash = createHash('sha256').update(previous).update(text).digest('hex');
    const signature = Buffer.from(entry.signature, 'base64');
    if (hash !== entry.hash || !verify('sha256', Buffer.from(hash), key, signature)) {
      throw new Error(`entry ${String(entries)} of the baseline does not verify`);
    }
    previous = hash;
    entries++;
  }
  return entries / ((performance.now() - start) / 1000);
}
