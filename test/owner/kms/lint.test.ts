// A generated policy with one part loosened: lint names the hole, and the simulated KMS shows that it is one. Then
// the commands.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run as lintCommand } from '../../../owner/commands/kms-lint.ts';
import { run as policyCommand } from '../../../owner/commands/kms-policy.ts';
import { lintPolicy } from '../../../owner/kms/lint.ts';
import { parseKeyPolicy } from '../../../owner/kms/policy-document.ts';
import type { PolicyStatement } from '../../../owner/kms/policy.ts';
import { makeKeyPolicy } from '../../../owner/kms/policy.ts';
import type { SimulatedNsmOptions } from '../../../simulator/nsm/device.ts';
import { ADMIN, HOST, HOST_ROLE, IMAGE, OWNER, pcr, recipientOf } from '../../helpers/kms.ts';
import { measured, OPTIONS, policyOf, scene, STRATEGY } from '../../helpers/kms-scene.ts';
import { call, temporaryFolder, writeMeasurements } from '../../helpers/owner.ts';

interface Loosening {
  readonly attack: string;
  readonly code: string;
  readonly change: (statement: PolicyStatement) => PolicyStatement | readonly PolicyStatement[];
  /** Left out where lint alone can tell. */
  readonly recipient?: Partial<SimulatedNsmOptions> | null;
}

const ATTESTED = /^Image1/u;
const DENIALS = /^DenyWithoutPCR/u;

/** Without the denials of registers, and the image's statements changed. */
function allowed(
  change: (condition: NonNullable<PolicyStatement['Condition']>) => PolicyStatement['Condition'],
): Loosening['change'] {
  return (statement) => {
    if (DENIALS.test(statement.Sid)) return [];
    if (!ATTESTED.test(statement.Sid)) return statement;
    const { Condition = {}, ...rest } = statement;
    return { ...rest, Condition: change(Condition) ?? {} };
  };
}

function withoutRegisters(...indexes: readonly number[]): Loosening['change'] {
  return (statement) => {
    if (indexes.some((index) => statement.Sid === `DenyWithoutPCR${index}`)) return [];
    const { Condition = {}, ...rest } = statement;
    if (!ATTESTED.test(statement.Sid)) return statement;
    const registers = Object.entries(Condition['StringEqualsIgnoreCase'] ?? {}).filter(
      ([key]) => !indexes.some((index) => key.endsWith(`PCR${index}`)),
    );
    const { StringEqualsIgnoreCase: _, ...others } = Condition;
    const left =
      registers.length === 0 ? {} : { StringEqualsIgnoreCase: Object.fromEntries(registers) };
    return { ...rest, Condition: { ...others, ...left } };
  };
}

