// Boots of a real enclave core against the simulated KMS, over its own TLS: what unseals, and what does not.

import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import { parseHex, toHex, utf8 } from '../../../wire/bytes.ts';
import type { Configuration } from '../../../wire/configuration.ts';
import { KIND } from '../../../wire/leaf.ts';
import { DESK_FRAME, parseDeskOpen } from '../../../wire/desk-messages.ts';
import type { Failed } from '../../../wire/messages.ts';
import { encodeHandOver, parseHandOver } from '../../../wire/kms-messages.ts';
import { FRAME } from '../../../wire/messages.ts';
import { parseClose } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { signedBytes } from '../../../wire/sealed.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { previousOf, testItems } from '../../helpers/enclave-host.ts';
import {
  KEY_ARN,
  openPolicy,
  OTHER_KEY_ARN,
  pcr,
  PRINCIPALS,
  simulatedKms,
} from '../../helpers/kms.ts';
import type { SealOptions } from '../../helpers/sealing.ts';
import { PlayedDesk } from '../../helpers/played-desk.ts';
import {
  asked,
  bootWith,
  closeHost,
  headerOf,
  seal,
  sealedConfiguration,
  sealOf,
} from '../../helpers/sealing.ts';

const ACCOUNT = { userId: 'firm', exchange: 'kraken', apiKey: 'key', secret: 'secret' };

describe('an enclave whose secrets come sealed', () => {
  it('opens all of them, says so in its header and starts the strategy', async () => {
    const kms = await simulatedKms();
    const purposes = ['strategy', 'parameters', 'client_ca', 'exchange_account'] as const;
    const configuration = sealedConfiguration({
      sealed: [...purposes.map((purpose) => sealOf(purpose)), sealOf('compliance_key')],
    });
    const bytes = parseHex(configuration.compliance_public_key) ?? new Uint8Array();
    const sealed = [
      await seal(kms, configuration, { purpose: 'compliance_key', bytes }),
      await seal(kms, configuration, {
        purpose: 'exchange_account',
        statement: { version: 9 },
        bytes: utf8(JSON.stringify(ACCOUNT)),
      }),
      await seal(kms, configuration, { purpose: 'client_ca', bytes: utf8(kms.caPem) }),
      await seal(kms, configuration, { purpose: 'parameters', statement: { version: 3 } }),
      await seal(kms, configuration, { purpose: 'strategy' }),
    ];
    const desk = new PlayedDesk();
    const host = await bootWith(kms, configuration, { sealed, items: [], startDesk: desk.start });
    await host.ready();
    const header = headerOf(host);
    // The account goes to the desk, and of the others only strategy and parameters go anywhere.
    const open = assertAccepted(parseDeskOpen(desk.of(DESK_FRAME.open)[0] ?? new Uint8Array()));
    const [account] = open.accounts;
    expect([open.accounts.length, open.vaultKeys.length]).toEqual([1, 0]);
    expect([account?.name, account?.version]).toEqual(['example', 9]);
    expect(Buffer.from(account?.bytes ?? []).toString()).toBe(JSON.stringify(ACCOUNT));
    expect(
      header.sealed.map(({ purpose, name, version, keyArn }) => [purpose, name, version, keyArn]),
    ).toEqual([
      ['strategy', 'example', 1, KEY_ARN],
      ['parameters', 'example', 3, KEY_ARN],
      ['client_ca', 'example', 1, KEY_ARN],
      ['exchange_account', 'example', 9, KEY_ARN],
      ['compliance_key', 'example', 1, KEY_ARN],
    ]);
    expect(header.sealed[1]?.commitment).toEqual(header.strategies[0]?.parametersCommitment);
    expect(asked(kms)).toEqual(Array.from({ length: 5 }, () => 'Decrypt'));
    expect(kms.events.at(-1)?.additionalEventData?.recipient).toMatchObject({
      attestationDocumentEnclaveImageDigest: toHex(pcr(0xa0)),
    });
    expect(host.leavesOf(KIND.strategyEvent)).toHaveLength(1);
    await closeHost(host);
  });

  it('asks nobody when nothing is sealed', async () => {
    const kms = await simulatedKms();
    const host = await bootWith(kms, sealedConfiguration({ sealed: undefined }), {
      items: testItems(),
    });
    await host.ready();
    expect([asked(kms), headerOf(host).sealed]).toEqual([[], []]);
    await closeHost(host);
  });
});

