import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe } from 'vitest';
import { ALICE, BUCKET, startTestS3 } from '../../wire/node/objects/s3-server.ts';
import type { TestS3 } from '../../wire/node/objects/s3-server.ts';
import { ruleTests } from './rule-tests.ts';

let test: TestS3;
let names = 0;

beforeAll(async () => {
  test = await startTestS3();
});

afterAll(() => test.close());

async function makeBucket(lock: boolean): Promise<string> {
  names += 1;
  const Bucket = `rules-${String(names)}`;
  const place = { LocationConstraint: 'eu-central-1' } as const;
  const command = new CreateBucketCommand({
    Bucket,
    ObjectLockEnabledForBucket: lock,
    CreateBucketConfiguration: place,
  });
  await test.client.send(command);
  return Bucket;
}

describe('the simulated S3 has AWS’s rules', () => {
  ruleTests(
    () => ({
      client: test.client,
      clientWith: (accessKeyId, secretAccessKey) =>
        test.clientOf({ ...ALICE, accessKeyId, secretAccessKey }),
      accessKeyId: ALICE.accessKeyId,
      bucket: BUCKET,
      makeBucket,
      newKey: () => {
        names += 1;
        return `rule-${String(names)}`;
      },
    }),
    {},
  );
});