const LOOSENED: readonly Loosening[] = [
  {
    attack: 'a caller that is no enclave',
    code: 'allow_without_attestation',
    change: withoutRegisters(0, 1, 2),
    recipient: null,
  },
  {
    attack: 'bytes moved between measured parts, with PCR0 alone in the policy',
    code: 'pcr0_alone',
    change: withoutRegisters(1, 2),
    recipient: { measurements: { ...IMAGE, pcr1: pcr(0xee), pcr2: pcr(0xef) } },
  },
  {
    attack: 'IfExists lets a request without a document pass',
    code: 'attestation_optional',
    change: allowed(({ StringEqualsIgnoreCase, ...rest }) => ({
      ...rest,
      StringEqualsIgnoreCaseIfExists: StringEqualsIgnoreCase ?? {},
    })),
    recipient: null,
  },
  {
    attack: 'ForAllValues lets a request without a document pass',
    code: 'attestation_optional',
    change: allowed(({ StringEqualsIgnoreCase, ...rest }) => ({
      ...rest,
      'ForAllValues:StringEqualsIgnoreCase': StringEqualsIgnoreCase ?? {},
    })),
    recipient: null,
  },
  {
    attack: 'a debug enclave, with zeros in the policy',
    code: 'zero_pcr',
    change: allowed(({ StringEqualsIgnoreCase, ...rest }) => ({
      ...rest,
      StringEqualsIgnoreCase: Object.fromEntries(
        Object.keys(StringEqualsIgnoreCase ?? {}).map((key) => [key, '0'.repeat(96)]),
      ),
    })),
    recipient: { debugMode: true },
  },
  {
    attack: 'one wrong register, with all registers in one Deny',
    code: 'deny_joined',
    change: (statement) => {
      if (statement.Sid === 'DenyWithoutPCR0') {
        const keys = [0, 1, 2].map((index) => [
          `kms:RecipientAttestation:PCR${index}`,
          measured(IMAGE)[`pcr${index}` as 'pcr0'],
        ]);
        return { ...statement, Condition: { StringNotEqualsIgnoreCase: Object.fromEntries(keys) } };
      }
      return withoutRegisters(1, 2)(statement);
    },
    recipient: { measurements: { ...IMAGE, pcr2: pcr(0xee) } },
  },
  {
    attack: 'an account as a principal, so that IAM decides',
    code: 'root_delegation',
    change: (statement) =>
      ATTESTED.test(statement.Sid)
        ? { ...statement, Principal: { AWS: `arn:aws:iam::${HOST.arn.split(':')[4] ?? ''}:root` } }
        : statement,
    recipient: {},
  },
  {
    attack: 'everybody as a principal',
    code: 'wildcard_principal',
    change: (statement) =>
      ATTESTED.test(statement.Sid) ? { ...statement, Principal: '*' } : statement,
    recipient: {},
  },
  {
    attack: 'the host may replace the policy',
    code: 'put_key_policy_open',
    change: (statement) =>
      statement.Sid === 'AdministerWithoutUse'
        ? { ...statement, Principal: { AWS: [HOST_ROLE] } }
        : statement,
  },
  {
    attack: 'a grant',
    code: 'grant_hole',
    change: (statement) => {
      if (statement.Sid === 'DenyWaysAroundAttestation') return [];
      return statement.Sid === 'AdministerWithoutUse'
        ? { ...statement, Action: ['kms:CreateGrant'] }
        : statement;
    },
  },
  {
    attack: 're-encryption under a key of somebody else',
    code: 'reencrypt_hole',
    change: (statement) => {
      if (statement.Sid === 'DenyWaysAroundAttestation') return [];
      return statement.Sid === 'AdministerWithoutUse'
        ? { ...statement, Action: ['kms:ReEncrypt*'] }
        : statement;
    },
  },
  {
    attack: 'a data key that the owner knows',
    code: 'encrypt_makes_data_keys',
    change: (statement) =>
      statement.Sid === 'SealForAnImage'
        ? { ...statement, Condition: { ...statement.Condition, StringLike: {} } }
        : statement,
  },
  {
    attack: 'a sealed item of another image, with no image in the context',
    code: 'encryption_context_partial',
    change: (statement) => {
      const { StringEquals: _, ...rest } = statement.Condition ?? {};
      return ATTESTED.test(statement.Sid) ? { ...statement, Condition: rest } : statement;
    },
  },
  {
    attack: 'NitroTPM registers, which say nothing about an enclave',
    code: 'attestation_unknown',
    change: allowed((condition) => ({
      ...condition,
      StringEquals: { 'kms:RecipientAttestation:NitroTPMPCR4': 'ab'.repeat(48) },
    })),
  },
  {
    attack: 'upper-case hex, compared with case',
    code: 'pcr_case',
    change: allowed(({ StringEqualsIgnoreCase, StringEquals, ...rest }) => ({
      ...rest,
      StringEquals: {
        ...StringEquals,
        ...Object.fromEntries(
          Object.entries(StringEqualsIgnoreCase ?? {}).map(([key, value]) => [
            key,
            String(value).toUpperCase(),
          ]),
        ),
      },
    })),
  },
  {
    attack: 'nothing denied: only allowed',
    code: 'no_explicit_deny',
    change: allowed((condition) => condition),
  },
];

