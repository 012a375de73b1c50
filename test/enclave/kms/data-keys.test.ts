// Data keys over several epochs, against the simulated KMS.

import { describe, expect, it } from 'vitest';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import { toHex } from '../../../wire/bytes.ts';
import { DESK_FRAME, parseDeskOpen } from '../../../wire/desk-messages.ts';
import type { Failed } from '../../../wire/messages.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { encodeDataKeyRecord, parseDataKeyRecord } from '../../../wire/sealed.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { previousOf, testItems } from '../../helpers/enclave-host.ts';
import { KEY_ARN, OTHER_KEY_ARN, pcr, simulatedKms } from '../../helpers/kms.ts';
import { PlayedDesk } from '../../helpers/played-desk.ts';
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

  it('go to the desk when they are for its vault, all versions of them and no others', async () => {
    const kms = await simulatedKms();
    const withVault = sealedConfiguration({
      sealed: undefined,
      data_keys: [
        { name: 'book', key_arn: KEY_ARN },
        { name: 'vault', key_arn: KEY_ARN },
      ],
      desk: { vault: 'vault', polling_ms: 60_000, max_sessions: 1, sandbox: false },
    });
    const keysOf = async (
      records: readonly Uint8Array[],
      rotate: readonly string[],
      before: TestHost | null,
    ): Promise<readonly [TestHost, ReadonlyMap<number, string>]> => {
      const desk = new PlayedDesk();
      const host = await bootWith(kms, withVault, {
        items: testItems(),
        dataKeys: { records, rotate },
        previous: before === null ? null : previousOf(before),
        startDesk: desk.start,
      });
      await host.ready();
      const open = assertAccepted(parseDeskOpen(desk.of(DESK_FRAME.open)[0] ?? new Uint8Array()));
      expect(open.vaultKeys.every(({ name }) => name === 'vault')).toBe(true);
      await closeHost(host);
      return [host, new Map(open.vaultKeys.map(({ version, bytes }) => [version, toHex(bytes)]))];
    };
    const [first, made] = await keysOf([], [], null);
    expect([...made.keys()]).toEqual([1]);
    expect(made.get(1)).toMatch(/^(?!0{64})[0-9a-f]{64}$/u);
    const [, rotated] = await keysOf(first.kept, ['vault'], first);
    expect([...rotated.keys()]).toEqual([1, 2]);
    expect(rotated.get(1)).toBe(made.get(1));
    expect(rotated.get(2)).not.toBe(made.get(1));
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
