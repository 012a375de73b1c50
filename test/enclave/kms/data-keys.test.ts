// Data keys over several epochs, against the simulated KMS.

import { describe, expect, it } from 'vitest';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { Failed } from '../../../wire/messages.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { encodeDataKeyRecord, parseDataKeyRecord } from '../../../wire/sealed.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { previousOf, testItems } from '../../helpers/enclave-host.ts';
import { KEY_ARN, OTHER_KEY_ARN, pcr, simulatedKms } from '../../helpers/kms.ts';
import {
  asked,
  bootWith,
  closeHost,
  headerOf,
  sealedConfiguration,
} from '../../helpers/sealing.ts';

describe('data keys', () => {
  const DATA_KEY = { position: null, purpose: 'data_key', name: 'book' } as const;
  const configuration = sealedConfiguration({
    sealed: undefined,
    data_keys: [{ name: 'book', key_arn: KEY_ARN }],
  });
  const boot = (
    kms: RunningKms,
    records: readonly Uint8Array[],
    rotate: readonly string[] = [],
    before: TestHost | null = null,
  ): Promise<TestHost> =>
    bootWith(kms, configuration, {
      items: testItems(),
      dataKeys: { records, rotate },
      previous: before === null ? null : previousOf(before),
    });

  it('are made by KMS, kept wrapped, opened again and rotated', async () => {
    const kms = await simulatedKms();
    const first = await boot(kms, []);
    await first.ready();
    expect(asked(kms)).toEqual(['GenerateDataKey']);
    const [record = new Uint8Array()] = first.kept;
    expect(first.kept).toHaveLength(1);
    expect(assertAccepted(parseDataKeyRecord(record))).toMatchObject({
      name: 'book',
      version: 1,
      image: pcr(0xa0),
    });
    expect(kms.events.at(-1)?.requestParameters.encryptionContext).toEqual({
      'trackseal:purpose': 'data-key/book',
      'trackseal:image': toHex(pcr(0xa0)),
      'trackseal:version': '1',
    });
    const [made] = headerOf(first).dataKeys;
    await closeHost(first);

    const second = await boot(kms, [record], [], first);
    await second.ready();
    expect(asked(kms)).toEqual(['GenerateDataKey', 'Decrypt']);
    expect([second.kept, headerOf(second).dataKeys]).toEqual([[], [made]]);
    await closeHost(second);

    const third = await boot(kms, [record], ['book'], second);
    await third.ready();
    const [newer = new Uint8Array()] = third.kept;
    expect(headerOf(third).dataKeys.map(({ version }) => version)).toEqual([1, 2]);
    expect(headerOf(third).dataKeys[0]).toEqual(made);
    await closeHost(third);

    const stale = await boot(kms, [record], [], third);
    expect(await stale.failure()).toEqual({ code: 'seal_rolled_back', ...DATA_KEY });
    const both = await boot(kms, [newer, record], [], third);
    await both.ready();
    expect(headerOf(both).dataKeys).toEqual(headerOf(third).dataKeys);
    await closeHost(both);
  });

  it('that somebody made with Encrypt in place of a known version: `seal_commitment_mismatch`', async () => {
    const kms = await simulatedKms();
    const first = await boot(kms, []);
    await first.ready();
    await closeHost(first);
    const other = await boot(kms, []);
    await other.ready();
    await closeHost(other);
    const swapped = await boot(kms, other.kept, [], first);
    expect(await swapped.failure()).toEqual({
      code: 'seal_commitment_mismatch',
      ...DATA_KEY,
      position: 0,
    });
  });

  it('that the configuration does not name, or whose record is wrong, are refused', async () => {
    const kms = await simulatedKms();
    const first = await boot(kms, []);
    await first.ready();
    await closeHost(first);
    const record = assertAccepted(parseDataKeyRecord(first.kept[0] ?? new Uint8Array()));
    const unnamed = { position: 0, purpose: 'data_key', name: null } as const;
    const failures: readonly [Failed, Uint8Array[], string[]][] = [
      [{ code: 'seal_malformed', ...unnamed }, [Uint8Array.of(0)], []],
      [
        { code: 'seal_unexpected', ...unnamed },
        [encodeDataKeyRecord({ ...record, name: 'x' })],
        [],
      ],
      [
        { code: 'seal_wrong_configuration', ...DATA_KEY, position: 0 },
        [encodeDataKeyRecord({ ...record, keyArn: OTHER_KEY_ARN })],
        [],
      ],
      [
        { code: 'seal_unexpected', ...DATA_KEY, position: 1 },
        [encodeDataKeyRecord(record), encodeDataKeyRecord(record)],
        [],
      ],
      [{ code: 'seal_unexpected', ...unnamed, position: null }, [], ['x']],
      [
        { code: 'kms_denied', ...DATA_KEY, position: 0 },
        [encodeDataKeyRecord({ ...record, version: 2 })],
        [],
      ],
      [
        { code: 'kms_denied', ...DATA_KEY, position: 0 },
        [encodeDataKeyRecord({ ...record, image: pcr(1) })],
        [],
      ],
    ];
    for (const [failed, records, rotate] of failures) {
      const host = await boot(kms, records, rotate);
      expect(await host.failure()).toEqual(failed);
    }
    const none = await bootWith(kms, sealedConfiguration({ sealed: undefined }), {
      items: testItems(),
      dataKeys: { records: [encodeDataKeyRecord(record)], rotate: [] },
    });
    expect(await none.failed()).toBe('seal_unexpected');
  });
});
