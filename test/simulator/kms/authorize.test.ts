// The simulated KMS decides as IAM documents it. What it gets wrong here would make a policy with a hole look
// right, so each rule has its case.

import { describe, expect, it } from 'vitest';
import { decide } from '../../../simulator/kms/authorize.ts';
import type { Attempt } from '../../../simulator/kms/authorize.ts';
import { holds, parseOperator } from '../../../simulator/kms/conditions.ts';
import { parsePolicy } from '../../../simulator/kms/policy.ts';
import { HOST, HOST_ACCOUNT, HOST_ROLE, KEY_ARN, OWNER, OWNER_ACCOUNT } from '../../helpers/kms.ts';

interface Rule {
  readonly Effect?: 'Allow' | 'Deny';
  readonly Principal?: unknown;
  readonly NotPrincipal?: unknown;
  readonly Action?: unknown;
  readonly NotAction?: unknown;
  readonly Resource?: unknown;
  readonly Condition?: unknown;
}

const ALLOW_OWNER: Rule = { Principal: { AWS: OWNER.arn }, Action: 'kms:Decrypt' };

function statement(rule: Rule): Rule {
  return { Effect: 'Allow', Resource: '*', ...rule };
}

function policy(...statements: readonly Rule[]): string {
  return JSON.stringify({ Statement: statements.map(statement) });
}

function attempt(statements: readonly Rule[], changes: Partial<Attempt> = {}): string {
  const reason = decide({
    principal: OWNER,
    action: 'kms:Decrypt',
    keyArn: KEY_ARN,
    keyPolicy: policy(...statements),
    encryptionContext: new Map(),
    recipient: null,
    ...changes,
  });
  if (reason === null) return 'allowed';
  return /(explicit deny|no resource-based|no identity-based)/u.exec(reason)?.[0] ?? reason;
}

const NO_RESOURCE = 'no resource-based';
const NO_IDENTITY = 'no identity-based';
const DENY = 'explicit deny';
const ROOT = (account: string): Rule => ({
  Principal: { AWS: `arn:aws:iam::${account}:root` },
  Action: 'kms:*',
});

describe('who', () => {
  it.each<[string, Rule[], Partial<Attempt>, string]>([
    ['the principal', [ALLOW_OWNER], {}, 'allowed'],
    ['another principal', [ALLOW_OWNER], { principal: HOST }, NO_RESOURCE],
    ['everybody', [{ ...ALLOW_OWNER, Principal: '*' }], { principal: HOST }, 'allowed'],
    ['everybody, as AWS', [{ ...ALLOW_OWNER, Principal: { AWS: '*' } }], {}, 'allowed'],
    [
      'the role of a session',
      [{ ...ALLOW_OWNER, Principal: { AWS: [OWNER.arn, HOST_ROLE] } }],
      { principal: HOST },
      'allowed',
    ],
    [
      'the session itself',
      [{ ...ALLOW_OWNER, Principal: { AWS: HOST.arn } }],
      { principal: HOST },
      'allowed',
    ],
    ['the root of the account', [ROOT(OWNER_ACCOUNT)], {}, 'allowed'],
    [
      'the account by its number',
      [{ ...ALLOW_OWNER, Principal: { AWS: OWNER_ACCOUNT } }],
      {},
      'allowed',
    ],
    ['the root of another account', [ROOT(HOST_ACCOUNT)], {}, NO_RESOURCE],
    [
      'all but the principal',
      [{ NotPrincipal: { AWS: OWNER.arn }, Action: 'kms:*' }],
      {},
      NO_RESOURCE,
    ],
    [
      'all but somebody else',
      [{ NotPrincipal: { AWS: OWNER.arn }, Action: 'kms:*' }],
      { principal: HOST },
      'allowed',
    ],
  ])('%s', (_, statements, changes, expected) => {
    expect(attempt(statements, changes)).toBe(expected);
  });

  const nothing = JSON.stringify({ Statement: { Effect: 'Allow', Action: 's3:*', Resource: '*' } });
  const deny = JSON.stringify({ Statement: { Effect: 'Deny', Action: 'kms:*', Resource: '*' } });
  it.each<[string, Rule[], Partial<Attempt>, string]>([
    [
      'in the own account a named principal needs no IAM',
      [ALLOW_OWNER],
      { principal: { ...OWNER, identityPolicy: nothing } },
      'allowed',
    ],
    [
      'through the root it does',
      [ROOT(OWNER_ACCOUNT)],
      { principal: { ...OWNER, identityPolicy: nothing } },
      NO_IDENTITY,
    ],
    [
      'in another account it always does',
      [{ ...ALLOW_OWNER, Principal: { AWS: HOST_ROLE } }],
      { principal: { ...HOST, identityPolicy: nothing } },
      NO_IDENTITY,
    ],
    ['a Deny in IAM wins', [ALLOW_OWNER], { principal: { ...OWNER, identityPolicy: deny } }, DENY],
  ])('%s', (_, statements, changes, expected) => {
    expect(attempt(statements, changes)).toBe(expected);
  });
});

