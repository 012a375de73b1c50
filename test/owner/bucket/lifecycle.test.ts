import type { LifecycleRule } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { judgeLifecycle, parseLifecycleRule } from '../../../owner/bucket/lifecycle.ts';

function codesOf(rule: Partial<LifecycleRule>, prefix = 'logs/a'): readonly string[] {
  const all = { ID: 'x', Status: 'Enabled', ...rule } as const;
  return judgeLifecycle([parseLifecycleRule(all)], prefix).map(({ code }) => code);
}

const DAYS = { Expiration: { Days: 3000 } };

describe('a lifecycle rule', () => {
  it.each<readonly [string, Partial<LifecycleRule>, readonly string[]]>([
    ['expires by days', DAYS, ['lifecycle_expires']],
    ['expires by date', { Expiration: { Date: new Date(0) } }, ['lifecycle_expires']],
    ['expires by what nobody knows', { Expiration: {} }, ['lifecycle_expires']],
    [
      'expires, and removes markers',
      { Expiration: { Days: 1, ExpiredObjectDeleteMarker: true } },
      ['lifecycle_expires'],
    ],
    ['removes markers only', { Expiration: { ExpiredObjectDeleteMarker: true } }, []],
    [
      'deletes noncurrent versions',
      { NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
      ['lifecycle_deletes'],
    ],
    [
      'does both',
      { ...DAYS, NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
      ['lifecycle_expires', 'lifecycle_deletes'],
    ],
    ['ends uploads only', { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }, []],
    ['is disabled', { ...DAYS, Status: 'Disabled' }, []],
  ])('that %s', (_name, rule, expected) => {
    expect(codesOf(rule)).toEqual(expected);
  });

  it.each<readonly [string, string, boolean]>([
    ['', 'logs/a', true],
    ['l', 'logs/a', true],
    ['logs/', 'logs/a', true],
    ['logs/a', 'logs/a', true],
    ['logs/a/', 'logs/a', true],
    ['logs/a/epochs/0000000001/', 'logs/a', true],
    ['logs/ab', 'logs/a', false],
    ['logs/b/', 'logs/a', false],
    ['epochs/', 'logs/a', false],
    ['anything', '', true],
  ])('of prefix %j reaches the log in %j: %j', (prefix, log, reaches) => {
    const expected = reaches ? ['lifecycle_expires'] : [];
    const old = { ...DAYS, Prefix: prefix } as Partial<LifecycleRule>;
    const and = { And: { Prefix: prefix, ObjectSizeLessThan: 1 } };
    expect(codesOf({ ...DAYS, Filter: { Prefix: prefix } }, log)).toEqual(expected);
    expect(codesOf({ ...DAYS, Filter: and }, log)).toEqual(expected);
    expect(codesOf(old, log)).toEqual(expected);
  });

  it('of a tag or a size reaches the log: whoever writes chooses both', () => {
    const tag = { Filter: { Tag: { Key: 'a', Value: 'b' } } };
    expect(codesOf({ ...DAYS, ...tag })).toEqual(['lifecycle_expires']);
    const size = { Filter: { ObjectSizeGreaterThan: 1 } };
    expect(codesOf({ ...DAYS, ...size })).toEqual(['lifecycle_expires']);
  });

  it('is named, one finding for each', () => {
    const rules = ['one', 'two'].map((ID) =>
      parseLifecycleRule({ ...DAYS, ID, Status: 'Enabled', Filter: { Prefix: 'logs/' } }),
    );
    expect(judgeLifecycle(rules, 'logs/a').map(({ where }) => where)).toEqual([
      'lifecycle rule "one" of prefix "logs/"',
      'lifecycle rule "two" of prefix "logs/"',
    ]);
  });
});
