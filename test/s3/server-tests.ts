// The rules of AWS and the contract of a store, asked of an S3 server that is there.

import { CreateBucketCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { randomBytes } from 'node:crypto';
import { describe } from 'vitest';
import type { RuleStage } from '../simulator/s3/rules.ts';
import { ruleTests } from '../simulator/s3/rule-tests.ts';
import type { Differences } from '../simulator/s3/rule-tests.ts';
import type { ContractStore } from '../wire/node/objects/contract.ts';
import { storeContract } from '../wire/node/objects/contract.ts';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { S3Store } from '../../wire/node/objects/s3.ts';

export interface ServerAddress {
  readonly name: string;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Where buckets must not be made: this one, which has Object Lock. */
  readonly bucket?: string;
}

let names = 0;
/** Of this run: on AWS what was written stays for its minutes. */
const RUN = randomBytes(6).toString('hex');

function newName(): string {
  names += 1;
  return `trackseal-test-${RUN}-${String(names)}`;
}

export class ServerUnderTest {
  readonly #address: ServerAddress;
  readonly #client: S3Client;
  readonly #bucket: string;

  private constructor(address: ServerAddress, client: S3Client, bucket: string) {
    this.#address = address;
    this.#client = client;
    this.#bucket = bucket;
  }

  static async open(address: ServerAddress): Promise<ServerUnderTest> {
    const client = clientOf(address, address.accessKeyId, address.secretAccessKey);
    const bucket = address.bucket ?? (await makeBucket(client, true));
    return new ServerUnderTest(address, client, bucket);
  }

  stage(): RuleStage {
    const { accessKeyId, bucket } = this.#address;
    return {
      client: this.#client,
      clientWith: (id, secret) => clientOf(this.#address, id, secret),
      accessKeyId,
      bucket: this.#bucket,
      makeBucket: bucket === undefined ? (lock) => makeBucket(this.#client, lock) : null,
      newKey: newName,
    };
  }

  store(): S3Store {
    return new S3Store({ client: this.#client, bucket: this.#bucket, prefix: newName() });
  }
}

function clientOf(address: ServerAddress, accessKeyId: string, secretAccessKey: string): S3Client {
  const { endpoint, region, sessionToken } = address;
  return openS3Client({
    region,
    endpoint,
    credentials: {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    handler: new NodeHttpHandler({ connectionTimeout: 10_000 }),
  });
}

async function makeBucket(client: S3Client, lock: boolean): Promise<string> {
  const Bucket = newName();
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: lock }));
  return Bucket;
}

/** `differences`: of the rules; `contract`: what a store over this server cannot promise. */
export function serverTests(
  open: () => ServerUnderTest,
  differences: Differences,
  contract: Partial<ContractStore> = {},
  strict = true,
): void {
  describe('has AWS’s rules', () => {
    ruleTests(() => open().stage(), differences, strict);
  });
  describe('is a store', () => {
    storeContract({
      open: async () => Promise.resolve(open().store()),
      keepsRetention: true,
      ...contract,
    });
  });
}