function loosened({ change }: Loosening): string {
  const policy = makeKeyPolicy(OPTIONS);
  return JSON.stringify({ ...policy, Statement: policy.Statement.flatMap(change) });
}

describe('lint finds', () => {
  it.each(LOOSENED)('$attack: $code', (one) => {
    const before = lintPolicy(parseKeyPolicy(policyOf())).map(({ code }) => code);
    const after = lintPolicy(parseKeyPolicy(loosened(one))).map(({ code }) => code);
    expect(before).not.toContain(one.code);
    expect(after).toContain(one.code);
  });

  const holes = LOOSENED.filter(({ recipient }) => recipient !== undefined);
  it.each(holes)('a hole that is one: $attack', async (one) => {
    const { recipient } = one;
    const there = await scene(loosened(one));
    const document =
      recipient === null || recipient === undefined ? undefined : await recipientOf(recipient);
    expect(await there.decrypt(STRATEGY, document)).toBeNull();
  });

  it.each([
    [
      '{"Statement":{"Effect":"Allow","Principal":"*","NotAction":"kms:DeleteAlias","Resource":"*"}}',
      'not_action',
    ],
    [
      '{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"111111111111"},"Action":"kms:Decrypt","Resource":"*"}}',
      'not_principal',
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/a"},"Action":"kms:Decrypt","Resource":"*"}}',
      'no_encryption_context',
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":{"AWS":"a"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEqual":{"kms:EncryptionContext:a":"b"}}}}',
      'operator_unknown',
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":{"AWS":"a"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringLike":{"kms:RecipientAttestation:PCR0":"*"}}}}',
      'pcr_malformed',
    ],
    [
      '{"Statement":{"Effect":"Allow","Principal":{"AWS":"a"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEqualsIfExists":{"kms:EncryptionContext:trackseal:image":"b"}}}}',
      'encryption_context_optional',
    ],
  ])('in %s: %s', (text, code) => {
    expect(lintPolicy(parseKeyPolicy(text)).map((one) => one.code)).toContain(code);
  });

  it('no denial in a Deny that has another condition: whom that is not about, it does not stop', () => {
    const policy = makeKeyPolicy(OPTIONS);
    const Statement = policy.Statement.map((one) => {
      const Condition = { ...one.Condition, Bool: { 'aws:SecureTransport': 'true' } };
      return one.Sid === 'DenyWithoutPCR1' ? Object.assign({}, one, { Condition }) : one;
    });
    const codes = lintPolicy(parseKeyPolicy(JSON.stringify({ ...policy, Statement })));
    expect(new Set(codes.map(({ code }) => code))).toEqual(
      new Set(['deny_joined', 'no_explicit_deny', 'policy_changeable']),
    );
  });

  it.each([
    [
      'the default policy of a key',
      {
        Effect: 'Allow',
        Principal: { AWS: 'arn:aws:iam::111111111111:root' },
        Action: 'kms:*',
        Resource: '*',
      },
      [
        'root_delegation',
        'allow_without_attestation',
        'no_encryption_context',
        'grant_hole',
        'reencrypt_hole',
        'put_key_policy_open',
      ],
    ],
    [
      'a policy with ImageSha384 alone, as many examples have it',
      {
        Sid: 'Enable enclave data processing',
        Effect: 'Allow',
        Principal: { AWS: 'arn:aws:iam::111111111111:role/data-processing' },
        Action: ['kms:Decrypt', 'kms:GenerateDataKey', 'kms:GenerateRandom'],
        Resource: '*',
        Condition: {
          StringEqualsIgnoreCase: { 'kms:RecipientAttestation:ImageSha384': 'ab'.repeat(48) },
        },
      },
      ['pcr0_alone', 'no_encryption_context'],
    ],
  ])('in %s all that is wrong', (_, statement, expected) => {
    const findings = lintPolicy(parseKeyPolicy(JSON.stringify({ Statement: [statement] })));
    const errors = findings.filter(({ severity }) => severity === 'error');
    expect(errors.map(({ code }) => code)).toEqual(expected);
  });

  it.each([32_768, 32_769])('a policy of %d characters', (characters) => {
    const statement = {
      Effect: 'Allow',
      Principal: { AWS: ['a'] },
      Action: 'kms:ListKeys',
      Resource: '*',
    };
    const empty = JSON.stringify({ Statement: [{ ...statement, Sid: '' }] }).length;
    const Sid = 'a'.repeat(characters - empty);
    const text = JSON.stringify({ Statement: [{ ...statement, Sid }] });
    const codes = lintPolicy(parseKeyPolicy(text)).map(({ code }) => code);
    expect(codes.includes('policy_too_large')).toBe(characters > 32_768);
  });
});

