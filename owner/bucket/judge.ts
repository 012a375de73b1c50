// Judges a bucket's settings and policy. The policy is judged by questions: each request that must not be possible
// is asked of it, as somebody whom it does not name and as each writer that it names. Denials in IAM or in an organisation's policies are not seen.

import type { Finding, FindingCode } from './findings.ts';
import { finding } from './findings.ts';
import type { PolicyQuestion, PolicyStatement } from './evaluate.ts';
import { allowsEverybody, exceptedFrom, isDenied, parseBucketPolicy } from './evaluate.ts';
import { judgeLifecycle } from './lifecycle.ts';
import type { BucketFacts, LockSettings, Setting } from './settings.ts';

export interface JudgeOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Null where no number of days was asked for. */
  readonly retentionDays: number | null;
  /** Who writes: what a writer may do to the rules is asked in their name. */
  readonly writers: readonly string[];
}

const STRANGER = 'arn:aws:iam::000000000000:role/trackseal-check-of-a-stranger';
const DEFAULT_DAYS = 30;
const FOREVER_DAYS = 36_500;

function isKnown<T>(setting: Setting<T>): setting is { readonly value: T } {
  return 'value' in setting;
}

function judgeLock(
  { enabled, defaultMode, defaultDays }: LockSettings,
  days: number | null,
): readonly Finding[] {
  if (!enabled) return [finding('lock_off')];
  if (defaultMode === null) return [finding('default_retention_none')];
  const found = defaultMode === 'COMPLIANCE' ? [] : [finding('default_governance')];
  const isShort = days !== null && (defaultDays ?? 0) < days;
  return isShort ? [...found, finding('default_short', `${String(defaultDays)} days`)] : found;
}

type Rule = readonly [
  FindingCode,
  (question: (more: Partial<PolicyQuestion>) => PolicyQuestion) => PolicyQuestion,
];

/** A write as ours are. */
function goodWrite(days: number): Readonly<Record<string, string>> {
  return {
    'aws:SecureTransport': 'true',
    's3:TlsVersion': '1.3',
    's3:if-none-match': '*',
    's3:object-lock-mode': 'COMPLIANCE',
    's3:object-lock-remaining-retention-days': String(days),
    's3:ObjectCreationOperation': 'true',
  };
}

function without(
  context: Readonly<Record<string, string>>,
  ...keys: readonly string[]
): Record<string, string> {
  return Object.fromEntries(Object.entries(context).filter(([key]) => !keys.includes(key)));
}

const LOCK_KEYS = ['s3:object-lock-mode', 's3:object-lock-remaining-retention-days'];

/** The same write under a customer's key, under a KMS key by its name, and under the KMS key of the writer's account. */
function ownKeys(
  good: Readonly<Record<string, string>>,
): readonly Readonly<Record<string, string>>[] {
  const sse = 's3:x-amz-server-side-encryption';
  const key = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000';
  return [
    { ...good, [`${sse}-customer-algorithm`]: 'AES256' },
    { ...good, [sse]: 'aws:kms', [`${sse}-aws-kms-key-id`]: key },
    { ...good, [sse]: 'aws:kms' },
    { ...good, [sse]: 'aws:kms:dsse' },
  ];
}

/** Each must be denied to whoever asks; the policy is wrong where it is not. */
function writerRules(days: number): readonly Rule[] {
  const good = goodWrite(days);
  const put = 's3:PutObject';
  const tls = { 'aws:SecureTransport': 'true', 's3:TlsVersion': '1.3' };
  const daysKey = 's3:object-lock-remaining-retention-days';
  return [
    [
      'overwrite_allowed',
      (ask) => ask({ action: put, context: without(good, 's3:if-none-match') }),
    ],
    ['unlocked_allowed', (ask) => ask({ action: put, context: without(good, ...LOCK_KEYS) })],
    [
      'unlocked_allowed',
      (ask) => ask({ action: put, context: { ...good, 's3:object-lock-mode': 'GOVERNANCE' } }),
    ],
    ['short_allowed', (ask) => ask({ action: put, context: { ...good, [daysKey]: '1' } })],
    [
      'long_allowed',
      (ask) => ask({ action: put, context: { ...good, [daysKey]: String(FOREVER_DAYS) } }),
    ],
    ['delete_allowed', (ask) => ask({ action: 's3:DeleteObject', context: tls })],
    ['delete_allowed', (ask) => ask({ action: 's3:DeleteObjectVersion', context: tls })],
    ...ownKeys(good).map((context): Rule => [
      'own_key_allowed',
      (ask) => ask({ action: put, context }),
    ]),
    ['own_key_allowed', (ask) => ask({ action: 's3:UpdateObjectEncryption', context: tls })],
    ['bypass_allowed', (ask) => ask({ action: 's3:BypassGovernanceRetention', context: tls })],
    ['holds_open', (ask) => ask({ action: 's3:PutObjectLegalHold', context: tls })],
    [
      'plain_http_allowed',
      (ask) => ask({ action: put, context: { ...good, 'aws:SecureTransport': 'false' } }),
    ],
  ];
}

