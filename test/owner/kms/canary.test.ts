// trackseal kms canary: quiet under a right policy, loud under a wrong one, and honest when it cannot tell.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run as canary } from '../../../owner/commands/kms-canary.ts';
import { run as seal } from '../../../owner/commands/seal.ts';
import { makeKeyPolicy } from '../../../owner/kms/policy.ts';
import { FAULTS } from '../../../simulator/kms/faults.ts';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import { toHex } from '../../../wire/bytes.ts';
import {
  ADMIN,
  HOST,
  HOST_ROLE,
  IMAGE,
  KEY_ARN,
  openPolicy,
  OWNER,
  simulatedKms,
} from '../../helpers/kms.ts';
import type { Ran } from '../../helpers/owner.ts';
import { actAs, call, endpointOf, ownersDesk, temporaryFolder } from '../../helpers/owner.ts';

const { pcr0, pcr1, pcr2 } = IMAGE;
const POLICY = JSON.stringify(
  makeKeyPolicy({
    images: [{ pcr0: toHex(pcr0), pcr1: toHex(pcr1), pcr2: toHex(pcr2), others: new Map() }],
    enclaveRoles: [HOST_ROLE],
    owners: [OWNER.arn],
    admins: [ADMIN.arn],
    earlierImages: [],
    lockdown: false,
    rootBypass: null,
  }),
);

async function sealed(kms: RunningKms): Promise<string> {
  const desk = ownersDesk();
  actAs(OWNER);
  const out = join(desk.folder, 'sealed');
  const args = [...desk.options, '--plan', desk.plan, '-o', out, ...endpointOf(kms)];
  expect((await call(seal, args)).code).toBe(0);
  return join(out, 'strategy-example.sealed');
}

async function sing(kms: RunningKms, file: string, principal = HOST): Promise<Ran> {
  actAs(principal);
  return call(canary, ['--sealed', file, ...endpointOf(kms), '--json']);
}

describe('trackseal kms canary', () => {
  it('under a right policy: denied, exit code 0', async () => {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: POLICY }] });
    const file = await sealed(kms);
    const { code, json } = await sing(kms, file);
    expect([code, json['verdict']]).toEqual([0, 'denied']);
    expect(json['attempts']).toEqual([
      { file, operation: 'Decrypt', outcome: 'denied', error: null },
      { file, operation: 'GenerateDataKey', outcome: 'denied', error: null },
    ]);
    expect(kms.events.slice(-2).map((event) => [event.eventName, event.errorCode])).toEqual([
      ['Decrypt', 'AccessDeniedException'],
      ['GenerateDataKey', 'AccessDeniedException'],
    ]);
  });

  it('under a policy that forgets attestation: ALARM, exit code 1, and no plaintext shown', async () => {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: openPolicy(OWNER, HOST) }] });
    const { code, json, stdout, stderr } = await sing(kms, await sealed(kms));
    expect([code, json['verdict']]).toEqual([1, 'alarm']);
    expect(stderr).toContain('ALARM');
    expect(stdout).not.toMatch(/plaintext"?:/iu);
  });

  it('under a policy that forgets it for one operation only: ALARM as well', async () => {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: POLICY }] });
    const file = await sealed(kms);
    const hole = {
      Effect: 'Allow',
      Principal: { AWS: HOST_ROLE },
      Action: 'kms:GenerateDataKey',
      Resource: '*',
    };
    await kms.putKey({ arn: KEY_ARN, policy: JSON.stringify({ Statement: [hole] }) });
    const { code, json } = await sing(kms, file);
    expect([code, json['verdict']]).toEqual([1, 'alarm']);
  });

  it.each(['throttled', 'internal', 'expired_token', 'cut'] as const)(
    'an answer %s tells nothing: exit code 2',
    async (fault) => {
      const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: POLICY }] });
      const file = await sealed(kms);
      kms.setFault(() => FAULTS[fault]);
      const { code, json } = await sing(kms, file);
      expect([code, json['verdict']]).toEqual([2, 'undecided']);
    },
  );

  it('a key that is gone tells nothing either', async () => {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: openPolicy(OWNER, HOST) }] });
    const file = await sealed(kms);
    await kms.putKey({ arn: KEY_ARN, policy: openPolicy(OWNER, HOST), state: 'PendingDeletion' });
    const { code, json } = await sing(kms, file);
    expect([code, json['verdict']]).toEqual([2, 'undecided']);
  });

  it('without a sealed item it cannot start', async () => {
    const missing = await call(canary, ['--sealed', join(temporaryFolder(), 'none'), '--json']);
    expect([missing.code, missing.json['code']]).toEqual([2, 'file_unreadable']);
    expect((await call(canary, ['--json'])).json['code']).toBe('usage_invalid');
  });
});