function context(...pairs: [string, string][]): Partial<Attempt> {
  return { encryptionContext: new Map(pairs) };
}

function rules(key: string, value: string): Rule[] {
  return [{ ...ALLOW_OWNER, Condition: { StringEqualsIgnoreCase: { [key]: value } } }];
}

describe('what', () => {
  it.each<[string, Rule[], string]>([
    ['another action', [{ ...ALLOW_OWNER, Action: 'kms:Encrypt' }], NO_RESOURCE],
    ['a pattern', [{ ...ALLOW_OWNER, Action: 'kms:De*' }], 'allowed'],
    ['another case', [{ ...ALLOW_OWNER, Action: 'KMS:decrypt' }], 'allowed'],
    ['a point is a point', [{ ...ALLOW_OWNER, Action: 'kms.Decrypt' }], NO_RESOURCE],
    ['all but it', [{ Principal: '*', NotAction: 'kms:Decrypt' }], NO_RESOURCE],
    ['all but another', [{ Principal: '*', NotAction: 'kms:Encrypt' }], 'allowed'],
    ['this key', [{ ...ALLOW_OWNER, Resource: KEY_ARN }], 'allowed'],
    ['another key', [{ ...ALLOW_OWNER, Resource: `${KEY_ARN}0` }], NO_RESOURCE],
    ['a Deny after the Allow', [ALLOW_OWNER, { ...ALLOW_OWNER, Effect: 'Deny' }], DENY],
    ['a Deny before the Allow', [{ ...ALLOW_OWNER, Effect: 'Deny' }, ALLOW_OWNER], DENY],
    ['a Deny for the account', [ALLOW_OWNER, { ...ROOT(OWNER_ACCOUNT), Effect: 'Deny' }], DENY],
    [
      'a Deny whose condition does not hold',
      [
        ALLOW_OWNER,
        {
          ...ALLOW_OWNER,
          Effect: 'Deny',
          Condition: { StringEquals: { 'kms:CallerAccount': HOST_ACCOUNT } },
        },
      ],
      'allowed',
    ],
  ])('%s', (_, statements, expected) => {
    expect(attempt(statements)).toBe(expected);
  });

  it('all conditions of a statement must hold', () => {
    const Condition = {
      StringEquals: { 'kms:EncryptionContext:A': '1', 'kms:EncryptionContext:b': '2' },
    };
    const both = [{ ...ALLOW_OWNER, Condition }];
    expect(attempt(both, context(['a', '1'], ['B', '2']))).toBe('allowed');
    expect(attempt(both, context(['a', '1'], ['b', '3']))).toBe(NO_RESOURCE);
    expect(attempt(both, context(['a', '1']))).toBe(NO_RESOURCE);
  });

  it('registers of the document are conditions, and none without a document', () => {
    const recipient = {
      spki: new Uint8Array(),
      moduleId: 'i',
      pcrs: new Map([
        [0, 'aa'],
        [4, 'bb'],
      ]),
    };
    const pcr0 = rules('kms:RecipientAttestation:PCR0', 'AA');
    expect(attempt(pcr0, { recipient })).toBe('allowed');
    expect(attempt(pcr0)).toBe(NO_RESOURCE);
    const image = rules('kms:RecipientAttestation:ImageSha384', 'aa');
    expect(attempt(image, { recipient })).toBe('allowed');
    expect(attempt(rules('kms:RecipientAttestation:PCR4', 'bb'), { recipient })).toBe('allowed');
    expect(attempt(rules('kms:RecipientAttestation:PCR1', ''), { recipient })).toBe(NO_RESOURCE);
  });
});