const SETTING_ACTIONS = [
  's3:PutBucketPolicy',
  's3:DeleteBucketPolicy',
  's3:PutBucketVersioning',
  's3:PutBucketObjectLockConfiguration',
  's3:PutEncryptionConfiguration',
  's3:PutLifecycleConfiguration',
];

function judgePolicy(
  policy: readonly PolicyStatement[],
  options: JudgeOptions,
): readonly Finding[] {
  const { bucket, prefix, retentionDays, writers } = options;
  const days = retentionDays ?? DEFAULT_DAYS;
  const arn = `arn:aws:s3:::${bucket}`;
  const key = `${arn}/${prefix === '' ? '' : `${prefix}/`}epochs/0000000001/claim`;
  const found = new Set<FindingCode>();
  const asking =
    (principal: string) =>
    (more: Partial<PolicyQuestion>): PolicyQuestion => {
      const { action = '', resource = key, context = {} } = more;
      return {
        principal,
        action,
        resource,
        context: { ...context, 'aws:PrincipalArn': principal },
      };
    };
  // A stranger who may not write at all tells nothing of what a writer may.
  const named = exceptedFrom(policy, 's3:PutObject');
  for (const who of new Set([STRANGER, ...named, ...writers])) {
    for (const [code, question] of writerRules(days)) {
      if (!isDenied(policy, question(asking(who)))) found.add(code);
    }
    const tls = { 'aws:SecureTransport': 'true', 's3:TlsVersion': '1.3' };
    const isOpen = SETTING_ACTIONS.some(
      (action) => !isDenied(policy, asking(who)({ action, resource: arn, context: tls })),
    );
    if (isOpen) found.add('settings_open');
  }
  const write = asking(STRANGER)({ action: 's3:PutObject', context: goodWrite(days) });
  if (!isDenied(policy, write)) found.add('anybody_writes');
  if (policy.some(allowsEverybody)) found.add('policy_public');
  return Array.from(found, (code) => finding(code));
}

function judgePolicyText(text: string | null, options: JudgeOptions): readonly Finding[] {
  if (text === null) return [finding('policy_none')];
  const policy = parseBucketPolicy(text);
  return policy === null ? [finding('policy_malformed')] : judgePolicy(policy, options);
}

/** AWS's own keys, which nobody can delete, go by an alias. */
function judgeKeys(keys: readonly string[]): readonly Finding[] {
  return keys
    .filter((key) => !/(?:^|:)alias\/aws\//u.test(key))
    .map((key) => finding('default_kms_key', key));
}

export function judgeSettings(facts: BucketFacts, options: JudgeOptions): readonly Finding[] {
  const { versioning, lock, policy, publicAccessBlocked, lifecycle, encryptionKeys } = facts;
  const unreadable = Object.entries(facts)
    .filter(([, setting]) => !isKnown(setting as Setting<unknown>))
    .map(([name]) => finding('setting_unreadable', name));
  return [
    ...(isKnown(versioning) && versioning.value !== 'Enabled' ? [finding('versioning_off')] : []),
    ...(isKnown(lock) ? judgeLock(lock.value, options.retentionDays) : []),
    ...(isKnown(publicAccessBlocked) && !publicAccessBlocked.value
      ? [finding('public_access_open')]
      : []),
    ...(isKnown(policy) ? judgePolicyText(policy.value, options) : []),
    ...(isKnown(lifecycle) ? judgeLifecycle(lifecycle.value, options.prefix) : []),
    ...(isKnown(encryptionKeys) ? judgeKeys(encryptionKeys.value) : []),
    ...unreadable,
  ];
}