const ITEM = { position: 0, purpose: 'parameters', name: 'example' } as const;
const UNKNOWN = { position: 0, purpose: null, name: null };
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe('an item that a host or a stranger brings instead', () => {
  const cases: readonly [string, Omit<Failed, 'position'> & Partial<Failed>, SealOptions][] = [
    [
      'signed by another key',
      { code: 'seal_signature_invalid', ...UNKNOWN },
      {
        item: (item) => ({
          ...item,
          signature: new Uint8Array(sign('sha256', signedBytes(item.statement), stranger)),
        }),
      },
    ],
    [
      'with a statement that was changed after it was signed',
      { code: 'seal_signature_invalid', ...UNKNOWN },
      { item: (item) => ({ ...item, statement: flip(item.statement, 60) }) },
    ],
    [
      'signed without our context',
      { code: 'seal_signature_invalid', ...UNKNOWN },
      {
        item: (item) => ({
          ...item,
          signature: new Uint8Array(sign('sha256', item.statement, stranger)),
        }),
      },
    ],
    [
      'for another image',
      { code: 'seal_wrong_image', ...ITEM },
      { statement: { image: pcr(0xa9) } },
    ],
    [
      'for another log',
      { code: 'seal_wrong_configuration', ...ITEM },
      { statement: { logId: 'trackseal.test/other' } },
    ],
    [
      'for another configuration',
      { code: 'seal_wrong_configuration', ...ITEM },
      { statement: { configurationDigest: new Uint8Array(32) } },
    ],
    [
      'for another version of the strategy',
      { code: 'seal_wrong_configuration', ...ITEM },
      { statement: { label: '1.0.1' } },
    ],
    [
      'under another key of KMS',
      { code: 'seal_wrong_configuration', ...ITEM },
      { statement: { keyArn: OTHER_KEY_ARN } },
    ],
    ['for another strategy', { code: 'seal_unexpected', ...UNKNOWN }, { name: 'other' }],
    [
      'of another purpose',
      { code: 'seal_unexpected', ...UNKNOWN },
      { purpose: 'exchange_account' },
    ],
  ];
  it.each(cases)('%s: $code, and KMS is not asked', async (_, failed, options) => {
    const kms = await simulatedKms({
      keys: [KEY_ARN, OTHER_KEY_ARN].map((arn) => ({ arn, policy: openPolicy(...PRINCIPALS) })),
    });
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration, options)];
    const host = await bootWith(kms, configuration, { sealed });
    expect(await host.failure()).toEqual(failed);
    expect([asked(kms), host.commits]).toEqual([[], []]);
  });

  it('without a measured owner: `seal_signature_invalid`', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    const host = await bootWith(kms, configuration, { sealed, manifest: { owner_key: null } });
    expect(await host.failed()).toBe('seal_signature_invalid');
  });

  it('not, twice, or although nothing is sealed: `seal_missing`, `seal_unexpected`', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const one = await seal(kms, configuration);
    const none = await bootWith(kms, configuration, { sealed: [] });
    expect(await none.failure()).toEqual({ code: 'seal_missing', ...ITEM, position: null });
    const twice = await bootWith(kms, configuration, { sealed: [one, one] });
    expect(await twice.failure()).toEqual({ code: 'seal_unexpected', ...ITEM, position: 1 });
    const clear = sealedConfiguration({ sealed: undefined });
    const extra = await bootWith(kms, clear, {
      sealed: [await seal(kms, clear)],
      items: testItems(),
    });
    expect(await extra.failure()).toEqual({ code: 'seal_unexpected', ...UNKNOWN });
    const garbage = await bootWith(kms, configuration, { sealed: [one, Uint8Array.of(0xa0)] });
    expect(await garbage.failure()).toEqual({ code: 'seal_malformed', ...UNKNOWN, position: 1 });
    expect(asked(kms)).toEqual([]);
  });

  it('in the clear beside the sealed one: `item_unexpected`', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration)];
    const host = await bootWith(kms, configuration, { sealed, items: testItems() });
    expect(await host.failed()).toBe('item_unexpected');
  });

  it('another strategy than the image has measured: `commitment_mismatch`, and KMS is not asked', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration({ sealed: [sealOf('strategy')] });
    const sealed = [await seal(kms, configuration, { purpose: 'strategy', bytes: utf8('evil') })];
    const host = await bootWith(kms, configuration, { sealed, items: testItems().slice(1) });
    expect(await host.failure()).toEqual({
      ...ITEM,
      code: 'commitment_mismatch',
      purpose: 'strategy',
    });
    expect(asked(kms)).toEqual([]);
  });

  const inside: readonly [string, Failed['code'], SealOptions][] = [
    [
      'with the wrapped key of another item',
      'kms_denied',
      { context: { 'trackseal:purpose': 'parameters/other' } },
    ],
    [
      'whose content was changed',
      'seal_malformed',
      { item: (item) => ({ ...item, content: flip(item.content, 20) }) },
    ],
    [
      'whose content is not what the owner committed to',
      'seal_commitment_mismatch',
      { statement: { commitment: new Uint8Array(32) } },
    ],
    [
      'whose wrapped key is no blob of KMS',
      'kms_denied',
      { item: (item) => ({ ...item, wrappedKey: new Uint8Array(100) }) },
    ],
  ];
  it.each(inside)('%s: %s', async (_, code, options) => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const sealed = [await seal(kms, configuration, options)];
    const host = await bootWith(kms, configuration, { sealed });
    expect(await host.failure()).toEqual({ code, ...ITEM });
    expect([asked(kms), host.commits]).toEqual([['Decrypt'], []]);
  });

  const forms: readonly ['client_ca' | 'compliance_key' | 'exchange_account', string, string][] = [
    ['client_ca', 'no certificate', 'seal_malformed'],
    [
      'client_ca',
      '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
      'seal_malformed',
    ],
    ['exchange_account', '[]', 'seal_malformed'],
    ['exchange_account', 'not JSON', 'seal_malformed'],
    ['exchange_account', 'null', 'seal_malformed'],
    ['compliance_key', 'x'.repeat(32), 'compliance_key_mismatch'],
    ['compliance_key', 'x', 'compliance_key_mismatch'],
  ];
  it.each(forms)('a %s that says %j: %s', async (purpose, text, code) => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration({ sealed: [sealOf(purpose)] });
    const sealed = [await seal(kms, configuration, { purpose, bytes: utf8(text) })];
    const host = await bootWith(kms, configuration, { sealed, items: testItems() });
    expect(await host.failure()).toEqual({ ...ITEM, code, purpose });
  });
});