describe('operators', () => {
  it.each<[string, string[], string[] | undefined, boolean]>([
    ['StringEquals', ['a', 'b'], ['b'], true],
    ['StringEquals', ['A'], ['a'], false],
    ['StringEquals', ['a'], undefined, false],
    ['StringEqualsIfExists', ['a'], undefined, true],
    ['StringEqualsIfExists', ['a'], ['b'], false],
    ['StringEqualsIgnoreCase', ['A'], ['a'], true],
    ['StringNotEquals', ['a', 'b'], ['b'], false],
    ['StringNotEquals', ['a', 'b'], ['c'], true],
    ['StringNotEquals', ['a'], undefined, true],
    ['StringNotEqualsIgnoreCase', ['A'], ['a'], false],
    ['StringNotEqualsIgnoreCase', ['A'], undefined, true],
    ['StringLike', ['a*'], ['abc'], true],
    ['StringLike', ['a?'], ['abc'], false],
    ['StringLike', ['a.c'], ['abc'], false],
    ['StringNotLike', ['a*'], ['abc'], false],
    ['ArnLike', ['arn:*:key/*'], ['arn:aws:key/1'], true],
    ['ArnNotEquals', ['arn:1'], ['arn:1'], false],
    ['Bool', ['TRUE'], ['true'], true],
    ['Bool', ['true'], undefined, false],
    ['Null', ['true'], undefined, true],
    ['Null', ['true'], ['a'], false],
    ['Null', ['false'], ['a'], true],
    ['Null', ['false'], undefined, false],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a'], true],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
    ['ForAllValues:StringEquals', ['a'], undefined, true],
    ['ForAnyValue:StringEquals', ['a'], ['a', 'c'], true],
    ['ForAnyValue:StringEquals', ['a'], ['c'], false],
    ['ForAnyValue:StringEquals', ['a'], undefined, false],
  ])('%s %j of %j: %s', (name, values, actual, expected) => {
    const operator = parseOperator(name);
    expect(operator).not.toBeNull();
    expect(operator === null ? null : holds(operator, values, actual)).toBe(expected);
  });

  it.each([
    'StringEqual',
    'stringequals',
    'NullIfExists',
    'ForSomeValues:StringEquals',
    'IpAddress',
    '',
  ])('%j is not evaluated', (name) => {
    expect(parseOperator(name)).toBeNull();
  });
});

describe('a policy that AWS would refuse', () => {
  const good = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
  it.each<[string, object | string]>([
    ['is no JSON', '{'],
    ['has no statement', {}],
    ['has a misspelt element', { Statement: { ...good, Conditions: {} } }],
    ['has another effect', { Statement: { ...good, Effect: 'allow' } }],
    ['has no principal', { Statement: { ...good, Principal: undefined } }],
    ['has principal and its opposite', { Statement: { ...good, NotPrincipal: '*' } }],
    ['has neither action', { Statement: { ...good, Action: undefined } }],
    ['has both actions', { Statement: { ...good, NotAction: 'kms:*' } }],
    ['has no resource', { Statement: { ...good, Resource: undefined } }],
    ['is of another version', { Version: '2013', Statement: good }],
    ['is too long', { Id: 'a'.repeat(32_768), Statement: good }],
  ])('%s', (_, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    expect(() => parsePolicy(text, 'key')).toThrow(
      expect.objectContaining({ type: 'MalformedPolicyDocumentException' }),
    );
    expect(parsePolicy(JSON.stringify({ Statement: good }), 'key')).toHaveLength(1);
  });
});
