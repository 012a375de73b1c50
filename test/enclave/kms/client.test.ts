// Everything that can be wrong between the enclave and KMS: answers, the way, the policy, the credentials.

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { FaultName } from '../../../simulator/kms/faults.ts';
import { FAULT_NAMES, FAULTS } from '../../../simulator/kms/faults.ts';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import { SimulatedNsm } from '../../../simulator/nsm/device.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { Configuration } from '../../../wire/configuration.ts';
import { encodeCredentials } from '../../../wire/kms-messages.ts';
import { FRAME } from '../../../wire/messages.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import {
  IMAGE,
  KEY_ARN,
  openPolicy,
  OWNER,
  pcr,
  PRINCIPALS,
  simulatedKms,
  simulatedRoot,
} from '../../helpers/kms.ts';
import {
  asked,
  bootWith,
  closeHost,
  outcomeOf,
  CREDENTIALS,
  KMS_HOST,
  seal,
  sealedConfiguration,
  sealOf,
} from '../../helpers/sealing.ts';

const ITEM = { position: 0, purpose: 'parameters', name: 'example' } as const;

describe('a KMS that answers wrongly', () => {
  const INVALID = 'kms_answer_invalid';
  const GONE = 'kms_unreachable';
  const outcomes: Readonly<Record<FaultName, string>> = {
    plaintext_beside: INVALID,
    plaintext_instead: INVALID,
    no_ciphertext_for_recipient: INVALID,
    empty_ciphertext_for_recipient: INVALID,
    other_key_id: INVALID,
    bare_key_id: INVALID,
    no_key_id: INVALID,
    other_algorithm: INVALID,
    no_algorithm: INVALID,
    swapped_envelope: 'ready',
    // Well-formed, but another key: the content does not open.
    forged_envelope: 'seal_malformed',
    forged_short_key: INVALID,
    forged_long_key: INVALID,
    envelope_for_another_key: INVALID,
    envelope_with_a_flipped_bit: INVALID,
    envelope_with_trailing_bytes: INVALID,
    envelope_cut: INVALID,
    not_json: INVALID,
    empty_body: INVALID,
    truncated_body: GONE,
    cut: GONE,
    huge_body: INVALID,
    huge_header: INVALID,
    redirect: INVALID,
    never: GONE,
    throttled: GONE,
    internal: GONE,
    expired_token: 'credentials_expired',
  };
  const quick = FAULT_NAMES.filter((name) => name !== 'never');

  it.each(quick)('with %s, always', async (name) => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    kms.setFault(() => FAULTS[name]);
    const host = await bootWith(kms, configuration, { sealed });
    const outcome = await outcomeOf(host);
    expect(outcome).toBe(outcomes[name]);
    if (outcome === 'ready') await closeHost(host);
    const [failed] = host.failures;
    expect(failed?.name).toBe(outcome === 'ready' ? undefined : 'example');
  });

  it.each(['throttled', 'internal', 'cut', 'truncated_body'] as const)(
    'with %s, once',
    async (name) => {
      const kms = await simulatedKms();
      const configuration = sealedConfiguration();
      const sealed = [await seal(kms, configuration)];
      let calls = 0;
      kms.setFault(() => (calls++ === 0 ? FAULTS[name] : null));
      const host = await bootWith(kms, configuration, { sealed });
      await host.ready();
      expect(calls).toBe(2);
      await closeHost(host);
    },
  );

  it('with the key of another item: the content does not open', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration({
      sealed: [sealOf('parameters'), sealOf('exchange_account')],
    });
    const sealed = [
      await seal(kms, configuration),
      await seal(kms, configuration, {
        purpose: 'exchange_account',
        item: (item) => ({ ...item, content: new Uint8Array(randomBytes(item.content.length)) }),
      }),
    ];
    kms.setFault(() => FAULTS.swapped_envelope);
    const host = await bootWith(kms, configuration, { sealed });
    expect(await host.failure()).toEqual({
      code: 'seal_malformed',
      position: 1,
      purpose: 'exchange_account',
      name: 'example',
    });
  });
});

