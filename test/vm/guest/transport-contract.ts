// The contract of the transports inside of a guest, over the vsock loopback (CID 1), with the addon that the
// image contains. Prints one line of JSON per case and one at the end; exit code 0 when all hold. Started as
//   node transport-contract.mjs [ADDON] [sample|full]     default: addon.node beside this file, full

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { argv, exit, memoryUsage, stdout } from 'node:process';
import { loadAddon } from '../../../wire/node/native-addon.ts';
import { vsockTransport } from '../../../wire/node/vsock.ts';
import type { ContractCase, ContractPair } from '../../wire/node/transport-contract.ts';
import { contractCases, FULL_SIZES, SAMPLE_SIZES } from '../../wire/node/transport-contract.ts';

const LOOPBACK_CID = 1;
/** Only ends a case that hangs: emulated machines are slow. */
const CASE_MS = 900_000;

interface CaseResult {
  readonly case: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly error: string | null;
}

async function runCase({ name, run }: ContractCase, pair: ContractPair): Promise<CaseResult> {
  const startMs = performance.now();
  const hung = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    hung.reject(new Error('hangs'));
  }, CASE_MS);
  let error: string | null = null;
  try {
    await Promise.race([run(pair), hung.promise]);
  } catch (reason) {
    error = reason instanceof Error ? reason.message : String(reason);
  }
  clearTimeout(timer);
  return { case: name, ok: error === null, ms: Math.round(performance.now() - startMs), error };
}

function print(value: object): void {
  stdout.write(`${JSON.stringify(value)}\n`);
}

const [addonPath = join(import.meta.dirname, 'addon.node'), size = 'full'] = argv.slice(2);
const transport = vsockTransport(loadAddon(addonPath), [LOOPBACK_CID]);
const pair: ContractPair = {
  client: transport,
  server: transport,
  halfClose: true,
  sizes: size === 'sample' ? SAMPLE_SIZES : FULL_SIZES,
  openDescriptors: () => readdirSync('/proc/self/fd').length,
};
const results: CaseResult[] = [];
for (const one of contractCases(pair.halfClose)) {
  const result = await runCase(one, pair);
  results.push(result);
  print(result);
  // What a failed case has left open would spoil the next.
  if (!result.ok) break;
}
const failed = results.filter(({ ok }) => !ok).length;
print({
  contract: failed === 0 ? 'kept' : 'broken',
  cases: results.length,
  failed,
  size,
  rss: memoryUsage().rss,
});
exit(failed === 0 ? 0 : 1);
