// What can be wrong with the bucket of a log: a closed list, each with what it lets happen and what to do about it.

export type Severity = 'error' | 'warning' | 'note';

interface FindingText {
  readonly severity: Severity;
  readonly what: string;
  readonly next: string;
}

const POLICY = 'put the policy that `trackseal bucket policy` prints';

export type FindingCode =
  | 'versioning_off'
  | 'lock_off'
  | 'default_retention_none'
  | 'default_governance'
  | 'default_short'
  | 'default_kms_key'
  | 'lifecycle_expires'
  | 'lifecycle_deletes'
  | 'setting_unreadable'
  | 'public_access_open'
  | 'policy_none'
  | 'policy_malformed'
  | 'policy_public'
  | 'overwrite_allowed'
  | 'unlocked_allowed'
  | 'short_allowed'
  | 'long_allowed'
  | 'anybody_writes'
  | 'delete_allowed'
  | 'bypass_allowed'
  | 'own_key_allowed'
  | 'holds_open'
  | 'settings_open'
  | 'plain_http_allowed'
  | 'second_version'
  | 'delete_marker'
  | 'object_unlocked'
  | 'object_governance'
  | 'object_short'
  | 'retention_over'
  | 'key_foreign';

export const FINDINGS: Readonly<Record<FindingCode, FindingText>> = {
  versioning_off: {
    severity: 'error',
    what: 'the bucket keeps no versions: what is written over is gone, and nothing can be locked',
    next: 'make a bucket with `trackseal bucket create`',
  },
  lock_off: {
    severity: 'error',
    what: 'the bucket has no Object Lock: whoever may delete can delete the log',
    next: 'make a bucket with `trackseal bucket create`',
  },
  default_retention_none: {
    severity: 'warning',
    what: 'no default retention: an object that is written without its own date is not locked',
    next: 'set COMPLIANCE with the days of the configuration as default',
  },
  default_governance: {
    severity: 'error',
    what: 'default retention in GOVERNANCE mode: whoever has the right to bypass it can delete',
    next: 'set COMPLIANCE as default',
  },
  default_short: {
    severity: 'error',
    what: 'default retention is shorter than asked for: an enclave with this configuration does not start',
    next: 'set at least the days of the configuration',
  },
  default_kms_key: {
    severity: 'warning',
    what: 'default encryption under a KMS key of a customer: who can delete that key can make the log unreadable, locked or not',
    next: 'set SSE-S3 (AES256) as default; keep the key for what was written under it, and see who may delete it',
  },
  lifecycle_expires: {
    severity: 'error',
    what: 'a lifecycle rule expires current versions: delete markers hide the record, locked or not, and let a second version through',
    next: 'remove the rule, or its Expiration',
  },
  lifecycle_deletes: {
    severity: 'error',
    what: 'a lifecycle rule deletes noncurrent versions: a record that was written over or hidden goes when its retention is over',
    next: 'remove the rule, or its NoncurrentVersionExpiration',
  },
  setting_unreadable: {
    severity: 'warning',
    what: 'this setting could not be read: nothing is known about it',
    next: 'ask somebody with the right to read it',
  },
  public_access_open: {
    severity: 'error',
    what: 'public access is not blocked in all four ways',
    next: 'put a public access block with all four switches on',
  },
  policy_none: {
    severity: 'error',
    what: 'no bucket policy: IAM alone decides who deletes, overwrites, or changes the bucket',
    next: POLICY,
  },
  policy_malformed: {
    severity: 'error',
    what: 'the bucket policy is not of the form that is known here: nothing rests on it',
    next: POLICY,
  },
  policy_public: {
    severity: 'error',
    what: 'the policy allows something to everybody without a condition',
    next: 'remove that statement; rights belong into IAM',
  },
  overwrite_allowed: {
    severity: 'error',
    what: 'PutObject without If-None-Match is not denied: a second version can hide the record',
    next: POLICY,
  },
  unlocked_allowed: {
    severity: 'error',
    what: 'PutObject without COMPLIANCE retention is not denied',
    next: POLICY,
  },
  short_allowed: {
    severity: 'warning',
    what: 'PutObject with a retention of one day is not denied',
    next: POLICY,
  },
  long_allowed: {
    severity: 'warning',
    what: 'retention of a hundred years is not denied: whoever writes can make you pay that long',
    next: POLICY,
  },
  anybody_writes: {
    severity: 'warning',
    what: 'PutObject is not limited to named writers',
    next: `${POLICY}, with --writer`,
  },
  delete_allowed: {
    severity: 'error',
    what: 'DeleteObject is not denied: a delete marker hides the record and lets a second version through',
    next: POLICY,
  },
  bypass_allowed: {
    severity: 'warning',
    what: 'BypassGovernanceRetention is not denied',
    next: POLICY,
  },
  own_key_allowed: {
    severity: 'error',
    what: 'writes under a key of one’s own (SSE-C or KMS), or a change of an object to one, are not denied: without that key nobody reads it, locked or not',
    next: POLICY,
  },
  holds_open: {
    severity: 'warning',
    what: 'PutObjectLegalHold is not limited to named holders: whoever writes can remove a hold',
    next: `${POLICY}, with --holder`,
  },
  settings_open: {
    severity: 'error',
    what: 'whoever writes may change the policy, versioning, lock, encryption or lifecycle, as far as IAM lets them',
    next: POLICY,
  },
  plain_http_allowed: {
    severity: 'warning',
    what: 'requests without TLS are not denied',
    next: POLICY,
  },
  second_version: {
    severity: 'error',
    what: 'a key has a version after its first: somebody wrote over the record. The first is the record',
    next: 'find out who (CloudTrail data events); readers of ours take the first',
  },
  delete_marker: {
    severity: 'error',
    what: 'a key has a delete marker: plain readers do not see the record',
    next: 'find out who; remove the marker (s3:DeleteObjectVersion with its version), not the record',
  },
  object_unlocked: {
    severity: 'error',
    what: 'a version without retention: it can be deleted',
    next: 'set COMPLIANCE retention on it (PutObjectRetention)',
  },
  object_governance: {
    severity: 'error',
    what: 'a version in GOVERNANCE mode: it can be deleted with the right to bypass',
    next: 'set COMPLIANCE retention on it (PutObjectRetention)',
  },
  object_short: {
    severity: 'warning',
    what: 'a version was locked for fewer days than asked for',
    next: 'extend its retention (PutObjectRetention)',
  },
  retention_over: {
    severity: 'note',
    what: 'a version whose retention is over: it can be deleted',
    next: 'nothing, if the period was right',
  },
  key_foreign: {
    severity: 'warning',
    what: 'a key that no log has',
    next: 'give the log a prefix of its own',
  },
};

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** A setting or the first key it was found at; null for the bucket as a whole. */
  readonly where: string | null;
  /** How often. */
  readonly count: number;
  readonly what: string;
  readonly next: string;
}

export function finding(code: FindingCode, where: string | null = null, count = 1): Finding {
  return { code, where, count, ...FINDINGS[code] };
}
