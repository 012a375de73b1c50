// Amazon S3 itself, when TRACKSEAL_TEST_BUCKET names a bucket with Object Lock (AWS_REGION and credentials from the
// environment). Objects are locked for minutes and stay behind; give the bucket a lifecycle rule. No bucket is made.

import { afterAll, beforeAll, describe, it } from 'vitest';
import { RULES } from '../simulator/s3/rules.ts';
import type { Differences } from '../simulator/s3/rule-tests.ts';
import { ServerUnderTest, serverTests } from './server-tests.ts';
import type { ServerAddress } from './server-tests.ts';

const bucket = process.env['TRACKSEAL_TEST_BUCKET'];

function addressOf(name: string): ServerAddress {
  const region = process.env['AWS_REGION'] ?? 'us-east-1';
  const sessionToken = process.env['AWS_SESSION_TOKEN'];
  return {
    name: 'Amazon S3',
    endpoint: `https://s3.${region}.amazonaws.com`,
    region,
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
    bucket: name,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

const NEED_BUCKETS = RULES.filter(({ needsBucket }) => needsBucket === true).map(({ id }) => id);
const DIFFERENCES: Differences = Object.fromEntries(
  NEED_BUCKETS.map((id) => [id, 'not asked: it needs a bucket of its own']),
);

if (bucket === undefined) {
  console.log('test/s3: Amazon S3 left out, because TRACKSEAL_TEST_BUCKET names no bucket');
}

describe.skipIf(bucket === undefined)('Amazon S3', () => {
  let test: ServerUnderTest | null = null;

  beforeAll(async () => {
    if (bucket !== undefined) test = await ServerUnderTest.open(addressOf(bucket));
  });

  afterAll(() => {
    test = null;
  });

  it('has a bucket to test with', ({ expect }) => {
    expect(test).not.toBe(null);
  });

  serverTests(() => {
    if (test === null) throw new Error('no bucket');
    return test;
  }, DIFFERENCES);
});
