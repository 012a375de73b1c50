// A simulated bucket with Object Lock for hosts that ship, and the comparison of what is in it with the log
// folder of the host.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../../scripts/appliance.ts';
import { readComplianceKey } from '../../verifier/compliance-key.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { assertAccepted } from '../../wire/result.ts';
import { listFinalEpochs, logFolder, readFinalEpoch } from '../helpers/final-log.ts';
import { readShippedLog } from '../helpers/shipped-log.ts';
import { ALICE, BUCKET, startTestS3 } from '../wire/node/objects/s3-server.ts';
import type { TestS3 } from '../wire/node/objects/s3-server.ts';
import { stateOf } from './appliance.ts';
import type { HostOptions } from './appliance.ts';
import { closeAfterwards } from './processes.ts';

const PREFIX = 'logs/1';

export interface ShipOptions {
  readonly max_unshipped_bytes?: number;
  readonly group_bytes?: number;
  readonly group_ms?: number;
}

/** Closed after the test. */
export async function openBucket(): Promise<TestS3> {
  const bucket = await startTestS3();
  closeAfterwards(bucket.close);
  return bucket;
}

/** What a host needs to ship to it. */
export function shipTo(
  { s3 }: TestS3,
  options: ShipOptions = {},
): Required<Pick<HostOptions, 'ship' | 'env'>> {
  return {
    ship: {
      target: {
        s3: { endpoint: s3.url, region: s3.region, bucket: BUCKET, prefix: PREFIX },
      },
      retention_days: 10,
      checkpoint_ms: 200,
      max_pause_ms: 300,
      finish_ms: 300_000,
      group_ms: 50,
      ...options,
    },
    env: {
      AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
    },
  };
}

/** Everything that is wrong with the bucket of a host that has ended cleanly. */
export function compareBucket(bucket: TestS3, appliance: Appliance): Promise<readonly string[]> {
  return compareStore(bucket.open({ prefix: PREFIX }), true, appliance);
}

/** The same, of any store. */
export async function compareStore(
  store: ObjectStore,
  locks: boolean,
  appliance: Appliance,
): Promise<readonly string[]> {
  const { findings, epochs } = await readShippedLog(store, locks);
  const files = logFolder(appliance.logDirectory);
  const keys = assertAccepted(await readComplianceKey(appliance.complianceKey));
  const local = listFinalEpochs(files).map((epoch) => {
    const { size, closed } = readFinalEpoch(files, epoch, keys);
    return `${epoch}: ${size} leaves${closed ? ', closed' : ''}`;
  });
  const shipped = epochs.map(({ epoch, size, closed }) => {
    return `${epoch}: ${size} leaves${closed ? ', closed' : ''}`;
  });
  const said = [...findings];
  if (local.join() !== shipped.join()) {
    said.push(`the bucket has [${shipped.join('; ')}], the folder [${local.join('; ')}]`);
  }
  for (const name of ['spool', 'unshipped']) {
    const folder = join(stateOf(appliance), name);
    const left = existsSync(folder) ? readdirSync(folder) : [];
    if (left.length > 0) said.push(`${name} still has ${left.join()}`);
  }
  return said;
}
