// What a bucket's lifecycle rules do to a log. A rule that expires current versions puts delete markers on top, locked
// or not; one that deletes noncurrent versions takes the record itself, once its retention is over, where somebody
// wrote over it. Filters by tag or size keep nothing out here: whoever writes chooses both. Source: Amazon S3 User
// Guide, "Lifecycle configuration elements". Rules are untrusted text.

import type { LifecycleRule as AwsRule } from '@aws-sdk/client-s3';
import type { Finding } from './findings.ts';
import { finding } from './findings.ts';

export interface LifecycleRule {
  /** Its ID, for people; '' without one. */
  readonly id: string;
  /** Of the keys that it is about; '' for all. */
  readonly prefix: string;
  readonly enabled: boolean;
  /** It puts delete markers on current versions. */
  readonly expiresCurrent: boolean;
  readonly deletesNoncurrent: boolean;
}

/** What is not understood counts as dangerous. */
export function parseLifecycleRule(rule: AwsRule): LifecycleRule {
  const { ID, Status, Filter, Expiration, NoncurrentVersionExpiration } = rule;
  // The oldest form has the prefix outside of a filter, which AWS's types call deprecated.
  const { Prefix: old } = rule as { readonly Prefix?: string };
  // Alone it removes markers that have nothing below them.
  const isMarkerOnly =
    Expiration?.ExpiredObjectDeleteMarker === true &&
    Expiration.Days === undefined &&
    Expiration.Date === undefined;
  return {
    id: ID ?? '',
    prefix: Filter?.Prefix ?? Filter?.And?.Prefix ?? old ?? '',
    enabled: Status !== 'Disabled',
    expiresCurrent: Expiration !== undefined && !isMarkerOnly,
    deletesNoncurrent: NoncurrentVersionExpiration !== undefined,
  };
}

/** Each rule that reaches below the log's prefix, or a part of it, and hides or deletes there. */
export function judgeLifecycle(
  rules: readonly LifecycleRule[],
  prefix: string,
): readonly Finding[] {
  const log = prefix === '' ? '' : `${prefix}/`;
  return rules.flatMap((rule) => {
    const isBelow = rule.prefix.startsWith(log) || log.startsWith(rule.prefix);
    if (!rule.enabled || !isBelow) return [];
    const where = `lifecycle rule "${rule.id}" of prefix "${rule.prefix}"`;
    return [
      ...(rule.expiresCurrent ? [finding('lifecycle_expires', where)] : []),
      ...(rule.deletesNoncurrent ? [finding('lifecycle_deletes', where)] : []),
    ];
  });
}
