// trackseal bucket create: a bucket for a log, with everything on that cannot be turned on for old objects later.

import type { BucketLocationConstraint } from '@aws-sdk/client-s3';
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { BucketAddress } from '../bucket/address.ts';
import {
  BUCKET_OPTIONS,
  BUCKET_USAGE,
  bucketFailure,
  openBucket,
  parseBucketName,
} from '../bucket/address.ts';
import { judgeSettings } from '../bucket/judge.ts';
import type { BucketPolicyOptions } from '../bucket/policy.ts';
import { makeBucketPolicy } from '../bucket/policy.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readPolicyOptions } from '../bucket/policy-options.ts';
import { renderFindings } from '../bucket/render.ts';
import { readSettings } from '../bucket/settings.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, refused } from '../command-line.ts';

const USAGE = `usage: trackseal bucket create s3://BUCKET[/PREFIX] --retention-days N --writer ARN [OPTIONS]

Makes a bucket for a log: Object Lock and versioning, COMPLIANCE as default retention, public access blocked, and
the policy of \`trackseal bucket policy\`. Then it looks at what it made, as \`bucket check\` does. Object Lock is
never turned off again, and what is written is kept for N days whatever happens: try it with few days first.

${POLICY_USAGE}  --no-policy         leave the policy out, for servers that do not know its conditions
${BUCKET_USAGE}  --json              {verdict, bucket, steps: [{step, done, error}], findings}

Exit codes: 0 made and as it should be, 1 refused or something is missing, 2 not reached, or wrong usage.
`;

interface Step {
  readonly step: string;
  readonly done: boolean;
  readonly error: string | null;
}

/** Only AWS has regions of its own that must be named. */
function placeOf(region: string): {
  CreateBucketConfiguration?: { LocationConstraint: BucketLocationConstraint };
} {
  if (region === 'us-east-1' || !/^[a-z]{2}(?:-[a-z]+)+-\d$/u.test(region)) return {};
  return { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } };
}

async function attempt(step: string, act: () => Promise<unknown>): Promise<Step> {
  try {
    await act();
    return { step, done: true, error: null };
  } catch (error) {
    const failure = bucketFailure(error);
    const why = failure.ok ? '' : String(failure.refusal.detail['error'] ?? failure.refusal.code);
    return { step, done: false, error: why };
  }
}

async function makeBucket(address: BucketAddress): Promise<Result<null>> {
  const { bucket: Bucket, client, region } = address;
  try {
    await client.send(
      new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true, ...placeOf(region) }),
    );
    return accept(null);
  } catch (error) {
    return bucketFailure(error);
  }
}

/** What can be corrected is done as far as it goes; the policy comes last, because it locks us out. */
async function setUp(
  address: BucketAddress,
  options: BucketPolicyOptions,
  withPolicy: boolean,
): Promise<readonly Step[]> {
  const { client, target } = address;
  const sha256 = { ChecksumAlgorithm: 'SHA256' } as const;
  const block = await attempt('public access block', () =>
    client.send(
      new PutPublicAccessBlockCommand({
        ...target,
        ...sha256,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          IgnorePublicAcls: true,
          BlockPublicPolicy: true,
          RestrictPublicBuckets: true,
        },
      }),
    ),
  );
  const retention = await attempt('default retention', () =>
    client.send(
      new PutObjectLockConfigurationCommand({
        ...target,
        ...sha256,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: options.retentionDays } },
        },
      }),
    ),
  );
  const first = { step: 'bucket with object lock', done: true, error: null };
  if (!withPolicy) return [first, block, retention];
  const policy = await attempt('policy', () =>
    client.send(
      new PutBucketPolicyCommand({
        ...target,
        ...sha256,
        Policy: JSON.stringify(makeBucketPolicy(options)),
      }),
    ),
  );
  return [first, block, retention, policy];
}

async function create(
  address: BucketAddress,
  options: BucketPolicyOptions,
  { json, withPolicy }: { readonly json: boolean; readonly withPolicy: boolean },
  io: CommandIo,
): Promise<number> {
  const made = await makeBucket(address);
  if (!made.ok) return refused(io, made.refusal, json, nextOf(made.refusal.code));
  const steps = await setUp(address, options, withPolicy);
  const facts = await readSettings(address);
  if (!facts.ok) return refused(io, facts.refusal, json);
  const findings = judgeSettings(facts.value, options);
  const isWhole = steps.every(({ done }) => done);
  const passed = isWhole && !findings.some(({ severity }) => severity === 'error');
  const verdict = passed ? 'created' : 'refused';
  if (json) {
    const report = { verdict, bucket: address.bucket, steps, findings };
    io.stdout(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    const lines = steps.map(
      ({ step, done, error }) =>
        `  ${step.padEnd(26)}${done ? 'done' : `not done: ${String(error)}`}\n`,
    );
    io.stdout(
      `${verdict.toUpperCase()}  s3://${address.bucket}\n${lines.join('')}${renderFindings(findings)}`,
    );
  }
  return passed ? 0 : 1;
}

function nextOf(code: string): string | undefined {
  return code === 'bucket_exists' ? 'trackseal bucket check says what it lacks' : undefined;
}

/** Exit codes: 0 made and as it should be, 1 refused or something is missing, 2 not reached. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      ...POLICY_OPTIONS,
      ...BUCKET_OPTIONS,
      'no-policy': { type: 'boolean' },
      json: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const name = parseBucketName(parsed.value.positionals);
  if (!name.ok) return refused(io, name.refusal, json);
  const options = readPolicyOptions(name.value, parsed.value.values);
  if (!options.ok) return refused(io, options.refusal, json);
  const address = await openBucket(name.value, parsed.value.values, io);
  if (!address.ok) return refused(io, address.refusal, json);
  try {
    const withPolicy = parsed.value.values['no-policy'] !== true;
    return await create(address.value, options.value, { json, withPolicy }, io);
  } finally {
    address.value.client.destroy();
  }
}
