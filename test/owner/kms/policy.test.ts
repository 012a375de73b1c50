// Generated key policies against the simulated KMS: the right image gets in, and each single thing that is wrong
// keeps it out.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { run as policyCommand } from '../../../owner/commands/kms-policy.ts';
import { lintPolicy } from '../../../owner/kms/lint.ts';
import { parseKeyPolicy } from '../../../owner/kms/policy-document.ts';
import type { PolicyStatement } from '../../../owner/kms/policy.ts';
import { makeKeyPolicy } from '../../../owner/kms/policy.ts';
import type { Principal } from '../../../simulator/kms/signature.ts';
import { toHex } from '../../../wire/bytes.ts';
import {
  ADMIN,
  clientOf,
  HOST,
  HOST_ROLE,
  IMAGE,
  KEY_ARN,
  OWNER,
  OWNER_ACCOUNT,
  pcr,
  PRINCIPALS,
  recipientOf,
} from '../../helpers/kms.ts';
import type { Attempt, Scene } from '../../helpers/kms-scene.ts';
import {
  contextOf,
  DATA_KEY,
  DENIED,
  measured,
  NEXT,
  OPTIONS,
  outcome,
  policyOf,
  scene,
  STRATEGY,
} from '../../helpers/kms-scene.ts';
import { call, temporaryFolder, writeMeasurements } from '../../helpers/owner.ts';

const ROLE_PCR3 = 'c3'.repeat(48);

function put({ kms }: Scene, principal: Principal): Attempt {
  const command = new PutKeyPolicyCommand({ KeyId: KEY_ARN, Policy: policyOf() });
  return outcome(clientOf(kms, principal).send(command));
}