describe('the commands', () => {
  it('policy writes what lint passes, from measurements', async () => {
    const folder = temporaryFolder();
    const out = join(folder, 'policy.json');
    const measurements = writeMeasurements(join(folder, 'measurements.json'));
    const who = ['--enclave-role', HOST_ROLE, '--owner', OWNER.arn, '--admin', ADMIN.arn];
    const written = await call(policyCommand, ['--measurements', measurements, ...who, '-o', out]);
    expect([written.code, written.stderr]).toEqual([0, '']);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(makeKeyPolicy(OPTIONS));
    const passed = await call(lintCommand, [out, '--json']);
    expect([passed.code, passed.json['verdict']]).toEqual([0, 'passed']);
    writeFileSync(
      out,
      JSON.stringify({ Policy: readFileSync(out, 'utf8'), PolicyName: 'default' }),
    );
    expect((await call(lintCommand, [out])).code).toBe(0);
  });

  it.each([
    [['--admin', OWNER.arn], 'usage_invalid', 2],
    [['--admin', 'admin'], 'usage_invalid', 2],
    [['--admin', ADMIN.arn, '--pcr3', '0'.repeat(96)], 'usage_invalid', 2],
    [['--admin', ADMIN.arn, '--pcr8', 'ab'], 'usage_invalid', 2],
    [['--admin', ADMIN.arn, '--pin-role', '--pcr3', 'ab'.repeat(48)], 'usage_invalid', 2],
    [['--admin', ADMIN.arn, '--pin-role', '--enclave-role', ADMIN.arn], 'usage_invalid', 2],
    [['--admin', ADMIN.arn, '--root-bypass', 'me'], 'usage_invalid', 2],
  ])('policy refuses %j', async (more, code, exitCode) => {
    const measurements = writeMeasurements(join(temporaryFolder(), 'measurements.json'));
    const who = ['--enclave-role', HOST_ROLE, '--owner', OWNER.arn, '--json'];
    const refused = await call(policyCommand, ['--measurements', measurements, ...who, ...more]);
    expect([refused.code, refused.json['code']]).toEqual([exitCode, code]);
  });

  it('lint: 1 for errors with code, place and advice, 2 for what is no policy', async () => {
    const path = join(temporaryFolder(), 'policy.json');
    writeFileSync(path, loosened(LOOSENED[0] ?? { attack: '', code: '', change: (one) => one }));
    const refused = await call(lintCommand, [path, '--json']);
    expect(refused.code).toBe(1);
    expect(refused.json['findings']).toContainEqual(
      expect.objectContaining({
        code: 'allow_without_attestation',
        severity: 'error',
        statement: 'Image1OpensWhatIsSealedForIt',
        next: expect.stringContaining('kms:RecipientAttestation:PCR0'),
      }),
    );
    writeFileSync(path, '{"Statement": "none"}');
    const undecided = await call(lintCommand, [path, '--json']);
    expect([undecided.code, undecided.json['code']]).toEqual([2, 'policy_malformed']);
    expect((await call(lintCommand, ['/nonexistent', '--json'])).json['code']).toBe(
      'file_unreadable',
    );
  });
});
