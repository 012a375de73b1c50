// Ceph's S3 gateway, from Debian's unstable release (scripts/s3). Where Ceph cannot be had, one line says why.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCeph } from '../../scripts/s3/ceph.ts';
import type { S3Server } from '../../scripts/s3/ceph.ts';
import { openCeph } from '../../scripts/s3/packages.ts';
import type { Differences } from '../simulator/s3/rule-tests.ts';
import { ServerUnderTest, serverTests } from './server-tests.ts';

const DIFFERENCES: Differences = {
  'if-none-match-race': 'in a versioned bucket all eight are taken (one in a bucket without)',
  'delete-marker-by-version': '404 NoSuchKey',
  'no-retention': '404 ObjectLockConfigurationNotFoundError',
  'lock-without-digest': 'taken',
  'policy-if-none-match': 'it does not know s3:if-none-match, so nothing has it',
  'policy-retention': 'it does not look at the days of PutObjectRetention',
};

const files = await openCeph(console.log).catch((error: unknown) => {
  console.log(`test/s3: Ceph left out: ${error instanceof Error ? error.message : String(error)}`);
  return null;
});

describe.skipIf(files === null)('Ceph', () => {
  let server: S3Server;
  let test: ServerUnderTest;

  beforeAll(async () => {
    if (files === null) return;
    server = await startCeph(files, console.log);
    test = await ServerUnderTest.open(server);
  });

  afterAll(() => server.stop());

  it('listens on this machine only', () => {
    expect(server.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/u);
  });

  serverTests(() => test, DIFFERENCES, { letsRacersThrough: true });
});