const epoch = async (
  kms: RunningKms,
  configuration: Configuration,
  version: number,
  before: TestHost | null,
): Promise<TestHost> => {
  const sealed = [await seal(kms, configuration, { statement: { version } })];
  return bootWith(kms, configuration, {
    sealed,
    previous: before === null ? null : previousOf(before),
  });
};

describe('an older version than the epoch before had', () => {
  it('is `seal_rolled_back`; the same or a newer one opens', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration();
    const first = await epoch(kms, configuration, 5, null);
    await first.ready();
    await closeHost(first);
    const older = await epoch(kms, configuration, 4, first);
    expect(await older.failure()).toEqual({ code: 'seal_rolled_back', ...ITEM });
    for (const version of [5, 6]) {
      const next = await epoch(kms, configuration, version, first);
      await next.ready();
      expect(headerOf(next).sealed[0]?.version).toBe(version);
      await closeHost(next);
    }
  });
});

it('a hand-over is a leaf, and then a clean end', async () => {
  const kms = await simulatedKms();
  const configuration = sealedConfiguration();
  const host = await bootWith(kms, configuration, { sealed: [await seal(kms, configuration)] });
  await host.ready();
  const handOver = { pcrs: [pcr(1), pcr(2), pcr(3)], note: 'release 2' };
  host.sendBoot(FRAME.handOver, encodeHandOver(handOver));
  host.sendBoot(FRAME.handOver, encodeHandOver({ ...handOver, note: 'another' }));
  expect(await host.end).toEqual({ code: null });
  const [leaf = 0, ...more] = host.leavesOf(KIND.handOver);
  expect(more).toEqual([]);
  expect(assertAccepted(parseHandOver(host.open(leaf)))).toEqual(handOver);
  const last = host.leaves.length - 1;
  expect(assertAccepted(parseClose(host.open(last)))).toBe(3);
  // The last anchor attests it.
  expect(host.leavesOf(KIND.anchor).at(-1)).toBeGreaterThan(leaf);
});
