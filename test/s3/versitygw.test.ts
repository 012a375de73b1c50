// The Versity S3 gateway, where Go is there to build it (scripts/s3/versitygw.ts). Where it is not, one line says so.

import { afterAll, beforeAll, describe } from 'vitest';
import type { S3Server } from '../../scripts/s3/ceph.ts';
import { openVersityGateway, startVersityGateway } from '../../scripts/s3/versitygw.ts';
import { CommandFailed } from '../../scripts/vm/command.ts';
import type { Differences } from '../simulator/s3/rule-tests.ts';
import { ServerUnderTest, serverTests } from './server-tests.ts';

const DIFFERENCES: Differences = {
  suspend: '400 InvalidBucketState',
  'default-retention': 'kept from deletion, but not told with the object',
  'if-none-match-race': { sometimes: 'two of eight are taken' },
  'if-none-match-newest': '412: it sees the version below a delete marker',
  'compliance-shorten': 'shortened: it compares the mode only',
  governance: '403 also with the header that bypasses it',
  'no-retention': '400 NoSuchObjectLockConfiguration',
  'lock-without-digest': 'taken',
  'versions-in-pages': 'a version comes twice where a page ends within a key',
  'policy-if-none-match': 'no policy holds for its root user',
  'policy-delete': 'no policy holds for its root user',
  'policy-retention': 'no policy holds for its root user',
  'policy-customer-key': 'no policy holds for its root user',
  'policy-kms-key': 'no policy holds for its root user',
  'policy-kms': 'no policy holds for its root user',
  'default-encryption': '501 NotImplemented',
  'encryption-key': '501 NotImplemented',
  lifecycle: '501 NotImplemented',
  'public-access-block': '501 NotImplemented',
};

const program = await openVersityGateway().catch((error: unknown) => {
  if (!(error instanceof CommandFailed)) throw error;
  console.log(`test/s3: versitygw left out, it needs Go and its module proxy: ${error.message}`);
  return null;
});

describe.skipIf(program === null)('versitygw', () => {
  let server: S3Server;
  let test: ServerUnderTest;

  beforeAll(async () => {
    if (program === null) return;
    server = await startVersityGateway(program);
    test = await ServerUnderTest.open(server);
  });

  afterAll(() => server.stop());

  serverTests(() => test, DIFFERENCES, {
    hidesLockOfGet: true,
    letsRacersThrough: true,
  });
});
