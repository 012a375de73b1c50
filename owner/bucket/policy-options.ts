// What `bucket policy` and `bucket create` share: who may do what, and for how many days.

import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { BucketName } from './address.ts';
import type { BucketPolicyOptions } from './policy.ts';

/** For `parseArgs`. */
export const POLICY_OPTIONS = {
  'retention-days': { type: 'string' },
  'max-days': { type: 'string' },
  writer: { type: 'string', multiple: true },
  holder: { type: 'string', multiple: true },
  admin: { type: 'string', multiple: true },
} as const;

export const POLICY_USAGE = `  --retention-days N  as in the log's configuration (s3.retention_days)
  --writer ARN        role or user of the enclave's and the host's credentials; may be repeated
  --holder ARN        who sets and removes legal holds; may be repeated; nobody without it
  --admin ARN         who may change the bucket and this policy; may be repeated; only root without it
  --max-days N        longest retention that a writer may set; default: --retention-days and 31 more
`;

const ARN = /^arn:aws[a-z-]*:iam::[0-9]{12}:(?:user|role)\/[\w+=,.@/-]+$/u;
const MAX_DAYS = 36_500;
const MARGIN_DAYS = 31;

export interface PolicyValues {
  readonly 'retention-days'?: string | undefined;
  readonly 'max-days'?: string | undefined;
  readonly writer?: readonly string[] | undefined;
  readonly holder?: readonly string[] | undefined;
  readonly admin?: readonly string[] | undefined;
}

/** Null where it is absent. Refuses `usage_invalid`. */
export function parseDays(option: string, text: string | undefined): Result<number | null> {
  if (text === undefined) return accept(null);
  const days = /^[1-9]\d{0,4}$/u.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= MAX_DAYS) return accept(days);
  return refuse('usage_invalid', { what: `--${option} takes 1 to ${String(MAX_DAYS)}` });
}

/** Refuses `usage_invalid`. */
export function checkArns(option: string, arns: readonly string[]): Result<readonly string[]> {
  const wrong = arns.find((arn) => !ARN.test(arn));
  if (wrong === undefined) return accept(arns);
  return refuse('usage_invalid', {
    what: `--${option} takes the ARN of a user or role`,
    got: wrong,
  });
}

/** Refuses `usage_invalid`. */
export function readPolicyOptions(
  name: BucketName,
  values: PolicyValues,
): Result<BucketPolicyOptions> {
  const days = parseDays('retention-days', values['retention-days']);
  if (!days.ok) return days;
  if (days.value === null) return refuse('usage_invalid', { what: '--retention-days is needed' });
  const most = parseDays('max-days', values['max-days']);
  if (!most.ok) return most;
  const maxDays = most.value ?? Math.min(days.value + MARGIN_DAYS, MAX_DAYS);
  if (maxDays < days.value) {
    return refuse('usage_invalid', { what: '--max-days is less than --retention-days' });
  }
  const { writer: writers = [], holder: holders = [], admin: admins = [] } = values;
  if (writers.length === 0) return refuse('usage_invalid', { what: '--writer is needed' });
  for (const [option, arns] of Object.entries({
    writer: writers,
    holder: holders,
    admin: admins,
  })) {
    const checked = checkArns(option, arns);
    if (!checked.ok) return checked;
  }
  const both = writers.find((arn) => holders.includes(arn) || admins.includes(arn));
  if (both !== undefined) {
    return refuse('usage_invalid', {
      what: 'a writer that is also a holder or an admin',
      got: both,
    });
  }
  return accept({ ...name, writers, holders, admins, retentionDays: days.value, maxDays });
}
