import { describe, expect, it } from 'vitest';
import { SealedVault } from '../../../enclave/desk/sealed-vault.ts';
import {
  openRecord,
  RECORD_KIND,
  recordMark,
  sealRecord,
  vaultKey,
} from '../../../enclave/desk/vault-record.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { FakeDesk } from '../../helpers/fake-desk.ts';

const DATA_KEY = new Uint8Array(32).fill(3);
const LOG = 'trackseal.test/desk';
const ID = '0123456789abcdef0123456789abcdef';
const HEAD = { id: Buffer.from(ID, 'hex'), kind: RECORD_KIND.session, keyVersion: 1, number: 7 };
const KEYS = new Map([[1, DATA_KEY]]);

function keyOf(dataKey: Uint8Array, logId = LOG) {
  return (version: number, kind: 1 | 2) =>
    version === 1 ? vaultKey(nodeCrypto, dataKey, logId, kind) : null;
}

function sealed(head = HEAD): Uint8Array {
  const key = vaultKey(nodeCrypto, DATA_KEY, LOG, head.kind);
  return sealRecord(nodeCrypto, key, head, LOG, new Uint8Array(12).fill(4), utf8('secret'));
}

describe('a vault record', () => {
  const refused = { ok: false, refusal: { code: 'vault_record_malformed' } };

  it('opens with its data key, and says what it is', () => {
    const opened = assertAccepted(openRecord(nodeCrypto, keyOf(DATA_KEY), LOG, sealed()));
    expect({
      ...opened,
      id: toHex(opened.id),
      plaintext: Buffer.from(opened.plaintext).toString(),
    }).toEqual({ ...HEAD, id: ID, plaintext: 'secret' });
  });

  it('with any byte flipped does not', () => {
    const bytes = sealed();
    for (let offset = 0; offset < bytes.length; offset++) {
      const flipped = bytes.with(offset, (bytes[offset] ?? 0) ^ 1);
      expect([offset, openRecord(nodeCrypto, keyOf(DATA_KEY), LOG, flipped)]).toMatchObject([
        offset,
        refused,
      ]);
    }
  });

  it('mistake 2: nothing public opens it: not the measurement, the log, or an older key', () => {
    const bytes = sealed();
    const publics = [LOG, 'trackseal/vault/v1', 'platform version'].map((text) =>
      nodeCrypto.sha256(utf8(text)),
    );
    const measurement = nodeCrypto.hkdfSha256(
      new Uint8Array(48).fill(0x11),
      utf8('platform version'),
      utf8(''),
      32,
    );
    for (const key of [...publics, measurement, new Uint8Array(32), DATA_KEY.with(0, 2)]) {
      expect(openRecord(nodeCrypto, keyOf(key), LOG, bytes)).toMatchObject(refused);
    }
  });

  it('mistake 5: of another log, or of a key that is gone, does not open', () => {
    const bytes = sealed();
    expect(openRecord(nodeCrypto, keyOf(DATA_KEY, 'x'), LOG, bytes)).toMatchObject(refused);
    expect(openRecord(nodeCrypto, keyOf(DATA_KEY), 'x', bytes)).toMatchObject(refused);
    expect(openRecord(nodeCrypto, () => null, LOG, bytes)).toMatchObject(refused);
  });
});

describe('the vault', () => {
  it('without a data key writes nothing', async () => {
    const desk = new FakeDesk();
    const vault = new SealedVault(desk.services);
    expect(vault.enabled).toBe(false);
    expect(await vault.write(ID, RECORD_KIND.session, utf8('secret'))).toBeNull();
    expect(desk.written).toEqual([]);
  });

  it('gives back what it wrote, to the next epoch of the same log', async () => {
    const first = new FakeDesk({ vaultKeys: KEYS });
    const vault = new SealedVault(first.services);
    vault.openAll();
    await vault.write(ID, RECORD_KIND.session, utf8('one'));
    const mark = await vault.write(ID, RECORD_KIND.session, utf8('two'));
    expect(mark).toEqual(recordMark({ id: HEAD.id, number: 2 }));
    const second = new FakeDesk({ vaultKeys: KEYS, records: first.records, epoch: 2 });
    const again = new SealedVault(second.services);
    const { opened, unusable } = again.openAll();
    expect(unusable).toEqual([]);
    expect(opened.map(({ plaintext }) => Buffer.from(plaintext).toString())).toEqual(['two']);
    expect(await again.write(ID, RECORD_KIND.session, utf8('three'))).toEqual(
      recordMark({ id: HEAD.id, number: 3 }),
    );
  });

  it('opens records of an older version of the data key, and writes under the newest', async () => {
    const first = new FakeDesk({ vaultKeys: KEYS });
    const vault = new SealedVault(first.services);
    await vault.write(ID, RECORD_KIND.session, utf8('old'));
    const both = new Map([...KEYS, [2, new Uint8Array(32).fill(5)]]);
    const second = new FakeDesk({ vaultKeys: both, records: first.records });
    const again = new SealedVault(second.services);
    expect(again.openAll().opened).toHaveLength(1);
    await again.write(ID, RECORD_KIND.session, utf8('new'));
    const third = new FakeDesk({ vaultKeys: KEYS, records: second.records });
    expect(new SealedVault(third.services).openAll().unusable).toEqual([ID]);
  });

  it('mistake 5: a host that swaps two records, or names one otherwise, gets neither opened', async () => {
    const other = 'f'.repeat(32);
    const first = new FakeDesk({ vaultKeys: KEYS });
    const vault = new SealedVault(first.services);
    await vault.write(ID, RECORD_KIND.session, utf8('one'));
    await vault.write(other, RECORD_KIND.session, utf8('two'));
    const [one, two] = [first.records.get(ID), first.records.get(other)];
    const swapped = new Map([
      [ID, two ?? new Uint8Array()],
      [other, one ?? new Uint8Array()],
    ]);
    const second = new FakeDesk({ vaultKeys: KEYS, records: swapped });
    const { opened, unusable } = new SealedVault(second.services).openAll();
    expect(opened).toEqual([]);
    expect(unusable.toSorted()).toEqual([ID, other].toSorted());
  });
});
