// trackseal seal against the simulated KMS: what it writes opens with the wrapped key and nothing else, and what
// an enclave would refuse at its boot is refused here.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DecryptCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { run } from '../../owner/commands/seal.ts';
import { readOwnerKey } from '../../owner/owner-key.ts';
import { sealItem } from '../../owner/seal/seal.ts';
import type { RunningKms } from '../../simulator/kms/server.ts';
import { FAULTS } from '../../simulator/kms/faults.ts';
import { toHex } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SealedItem, SealStatement } from '../../wire/sealed.ts';
import {
  openContent,
  parseSealed,
  parseStatement,
  sealContext,
  signedBytes,
} from '../../wire/sealed.ts';
import {
  clientOf,
  HOST,
  IMAGE,
  KEY_ARN,
  openPolicy,
  OTHER_KEY_ARN,
  OWNER,
  pcr,
  simulatedKms,
} from '../helpers/kms.ts';
import type { OwnersDesk, Ran } from '../helpers/owner.ts';
import {
  actAs,
  BUNDLE,
  call,
  endpointOf,
  ownersDesk,
  PARAMETERS,
  writeMeasurements,
} from '../helpers/owner.ts';

async function seal(
  desk: OwnersDesk,
  kms: RunningKms,
  ...more: readonly string[]
): Promise<Ran & { readonly out: string }> {
  actAs(OWNER);
  const out = join(desk.folder, 'sealed');
  const plan = more.includes('--item') ? [] : ['--plan', desk.plan];
  const args = [...desk.options, '-o', out, ...plan, ...endpointOf(kms), '--json', ...more];
  return { ...(await call(run, args)), out };
}

interface Read {
  readonly item: SealedItem;
  readonly statement: SealStatement;
}

function read(path: string): Read {
  const item = assertAccepted(parseSealed(new Uint8Array(readFileSync(path))));
  return { item, statement: assertAccepted(parseStatement(item.statement)) };
}

async function open(kms: RunningKms, { item, statement }: Read): Promise<Uint8Array> {
  const { Plaintext } = await clientOf(kms, HOST).send(
    new DecryptCommand({
      KeyId: statement.keyArn,
      CiphertextBlob: item.wrappedKey,
      EncryptionContext: { ...sealContext(statement) },
    }),
  );
  const key = Plaintext ?? new Uint8Array();
  return assertAccepted(openContent(nodeCrypto, key, item, statement.commitment)).bytes;
}

function versionsOf({ json }: Ran): unknown {
  return (json['items'] as readonly { readonly version: number }[]).map(({ version }) => version);
}

