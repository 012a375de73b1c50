// Ceph's S3 gateway, from Debian's unstable release (scripts/s3). Where Ceph cannot be had, one line says why.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCeph } from '../../scripts/s3/ceph.ts';
import type { S3Server } from '../../scripts/s3/ceph.ts';
import { openCeph } from '../../scripts/s3/packages.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import { leaveOut } from '../helpers/left-out.ts';
import type { Differences } from '../simulator/s3/rule-tests.ts';
import { bucketCommandTests } from './bucket-commands.ts';
import { ServerUnderTest, serverTests } from './server-tests.ts';

const DIFFERENCES: Differences = {
  'if-none-match-race': 'in a versioned bucket all eight are taken (one in a bucket without)',
  'delete-marker-by-version': '404 NoSuchKey',
  'no-retention': '404 ObjectLockConfigurationNotFoundError',
  'lock-without-digest': 'taken',
  'policy-if-none-match': 'it does not know s3:if-none-match, so nothing has it',
  'default-encryption': '404 ServerSideEncryptionConfigurationNotFoundError: nothing by default',
  'policy-retention': 'it does not look at the days of PutObjectRetention',
};

interface Started {
  readonly server: S3Server;
  readonly isPinned: boolean;
}

/** Null, with a line, where it cannot be had. What is pinned must start; what Debian has today need not. */
async function start(): Promise<Started | null> {
  let isPinned = false;
  try {
    const files = await openCeph(console.log);
    isPinned = files.isPinned;
    return { server: await startCeph(files, console.log), isPinned };
  } catch (error) {
    if (!(error instanceof CommandFailed) || isPinned) throw error;
    leaveOut(`test/s3: Ceph left out: ${error.message}`);
    return null;
  }
}

const started = await start();

describe.skipIf(started === null)('Ceph', () => {
  let test: ServerUnderTest;

  beforeAll(async () => {
    if (started !== null) test = await ServerUnderTest.open(started.server);
  });

  afterAll(async () => {
    await started?.server.stop();
  });

  it('listens on this machine only', () => {
    expect(started?.server.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/u);
  });

  bucketCommandTests(() => {
    if (started === null) throw new Error('no server');
    return started.server;
  });

  serverTests(() => test, DIFFERENCES, { letsRacersThrough: true }, started?.isPinned ?? true);
});
