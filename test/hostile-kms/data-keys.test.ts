// Answers to GenerateDataKey that are wrong, each named after what an attacker would want with it: a data key that
// they know, or none at all. The enclave core is real; TLS ends at whoever lies, which needs AWS's own TLS key.

import { describe, expect, it } from 'vitest';
import type { FaultName } from '../../simulator/kms/faults.ts';
import { FAULTS } from '../../simulator/kms/faults.ts';
import type { RunningKms } from '../../simulator/kms/server.ts';
import { previousOf, testItems } from '../helpers/enclave-host.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { KEY_ARN, simulatedKms } from '../helpers/kms.ts';
import { bootWith, closeHost, outcomeOf, sealedConfiguration } from '../helpers/sealing.ts';
import { generatedPolicy } from './stage.ts';

const CONFIGURATION = sealedConfiguration({
  sealed: undefined,
  data_keys: [{ name: 'book', key_arn: KEY_ARN }],
});

async function kmsWithPolicy(): Promise<RunningKms> {
  return simulatedKms({ keys: [{ arn: KEY_ARN, policy: await generatedPolicy() }] });
}

async function boot(
  kms: RunningKms,
  records: readonly Uint8Array[] = [],
  before: TestHost | null = null,
): Promise<TestHost> {
  return bootWith(kms, CONFIGURATION, {
    items: testItems(),
    dataKeys: { records, rotate: [] },
    previous: before === null ? null : previousOf(before),
  });
}

const INVALID = 'kms_answer_invalid';
const GONE = 'kms_unreachable';
const ATTACKS: readonly (readonly [FaultName, string])[] = [
  ['plaintext_beside', INVALID],
  ['plaintext_instead', INVALID],
  ['no_ciphertext_for_recipient', INVALID],
  ['empty_ciphertext_for_recipient', INVALID],
  ['other_key_id', INVALID],
  ['bare_key_id', INVALID],
  ['no_key_id', INVALID],
  ['forged_short_key', INVALID],
  ['forged_long_key', INVALID],
  ['envelope_for_another_key', INVALID],
  ['envelope_with_a_flipped_bit', INVALID],
  ['envelope_with_trailing_bytes', INVALID],
  ['envelope_cut', INVALID],
  ['not_json', INVALID],
  ['empty_body', INVALID],
  ['huge_body', INVALID],
  ['redirect', INVALID],
  ['cut', GONE],
  ['throttled', GONE],
];

describe('a new data key, when KMS answers with', () => {
  it.each(ATTACKS)('%s: %s, and nothing is kept', async (fault, expected) => {
    const kms = await kmsWithPolicy();
    kms.setFault(() => FAULTS[fault]);
    const host = await boot(kms);
    expect(await host.failure()).toMatchObject({ code: expected, name: 'book' });
    expect(host.kept).toEqual([]);
    expect(host.commits).toEqual([]);
  });

  it('a key of the answerer in a well-formed envelope: the next boot finds it', async () => {
    const kms = await kmsWithPolicy();
    kms.setFault(() => FAULTS.forged_envelope);
    // It is what KMS answers: only the TLS certificate says that it is KMS.
    const deceived = await boot(kms);
    expect(await outcomeOf(deceived)).toBe('ready');
    await closeHost(deceived);
    expect(deceived.kept).toHaveLength(1);
    kms.setFault(null);
    const next = await boot(kms, deceived.kept, deceived);
    expect(await next.failure()).toMatchObject({ code: 'seal_commitment_mismatch', name: 'book' });
  });

  it('the right one: it is kept, and opens again', async () => {
    const kms = await kmsWithPolicy();
    const first = await boot(kms);
    expect(await outcomeOf(first)).toBe('ready');
    await closeHost(first);
    const second = await boot(kms, first.kept, first);
    expect(await outcomeOf(second)).toBe('ready');
    expect(kms.events.map(({ eventName }) => eventName)).toEqual(['GenerateDataKey', 'Decrypt']);
    await closeHost(second);
  });
});