describe('a way to KMS that is not there', () => {
  it.each<[string, string, (kms: RunningKms) => Parameters<typeof bootWith>[2]]>([
    ['no host that dials', 'kms_unreachable', () => ({ onEgress: (stream) => stream.destroy() })],
    ['a host that is not measured', 'host_not_measured', () => ({ manifest: { hosts: [] } })],
    [
      'a name that the certificate does not have',
      'tls_untrusted',
      () => ({ manifest: { hosts: [{ host: KMS_HOST, port: 443, tls_name: 'other.example' }] } }),
    ],
    ['other roots than the measured ones', 'roots_mismatch', () => ({ roots: utf8('x') })],
  ])('%s: `%s`', async (_, code, options) => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    const host = await bootWith(kms, configuration, { sealed, ...options(kms) });
    expect(await host.failed()).toBe(code);
    expect(asked(kms)).toEqual([]);
  });

  it('a clock that is wrong: no certificate is judged by it, and KMS is not asked', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    const root = await simulatedRoot();
    const nsmDevice = new SimulatedNsm({
      root,
      measurements: IMAGE,
      now: () => Date.now() - 3_600_000,
    });
    const host = await bootWith(kms, configuration, { sealed, nsmDevice });
    expect(await host.failed()).toBe('clock_divergence');
    expect(asked(kms)).toEqual([]);
  });

  it('a policy for another image: `kms_denied`, and which item it was', async () => {
    const condition = { 'kms:RecipientAttestation:ImageSha384': toHex(pcr(0xee)) };
    const policy = JSON.parse(openPolicy(...PRINCIPALS)) as { Statement: object[] };
    const [allow] = policy.Statement;
    const decrypt = {
      ...allow,
      Action: 'kms:Decrypt',
      Condition: { StringEqualsIgnoreCase: condition },
    };
    const encrypt = { ...allow, Action: ['kms:Encrypt', 'kms:PutKeyPolicy'] };
    const kms = await simulatedKms({
      keys: [
        { arn: KEY_ARN, policy: JSON.stringify({ ...policy, Statement: [encrypt, decrypt] }) },
      ],
    });
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    const host = await bootWith(kms, configuration, { sealed });
    expect(await host.failure()).toEqual({ code: 'kms_denied', ...ITEM });
    expect(kms.events.at(-1)).toMatchObject({ errorCode: 'AccessDeniedException' });
  });
});

async function scene(): Promise<[RunningKms, Configuration, Uint8Array[]]> {
  const kms = await simulatedKms();
  const configuration = sealedConfiguration();
  return [kms, configuration, [await seal(kms, configuration)]];
}

describe('AWS credentials', () => {
  it('that do not come, or have expired: `credentials_missing`, `credentials_expired`', async () => {
    const [kms, configuration, sealed] = await scene();
    const missing = await bootWith(kms, configuration, { sealed, withoutCredentials: true });
    expect(await missing.failure()).toEqual({ code: 'credentials_missing', ...ITEM });
    const credentials = { ...CREDENTIALS, expiresMs: Date.now() + 5000 };
    const expired = await bootWith(kms, configuration, { sealed, credentials });
    expect(await expired.failed()).toBe('credentials_expired');
    expect(asked(kms)).toEqual([]);
  });

  it('that come late are waited for', async () => {
    const [kms, configuration, sealed] = await scene();
    const timeouts = { credentialsMs: 20_000 };
    const host = await bootWith(kms, configuration, { sealed, withoutCredentials: true, timeouts });
    host.sendBoot(FRAME.credentials, encodeCredentials(CREDENTIALS));
    expect(await outcomeOf(host)).toBe('ready');
    await closeHost(host);
  });

  it('that AWS takes for expired are asked for again, once', async () => {
    const [kms, configuration, sealed] = await scene();
    for (const [times, outcome] of [
      [1, 'ready'],
      [2, 'credentials_expired'],
    ] as const) {
      let calls = 0;
      const booting = Promise.withResolvers<TestHost>();
      const renew = (): void => {
        void booting.promise.then((host) => {
          host.sendBoot(FRAME.credentials, encodeCredentials(CREDENTIALS));
        });
      };
      kms.setFault(() => {
        if (calls >= times) return null;
        calls++;
        renew();
        return FAULTS.expired_token;
      });
      const timeouts = { credentialsMs: 20_000 };
      const host = await bootWith(kms, configuration, { sealed, timeouts });
      booting.resolve(host);
      const came = await outcomeOf(host);
      expect(came).toBe(outcome);
      if (came === 'ready') await closeHost(host);
      expect(calls).toBe(times);
    }
  });

  it('without a session token are taken, and a wrong secret is not', async () => {
    const [kms, configuration, sealed] = await scene();
    const { accessKeyId, secretAccessKey } = OWNER;
    const lasting = { ...CREDENTIALS, accessKeyId, secretAccessKey, sessionToken: null };
    const host = await bootWith(kms, configuration, { sealed, credentials: lasting });
    await host.ready();
    await closeHost(host);
    const credentials = { ...CREDENTIALS, secretAccessKey: 'wrong' };
    const wrong = await bootWith(kms, configuration, { sealed, credentials });
    expect(await wrong.failed()).toBe('kms_denied');
  });
});