describe('a generated policy', () => {
  it('lets the right image open what is sealed for it, and make and read data keys', async () => {
    const there = await scene(policyOf());
    expect(await there.decrypt(STRATEGY, await recipientOf())).toBeNull();
    expect(await there.decrypt(DATA_KEY, await recipientOf())).toBeNull();
    expect(await there.generate(DATA_KEY, await recipientOf())).toBeNull();
  });

  it.each([0, 1, 2] as const)('keeps out an enclave with another PCR%d', async (index) => {
    const name = `pcr${index}` as const;
    const measurements = { ...IMAGE, [name]: pcr(0xee) };
    const there = await scene(policyOf());
    expect(await there.decrypt(STRATEGY, await recipientOf({ measurements }))).toBe(DENIED);
    expect(await there.generate(DATA_KEY, await recipientOf({ measurements }))).toBe(DENIED);
  });

  it('keeps out an enclave in debug mode, and whoever is no enclave', async () => {
    const there = await scene(policyOf());
    const debugMode = await recipientOf({ debugMode: true });
    expect(await there.decrypt(STRATEGY, debugMode)).toBe(DENIED);
    for (const principal of PRINCIPALS) {
      expect(await there.decrypt(STRATEGY, undefined, principal), principal.arn).toBe(DENIED);
      expect(await there.generate(DATA_KEY, undefined, principal), principal.arn).toBe(DENIED);
    }
  });

  it('keeps out the right image with the credentials of somebody else', async () => {
    const there = await scene(policyOf());
    for (const principal of [OWNER, ADMIN]) {
      expect(await there.decrypt(STRATEGY, await recipientOf(), principal)).toBe(DENIED);
    }
  });

  it.each([
    ['of another image', contextOf('strategy/one', NEXT.pcr0)],
    ['of an unknown purpose', contextOf('anything')],
    [
      'without a version',
      { 'trackseal:purpose': 'strategy/one', 'trackseal:image': toHex(IMAGE.pcr0) },
    ],
    ['without an image', { 'trackseal:purpose': 'strategy/one', 'trackseal:version': '1' }],
    ['with one key more', { ...STRATEGY, extra: 'yes' }],
    ['of none', {}],
  ])('keeps the right image from a context %s', async (_, context) => {
    const there = await scene(policyOf());
    expect(await there.decrypt(context, await recipientOf())).toBe(DENIED);
  });

  it('a ciphertext under another context stays closed, though the policy allows both', async () => {
    const there = await scene(policyOf());
    const other = contextOf('strategy/two');
    expect(await there.decrypt(other, await recipientOf(), HOST, STRATEGY)).toBe(
      'InvalidCiphertextException',
    );
  });

  it('does not make data keys for other purposes or images', async () => {
    const there = await scene(policyOf());
    expect(await there.generate(STRATEGY, await recipientOf())).toBe(DENIED);
    const foreign = contextOf('data-key/book', NEXT.pcr0);
    expect(await there.generate(foreign, await recipientOf())).toBe(DENIED);
  });

  it('lets the owner seal for the image and nothing else, and the host not at all', async () => {
    const there = await scene(policyOf());
    expect(await there.encrypt(STRATEGY, OWNER)).toBeNull();
    expect(await there.encrypt(DATA_KEY, OWNER)).toBe(DENIED);
    expect(await there.encrypt(contextOf('strategy/one', NEXT.pcr0), OWNER)).toBe(DENIED);
    expect(await there.encrypt({}, OWNER)).toBe(DENIED);
    expect(await there.encrypt(STRATEGY, HOST)).toBe(DENIED);
    expect(await there.encrypt(STRATEGY, ADMIN)).toBe(DENIED);
  });

  it('with the role in PCR3: keeps out the same image beside another role', async () => {
    const roleArn = HOST_ROLE;
    const recipient = await recipientOf({ roleArn });
    const others = new Map([[3, ROLE_PCR3]]);
    const wrong = await scene(policyOf({ images: [measured(IMAGE, others)] }));
    expect(await wrong.decrypt(STRATEGY, recipient)).toBe(DENIED);
    const folder = temporaryFolder();
    const out = join(folder, 'policy.json');
    const image = writeMeasurements(join(folder, 'measurements.json'));
    const who = ['--enclave-role', roleArn, '--owner', OWNER.arn, '--admin', ADMIN.arn];
    const args = ['--measurements', image, ...who, '--pin-role', '-o', out];
    expect((await call(policyCommand, args)).code).toBe(0);
    const there = await scene(readFileSync(out, 'utf8'));
    expect(await there.decrypt(STRATEGY, recipient)).toBeNull();
    expect(await there.decrypt(STRATEGY, await recipientOf())).toBe(DENIED);
    const other = await recipientOf({ roleArn: `${roleArn}-2` });
    expect(await there.decrypt(STRATEGY, other)).toBe(DENIED);
  });

  describe('for an upgrade', () => {
    const images = [measured(IMAGE), measured(NEXT)];

    it('lets both images in, each with its own items, and the newer one read data keys of the older', async () => {
      const there = await scene(policyOf({ images }));
      const older = await recipientOf();
      const newer = await recipientOf({ measurements: NEXT });
      const forNext = contextOf('strategy/one', NEXT.pcr0);
      expect(await there.decrypt(STRATEGY, older)).toBeNull();
      expect(await there.decrypt(forNext, newer)).toBeNull();
      expect(await there.decrypt(DATA_KEY, newer)).toBeNull();
      expect(await there.decrypt(STRATEGY, newer)).toBe(DENIED);
      expect(await there.decrypt(forNext, older)).toBe(DENIED);
      expect(await there.decrypt(contextOf('data-key/book', NEXT.pcr0), older)).toBe(DENIED);
    });

    it('keeps out a mixture of both images', async () => {
      const there = await scene(policyOf({ images }));
      const mixture = await recipientOf({ measurements: { ...IMAGE, pcr2: NEXT.pcr2 } });
      expect(await there.decrypt(STRATEGY, mixture)).toBe(DENIED);
    });

    it('is over when the older one is gone: its data keys are read, it is not let in', async () => {
      const policy = policyOf({ images: [measured(NEXT)], earlierImages: [toHex(IMAGE.pcr0)] });
      const there = await scene(policy);
      const newer = await recipientOf({ measurements: NEXT });
      expect(await there.decrypt(DATA_KEY, newer)).toBeNull();
      expect(await there.decrypt(STRATEGY, await recipientOf())).toBe(DENIED);
      expect(await there.decrypt(DATA_KEY, await recipientOf())).toBe(DENIED);
    });
  });

  it.each([
    ['by default', {}],
    ['for an upgrade', { images: [measured(IMAGE), measured(NEXT)] }],
    ['locked down', { lockdown: true }],
  ])('%s: lint has nothing against it', (_, changes) => {
    const findings = lintPolicy(parseKeyPolicy(policyOf(changes)));
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
  });

  it('with a root bypass: IAM still cannot open anything, but replace the policy, and lint says so', async () => {
    const policy = policyOf({ rootBypass: OWNER_ACCOUNT });
    const there = await scene(policy);
    expect(await there.decrypt(STRATEGY, undefined, ADMIN)).toBe(DENIED);
    const open = JSON.stringify({
      Statement: { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' },
    });
    const opened = new PutKeyPolicyCommand({ KeyId: KEY_ARN, Policy: open });
    expect(await outcome(clientOf(there.kms, OWNER).send(opened))).toBeNull();
    const codes = lintPolicy(parseKeyPolicy(policy)).map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['root_delegation', 'put_key_policy_open']));
    // Denied to all, so that not even kms:* has them.
    expect(codes).not.toContain('grant_hole');
    expect(codes).not.toContain('reencrypt_hole');
  });

  it('without one, only the admin can replace the policy; locked down, nobody', async () => {
    const there = await scene(policyOf());
    expect([await put(there, OWNER), await put(there, HOST)]).toEqual([DENIED, DENIED]);
    expect(await put(there, ADMIN)).toBeNull();
    const locked = await scene(policyOf({ lockdown: true }));
    expect(await put(locked, ADMIN)).toBe(DENIED);
  });

  const nets: readonly [string, (statement: PolicyStatement) => PolicyStatement | readonly []][] = [
    ['the Allows', (one) => (one.Effect === 'Deny' ? [] : one)],
    [
      'the Denies',
      ({ Condition, ...one }) =>
        one.Effect === 'Allow' || Condition === undefined ? one : { ...one, Condition },
    ],
  ];
  it.each(nets)('has two nets: %s alone keep out what is wrong', async (_, change) => {
    const policy = makeKeyPolicy(OPTIONS);
    const half = JSON.stringify({ ...policy, Statement: policy.Statement.flatMap(change) });
    const there = await scene(half);
    expect(await there.decrypt(STRATEGY, await recipientOf())).toBeNull();
    expect(await there.decrypt(STRATEGY, undefined)).toBe(DENIED);
    expect(await there.generate(DATA_KEY, undefined)).toBe(DENIED);
    for (const name of ['pcr0', 'pcr1', 'pcr2'] as const) {
      const wrong = await recipientOf({ measurements: { ...IMAGE, [name]: pcr(0xee) } });
      expect(await there.decrypt(STRATEGY, wrong), name).toBe(DENIED);
      expect(await there.generate(DATA_KEY, wrong), name).toBe(DENIED);
    }
    for (const missing of Object.keys(STRATEGY)) {
      const context = Object.fromEntries(
        Object.entries(STRATEGY).filter(([key]) => key !== missing),
      );
      expect(await there.decrypt(context, await recipientOf()), missing).toBe(DENIED);
      expect(await there.encrypt(context, OWNER), missing).toBe(DENIED);
    }
  });
});
