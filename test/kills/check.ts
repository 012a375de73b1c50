// Reads what a killed appliance has left and compares it with what passed the tap (helpers/promises.ts);
// every epoch is verified by the command that a verifier runs.

import { join } from 'node:path';
import type { Appliance } from '../../scripts/appliance.ts';
import { readComplianceKey } from '../../verifier/compliance-key.ts';
import { assertAccepted } from '../../wire/result.ts';
import { verifyLog } from '../e2e/appliance.ts';
import { readJournal } from '../e2e/evidence.ts';
import type { Tap } from '../e2e/tap.ts';
import type { FinalEpoch } from '../helpers/final-log.ts';
import { listFinalEpochs, logFolder, readFinalEpoch } from '../helpers/final-log.ts';
import { brokenPromises } from '../helpers/promises.ts';

/** Findings, empty when every promise was kept. The last epoch has been closed. */
export async function checkPromises(appliance: Appliance, tap: Tap): Promise<readonly string[]> {
  const files = logFolder(appliance.logDirectory);
  const keys = assertAccepted(await readComplianceKey(appliance.complianceKey));
  const epochs = listFinalEpochs(files).map((epoch) => readFinalEpoch(files, epoch, keys));
  const { hostAcks, releases, reports } = tap;
  const records = readJournal(appliance);
  return [
    ...(await verify(appliance, epochs)),
    ...brokenPromises({ hostAcks, releases, reports, records, epochs }),
  ];
}

/** (v) and (vi): every epoch verifies, and each names the end of the one before it as it was. */
async function verify(
  appliance: Appliance,
  epochs: readonly FinalEpoch[],
): Promise<readonly string[]> {
  const findings: string[] = [];
  const say = (finding: string): void => {
    findings.push(finding);
  };
  const heads = join(appliance.directory, 'lp', 'kills-heads.json');
  for (const { epoch, size, closed } of epochs.toReversed()) {
    const { code, json, stderr } = await verifyLog(appliance, { epoch, heads });
    if (code !== 0) say(`epoch ${epoch} does not verify: ${stderr} ${JSON.stringify(json)}`);
    const isLast = epoch === epochs.at(-1)?.epoch;
    const end = closed ? 'clean' : isLast ? 'open' : 'unclean';
    if (json['end'] !== end) say(`epoch ${epoch} ended ${String(json['end'])}, not ${end}`);
    if (json['size'] !== size) say(`epoch ${epoch} verifies ${String(json['size'])} of ${size}`);
    const link = (json['previous'] as { readonly link?: string } | null)?.link ?? null;
    if (link !== (epoch === 1 ? null : 'verified')) say(`epoch ${epoch} links as ${link}`);
  }
  return findings;
}
