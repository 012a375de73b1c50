import { describe, expect, it } from 'vitest';
import { KIND, LABEL, encodePublicLeaf } from '../../../wire/leaf.ts';
import type { LeafHeader } from '../../../wire/leaf.ts';
import { readAttestationLeaf, readHeaderLeaf } from '../../../wire/log-verification/boot.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodeAnyHeader } from '../../helpers/old-header.ts';
import type { DataKeyEntry, EpochHeader, SealedEntry, StreamEntry } from '../../../wire/header.ts';
import type { Result } from '../../../wire/result.ts';
import { EpochBuilder } from '../../helpers/epoch-builder.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

function leafOf(changes: Partial<LeafHeader>, plaintext: Uint8Array): Uint8Array {
  const header: LeafHeader = {
    kind: KIND.header,
    timeNs: 1n,
    stream: 0,
    label: LABEL.enclave,
    sequence: 0,
    causes: [],
    ...changes,
  };
  return encodePublicLeaf(nodeCrypto, header, new Uint8Array(16), plaintext).bytes;
}

describe('the first two leaves', () => {
  it('stand where they must', async () => {
    const { header } = await EpochBuilder.create();
    const bytes = encodeAnyHeader(header);
    const code = (changes: Partial<LeafHeader>): string =>
      codeOf(readHeaderLeaf(nodeCrypto, leafOf(changes, bytes)));
    expect(code({})).toBe('accepted');
    for (const changes of [
      { kind: KIND.heartbeat },
      { kind: KIND.attestation },
      { stream: 1 },
      { label: LABEL.host },
      { sequence: 1 },
      { causes: [0] },
    ]) {
      expect(code(changes)).toBe('leaf_misplaced');
    }
    const document = leafOf({ kind: KIND.attestation, sequence: 1 }, bytes);
    expect(codeOf(readAttestationLeaf(nodeCrypto, document))).toBe('accepted');
    expect(codeOf(readAttestationLeaf(nodeCrypto, leafOf({}, bytes)))).toBe('leaf_misplaced');
  });

  it('give the streams the names and labels that the configuration gives them', async () => {
    const { header } = await EpochBuilder.create();
    const code = (change: Partial<StreamEntry>): string => {
      const streams = header.streams.map((entry) =>
        entry.id === 1 ? { ...entry, ...change } : entry,
      );
      return codeOf(
        readHeaderLeaf(nodeCrypto, leafOf({}, encodeAnyHeader({ ...header, streams }))),
      );
    };
    expect(code({})).toBe('accepted');
    // A label of its own would take what a host can do out of the verdict, a name could be anything.
    expect(code({ label: LABEL.tls })).toBe('header_mismatch');
    expect(code({ name: 'market\u009b2J' })).toBe('header_mismatch');
    expect(code({ id: 2 })).toBe('header_mismatch');
  });

  it('say that what the configuration wants sealed came sealed, under the keys that it names', async () => {
    const { header } = await EpochBuilder.create();
    const configuration = canonicalJson(
      testConfiguration({
        kms: { region: 'eu-central-1', host: 'kms.example' },
        sealed: [{ purpose: 'parameters', name: 'example', key_arn: ARN }],
        data_keys: [{ name: 'book', key_arn: ARN }],
      }),
    );
    const commitment = new Uint8Array(32).fill(7);
    const sealed: SealedEntry = {
      purpose: 'parameters',
      name: 'example',
      version: 1,
      commitment,
      keyArn: ARN,
    };
    const dataKey: DataKeyEntry = { name: 'book', version: 1, mark: commitment };
    const honest: EpochHeader = {
      ...header,
      configuration,
      configurationDigest: nodeCrypto.sha256(configuration),
      sealed: [sealed],
      dataKeys: [dataKey, { ...dataKey, version: 2 }],
    };
    const code = (changes: Partial<EpochHeader>): string =>
      codeOf(readHeaderLeaf(nodeCrypto, leafOf({}, encodeAnyHeader({ ...honest, ...changes }))));
    expect(code({})).toBe('accepted');
    const wrong: readonly Partial<EpochHeader>[] = [
      { sealed: [] },
      { sealed: [sealed, sealed] },
      { sealed: [{ ...sealed, keyArn: ARN.replace('111122223333', '444455556666') }] },
      { sealed: [{ ...sealed, purpose: 'strategy' }] },
      { sealed: [{ ...sealed, name: 'other' }] },
      { dataKeys: [] },
      { dataKeys: [dataKey, dataKey] },
      { dataKeys: [dataKey, { ...dataKey, name: 'other' }] },
      { version: 1 },
    ];
    for (const changes of wrong) expect(code(changes)).toBe('header_mismatch');
    // An epoch from before is as it was.
    expect(
      codeOf(readHeaderLeaf(nodeCrypto, leafOf({}, encodeAnyHeader({ ...header, version: 1 })))),
    ).toBe('accepted');
  });

  it('are no blobs and have their digest', () => {
    const blob = leafOf({}, new Uint8Array(70_000));
    expect(codeOf(readHeaderLeaf(nodeCrypto, blob))).toBe('leaf_misplaced');
    const leaf = leafOf({}, new Uint8Array(3));
    const at = leaf.length - 1;
    const changed = leaf.with(at, (leaf[at] ?? 0) ^ 1);
    expect(codeOf(readHeaderLeaf(nodeCrypto, changed))).toBe('leaf_digest_mismatch');
    expect(codeOf(readHeaderLeaf(nodeCrypto, leaf.slice(0, -1)))).toBe('cbor_truncated');
  });
});
