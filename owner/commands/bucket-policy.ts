// trackseal bucket policy: the bucket policy of a log, for people to read before they put it.

import type { CommandIo } from '../command-line.ts';
import { parseOptions, refused } from '../command-line.ts';
import { parseBucketName } from '../bucket/address.ts';
import { makeBucketPolicy, MAX_BUCKET_POLICY_BYTES } from '../bucket/policy.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readPolicyOptions } from '../bucket/policy-options.ts';

const USAGE = `usage: trackseal bucket policy s3://BUCKET[/PREFIX] --retention-days N --writer ARN [OPTIONS]

Prints the bucket policy of a log: objects are written once (If-None-Match), in COMPLIANCE mode for the right time,
over TLS, by the writers only; nobody deletes, bypasses or changes the rules. It denies only: rights come from IAM.

${POLICY_USAGE}  --json              what is printed is JSON with or without it

Put it with: aws s3api put-bucket-policy --bucket BUCKET --policy file://FILE

Exit codes: 0 printed, 2 wrong usage.
`;

/** Exit codes: 0 printed, 2 wrong usage. */
export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return Promise.resolve(print(args, io));
}

function print(args: readonly string[], io: CommandIo): number {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: { ...POLICY_OPTIONS, json: { type: 'boolean' } },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const name = parseBucketName(parsed.value.positionals);
  if (!name.ok) return refused(io, name.refusal, json);
  const options = readPolicyOptions(name.value, parsed.value.values);
  if (!options.ok) return refused(io, options.refusal, json);
  const policy = makeBucketPolicy(options.value);
  if (JSON.stringify(policy).length > MAX_BUCKET_POLICY_BYTES) {
    return refused(
      io,
      { code: 'usage_invalid', detail: { what: 'too many ARNs for one policy' } },
      json,
    );
  }
  io.stdout(`${JSON.stringify(policy, null, 2)}\n`);
  return 0;
}