describe('trackseal seal', () => {
  it('seals all that the configuration wants, for the image, signed by the owner', async () => {
    const desk = ownersDesk();
    const kms = await simulatedKms();
    const { code, json, out, stderr } = await seal(desk, kms);
    expect([code, stderr]).toEqual([0, '']);
    const configuration = new Uint8Array(readFileSync(desk.configuration));
    expect(json).toMatchObject({
      image: toHex(IMAGE.pcr0),
      configuration_digest: createHash('sha256').update(configuration).digest('hex'),
    });
    const contents: Uint8Array[] = [];
    for (const file of ['strategy-example', 'parameters-example', 'compliance_key-main']) {
      const sealed = read(join(out, `${file}.sealed`));
      const { statement, item } = sealed;
      expect(statement).toMatchObject({
        version: 1,
        keyArn: KEY_ARN,
        image: IMAGE.pcr0,
        configurationDigest: nodeCrypto.sha256(configuration),
        label: file.endsWith('example') ? '1.0.0' : '',
      });
      const signed = signedBytes(item.statement);
      expect(nodeCrypto.verifyP256Der(desk.spki, signed, item.signature)).toBe(true);
      contents.push(await open(kms, sealed));
    }
    expect(contents.slice(0, 2)).toEqual([BUNDLE, PARAMETERS]);
    const { compliance_public_key: complianceKey } = JSON.parse(
      readFileSync(desk.configuration, 'utf8'),
    ) as { compliance_public_key: string };
    expect(toHex(contents[2] ?? new Uint8Array())).toBe(complianceKey);
    expect(readdirSync(out).toSorted()).toEqual([
      'compliance_key-main.sealed',
      'parameters-example.sealed',
      'strategy-example.sealed',
      'versions.json',
    ]);
  });

  it('the plaintext is in no file, and nothing of it in what is printed', async () => {
    const desk = ownersDesk();
    const kms = await simulatedKms();
    const { out, stdout } = await seal(desk, kms);
    for (const name of readdirSync(out)) {
      expect(readFileSync(join(out, name)).includes(Buffer.from(PARAMETERS)), name).toBe(false);
    }
    expect(stdout).not.toContain('threshold');
  });

  it('again for a new image: the next version, under the new image', async () => {
    const desk = ownersDesk();
    const kms = await simulatedKms();
    expect(versionsOf(await seal(desk, kms))).toEqual([1, 1, 1]);
    const next = { pcr0: pcr(0xb0), pcr1: pcr(0xb1), pcr2: pcr(0xb2) };
    writeMeasurements(desk.measurements, next);
    const again = await seal(desk, kms);
    expect(versionsOf(again)).toEqual([2, 2, 2]);
    const sealed = read(join(again.out, 'strategy-example.sealed'));
    expect(sealed.statement.image).toEqual(next.pcr0);
    expect(await open(kms, sealed)).toEqual(BUNDLE);
  });

  it.each([
    ['4', 1, 'seal_rolled_back'],
    ['5', 0, undefined],
    ['6', 0, undefined],
  ])('--version %s after 5: exit code %d', async (version, code, refusal) => {
    const desk = ownersDesk();
    const kms = await simulatedKms();
    await seal(desk, kms, '--version', '5');
    const again = await seal(desk, kms, '--version', version);
    expect([again.code, again.json['code']]).toEqual([code, refusal]);
  });

  it('takes single items, which must be all that the configuration wants', async () => {
    const desk = ownersDesk({
      sealed: [{ purpose: 'parameters', name: 'example', key_arn: KEY_ARN }],
    });
    const kms = await simulatedKms();
    const path = join(desk.folder, 'parameters.json');
    const good = await seal(desk, kms, '--item', `parameters/example=${path}`);
    expect(good.code).toBe(0);
    const pack = `strategy/example=${join(desk.folder, 'pack')}`;
    const more = await seal(desk, kms, '--item', `parameters/example=${path}`, '--item', pack);
    expect([more.code, more.json['code']]).toEqual([1, 'seal_unexpected']);
    const other = await seal(ownersDesk(), kms, '--item', `parameters/example=${path}`);
    expect([other.code, other.json['code']]).toEqual([1, 'seal_missing']);
  });

  it('refuses a strategy that is not the one committed to', async () => {
    const desk = ownersDesk();
    writeFileSync(join(desk.folder, 'pack/bundle.js'), 'export default { evil: true };\n');
    const { code, json } = await seal(desk, await simulatedKms());
    expect([code, json['code']]).toEqual([1, 'commitment_mismatch']);
  });

  it('refuses a compliance key that is not the configured one', async () => {
    const desk = ownersDesk();
    writeFileSync(join(desk.folder, 'compliance.pem'), ownersDesk().compliancePem);
    const { code, json } = await seal(desk, await simulatedKms());
    expect([code, json['code']]).toEqual([1, 'compliance_key_mismatch']);
  });

  it("refuses compliance's private key, which is nobody else's", async () => {
    const desk = ownersDesk();
    writeFileSync(join(desk.folder, 'compliance.pem'), desk.compliancePrivatePem);
    const { code, json } = await seal(desk, await simulatedKms());
    expect([code, json['code']]).toEqual([1, 'seal_malformed']);
  });

  it("refuses measurements of a debug enclave, which is everybody's image", async () => {
    const desk = ownersDesk();
    writeMeasurements(desk.measurements, { ...IMAGE, pcr0: pcr(0) });
    const { code, json } = await seal(desk, await simulatedKms());
    expect([code, json['code']]).toEqual([1, 'debug_mode']);
  });

  it('refuses another key than the image has measured', async () => {
    const desk = ownersDesk();
    const manifest = join(desk.folder, 'measured.json');
    const content = {
      version: 2,
      strategies: [],
      owner_key: toHex(ownersDesk().spki),
      hosts: [],
      roots_sha256: '00'.repeat(32),
    };
    writeFileSync(manifest, canonicalJson(content));
    const kms = await simulatedKms();
    const refusal = await seal(desk, kms, '--manifest', manifest);
    expect([refusal.code, refusal.json['code']]).toEqual([1, 'seal_signature_invalid']);
    writeFileSync(manifest, canonicalJson({ ...content, owner_key: toHex(desk.spki) }));
    expect((await seal(desk, kms, '--manifest', manifest)).code).toBe(0);
  });

  it('says that KMS refused, leaves nothing behind, and does not use the version again', async () => {
    const desk = ownersDesk();
    const policy = openPolicy(HOST);
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy }] });
    const { code, json, out, stderr } = await seal(desk, kms);
    expect([code, json['code']]).toEqual([1, 'kms_denied']);
    expect(stderr).toContain('not authorized to perform: kms:Encrypt');
    expect(readdirSync(out)).toEqual(['versions.json']);
    await kms.putKey({ arn: KEY_ARN, policy: openPolicy(OWNER) });
    expect(versionsOf(await seal(desk, kms))).toEqual([2, 2, 2]);
  });

  it.each([
    ['other_key_id', 'kms_answer_invalid', 1],
    ['other_algorithm', 'kms_answer_invalid', 1],
    ['not_json', 'kms_answer_invalid', 1],
    ['cut', 'kms_unreachable', 2],
  ] as const)('an answer with %s: %s', async (fault, expected, exitCode) => {
    const kms = await simulatedKms({ fault: () => FAULTS[fault] });
    const { code, json } = await seal(ownersDesk(), kms);
    expect([code, json['code']]).toEqual([exitCode, expected]);
  });

  it('nobody there, or somebody else: could not do it', async () => {
    const kms = await simulatedKms();
    const stranger = await simulatedKms();
    const wrongCa = await seal(ownersDesk(), { ...kms, caPem: stranger.caPem });
    expect([wrongCa.code, wrongCa.json['code']]).toEqual([2, 'tls_untrusted']);
    await kms.close();
    const gone = await seal(ownersDesk(), kms);
    expect([gone.code, gone.json['code']]).toEqual([2, 'kms_unreachable']);
    expect((await seal(ownersDesk(), { ...stranger, endpoint: 'http://127.0.0.1:1' })).code).toBe(
      2,
    );
  });

  it('a key of another region than the configured one is no configuration', async () => {
    const key = OTHER_KEY_ARN.replace('eu-central-1', 'us-east-1');
    const desk = ownersDesk({
      sealed: [{ purpose: 'parameters', name: 'example', key_arn: key }],
    });
    const { code, json } = await seal(desk, await simulatedKms());
    expect([code, json['code']]).toEqual([1, 'config_invalid']);
  });

  it.each(['--configuration', '--measurements', '--owner-key'])(
    'without %s it cannot start',
    async (option) => {
      const desk = ownersDesk();
      const at = desk.options.indexOf(option);
      const options = desk.options.toSpliced(at, 2);
      const { code, json } = await seal({ ...desk, options }, await simulatedKms());
      expect([code, json['code']]).toEqual([2, 'usage_invalid']);
    },
  );
});

describe('sealItem', () => {
  it.each([[OWNER], [HOST]])('wipes what it sealed, also when KMS refuses (%#)', async (who) => {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy: openPolicy(OWNER) }] });
    const desk = ownersDesk();
    const material = { salt: new Uint8Array(32).fill(1), bytes: PARAMETERS.slice(), label: '' };
    const about = {
      purpose: 'parameters',
      logId: 'a',
      name: 'example',
      version: 1,
      configurationDigest: new Uint8Array(32),
      keyArn: KEY_ARN,
      image: IMAGE.pcr0,
    } as const;
    const key = assertAccepted(await readOwnerKey(desk.ownerKey, undefined));
    const sealed = await sealItem(clientOf(kms, who), key, about, material);
    expect(sealed.ok).toBe(who === OWNER);
    expect([...material.salt, ...material.bytes].every((byte) => byte === 0)).toBe(true);
  });
});
