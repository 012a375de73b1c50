// Attempts on an owner's secrets, each named after the attack, against a real enclave core and policies that
// `trackseal kms policy` makes. What KMS may answer wrongly is in test/enclave/kms/client.test.ts, one by one.

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DecryptCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { FAULTS } from '../../simulator/kms/faults.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { utf8 } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  dataKeyContext,
  encodeDataKeyRecord,
  parseSealed,
  parseStatement,
  sealContext,
} from '../../wire/sealed.ts';
import { encodeSealed } from '../../wire/seal.ts';
import type { SealedItem, SealStatement } from '../../wire/sealed.ts';
import { hostConfiguration, previousOf, testItems } from '../helpers/enclave-host.ts';
import {
  clientOf,
  documentOf,
  HOST,
  HOST_ROLE,
  IMAGE,
  KEY_ARN,
  openPolicy,
  OTHER_KEY_ARN,
  OWNER,
  pcr,
  PRINCIPALS,
  recipientKey,
  simulatedKms,
} from '../helpers/kms.ts';
import { ownersDesk, temporaryFolder } from '../helpers/owner.ts';
import { asked, closeHost, headerOf, outcomeOf } from '../helpers/sealing.ts';
import { CHANGED_IMAGE, credentialsOf, generatedPolicy, Stage } from './stage.ts';

const NEXT = { pcr0: pcr(0xb0), pcr1: pcr(0xb1), pcr2: pcr(0xb2) };
const OPEN = openPolicy(...PRINCIPALS);

function read(bytes: Uint8Array): { item: SealedItem; statement: SealStatement } {
  const item = assertAccepted(parseSealed(bytes));
  return { item, statement: assertAccepted(parseStatement(item.statement)) };
}

describe('without an attack', () => {
  it('what `trackseal seal` sealed opens in the image that `trackseal kms policy` lets in', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const host = await stage.boot(await stage.seal());
    expect(await outcomeOf(host)).toBe('ready');
    expect(headerOf(host).sealed.map(({ purpose, version }) => [purpose, version])).toEqual([
      ['strategy', 1],
      ['parameters', 1],
      ['compliance_key', 1],
    ]);
    expect(asked(stage.kms)).toEqual(['Decrypt', 'Decrypt', 'Decrypt']);
    await closeHost(host);
  });

  it('an upgrade: both images in the policy, each with its own items, and the version goes on', async () => {
    const stage = await Stage.open(await generatedPolicy([IMAGE, NEXT]));
    const old = await stage.boot(await stage.seal());
    expect(await outcomeOf(old)).toBe('ready');
    await closeHost(old);
    const next = await stage.boot(
      await stage.seal(NEXT),
      { measurements: NEXT },
      { previous: previousOf(old) },
    );
    expect(await outcomeOf(next)).toBe('ready');
    expect(headerOf(next).sealed.map(({ version }) => version)).toEqual([2, 2, 2]);
    await closeHost(next);
  });
});

describe('another image', () => {
  it('with one bit changed does not open what is sealed for the right one, and asks nobody', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const host = await stage.boot(await stage.seal(), { measurements: CHANGED_IMAGE });
    expect(await outcomeOf(host)).toBe('seal_wrong_image');
    expect(asked(stage.kms)).toEqual([]);
  });

  it('with one bit changed, and items that somebody got the owner to seal for it: KMS refuses', async () => {
    const policy = await generatedPolicy();
    const stage = await Stage.open(policy);
    const sealed = await stage.sealUnderOpenPolicy(CHANGED_IMAGE, policy);
    const host = await stage.boot(sealed, { measurements: CHANGED_IMAGE });
    expect(await host.failure()).toMatchObject({
      code: 'kms_denied',
      purpose: 'strategy',
      name: 'example',
    });
    expect(asked(stage.kms)).toEqual(['Decrypt']);
    expect(stage.kms.events.at(-1)).toMatchObject({ errorCode: 'AccessDeniedException' });
  });

  it.each(['pcr1', 'pcr2'] as const)(
    'with the same PCR0 and bytes moved to another %s: KMS refuses',
    async (register) => {
      const stage = await Stage.open(await generatedPolicy());
      const measurements = { ...IMAGE, [register]: pcr(0xee) };
      const host = await stage.boot(await stage.seal(), { measurements });
      expect(await outcomeOf(host)).toBe('kms_denied');
    },
  );

  it('of before an upgrade, when the window is over: KMS refuses', async () => {
    const stage = await Stage.open(await generatedPolicy([IMAGE, NEXT]));
    const sealed = await stage.seal();
    await stage.put(await generatedPolicy([NEXT]));
    expect(await outcomeOf(await stage.boot(sealed))).toBe('kms_denied');
  });

  it('in debug mode, whose memory the operator reads: not what is sealed for the image', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const host = await stage.boot(await stage.seal(), { debugMode: true });
    expect(await outcomeOf(host)).toBe('seal_wrong_image');
    expect(asked(stage.kms)).toEqual([]);
  });

  it('that is a simulator with a root of its own: KMS takes no document of it', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const root = await SimulatedRoot.create();
    expect(await outcomeOf(await stage.boot(await stage.seal(), { root }))).toBe('kms_denied');
    expect(stage.kms.events.at(-1)).toMatchObject({ errorCode: 'ValidationException' });
  });
});

describe('stolen or other credentials', () => {
  it('of the owner, who may encrypt: KMS refuses', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const credentials = credentialsOf(OWNER);
    const host = await stage.boot(await stage.seal(), {}, { credentials });
    expect(await outcomeOf(host)).toBe('kms_denied');
  });

  it('of the role, on an instance without it: KMS refuses where the role is pinned', async () => {
    const stage = await Stage.open(await generatedPolicy([IMAGE], '--pin-role'));
    const sealed = await stage.seal();
    const right = await stage.boot(sealed, { roleArn: HOST_ROLE });
    expect(await outcomeOf(right)).toBe('ready');
    await closeHost(right);
    for (const nsm of [{}, { roleArn: `${HOST_ROLE}-2` }]) {
      expect(await outcomeOf(await stage.boot(sealed, nsm))).toBe('kms_denied');
    }
  });

  it('of the role, used by the host itself without an enclave: KMS refuses', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const [bytes = new Uint8Array()] = await stage.seal();
    const { item, statement } = read(bytes);
    const decrypt = new DecryptCommand({
      KeyId: KEY_ARN,
      CiphertextBlob: item.wrappedKey,
      EncryptionContext: { ...sealContext(statement) },
    });
    await expect(clientOf(stage.kms, HOST).send(decrypt)).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  it('of the role, with a recorded document of the enclave: an envelope that only the enclave opens', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const [bytes = new Uint8Array()] = await stage.seal();
    const { item, statement } = read(bytes);
    const decrypt = new DecryptCommand({
      KeyId: KEY_ARN,
      CiphertextBlob: item.wrappedKey,
      EncryptionContext: { ...sealContext(statement) },
      Recipient: {
        AttestationDocument: await documentOf(),
        KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
      },
    });
    const answer = await clientOf(stage.kms, HOST).send(decrypt);
    expect(answer.Plaintext).toBeUndefined();
    const envelope = Buffer.from(answer.CiphertextForRecipient ?? new Uint8Array());
    // Encrypted for the key in the document, and for nobody else.
    const { spki } = recipientKey();
    const digest = await crypto.subtle.digest('SHA-256', spki.slice());
    expect(envelope.includes(Buffer.from(digest))).toBe(true);
  });
});

describe('another owner', () => {
  it('who may encrypt under the key, and signs with a key of their own', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const stranger = ownersDesk();
    const sealed = await new Stage(stage.kms, stranger).seal();
    expect(await outcomeOf(await stage.boot(sealed))).toBe('seal_signature_invalid');
    expect(asked(stage.kms)).toEqual([]);
  });

  it('whose signature is put over the content of the right one', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const [first = new Uint8Array(), ...others] = await stage.seal();
    const [theirs = new Uint8Array()] = await new Stage(stage.kms, ownersDesk()).seal();
    const mixed = encodeSealed({ ...read(first).item, signature: read(theirs).item.signature });
    expect(await outcomeOf(await stage.boot([mixed, ...others]))).toBe('seal_signature_invalid');
  });

  it('who brings a data key that they know: the policy lets nobody wrap one', async () => {
    const record = { name: 'book', version: 1, keyArn: KEY_ARN, image: IMAGE.pcr0 };
    const stage = await Stage.open(await generatedPolicy());
    for (const principal of PRINCIPALS) {
      const encrypt = new EncryptCommand({
        KeyId: KEY_ARN,
        Plaintext: new Uint8Array(32),
        EncryptionContext: { ...dataKeyContext(record) },
      });
      const attempt = clientOf(stage.kms, principal).send(encrypt);
      await expect(attempt, principal.arn).rejects.toMatchObject({ name: 'AccessDeniedException' });
    }
  });
});

describe('swapped blobs', () => {
  it('the wrapped key of another item of the same owner: KMS refuses the context', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const [first = new Uint8Array(), second = new Uint8Array(), third = new Uint8Array()] =
      await stage.seal();
    const { wrappedKey } = read(second).item;
    const mixed = encodeSealed({ ...read(first).item, wrappedKey });
    expect(await outcomeOf(await stage.boot([mixed, second, third]))).toBe('kms_denied');
    expect(stage.kms.events.at(-1)).toMatchObject({ errorCode: 'InvalidCiphertextException' });
  });

  it('the wrapped key of an older version: KMS refuses the context', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const older = await stage.seal();
    const [first = new Uint8Array(), ...others] = await stage.seal();
    const { wrappedKey } = read(older[0] ?? new Uint8Array()).item;
    const mixed = encodeSealed({ ...read(first).item, wrappedKey });
    expect(await outcomeOf(await stage.boot([mixed, ...others]))).toBe('kms_denied');
  });

  it('a key wrapped under another key that the attacker owns: KMS refuses, because the ARN is pinned', async () => {
    const policy = await generatedPolicy();
    const stage = await Stage.open(policy);
    await stage.kms.putKey({ arn: OTHER_KEY_ARN, policy: OPEN });
    const [first = new Uint8Array(), ...others] = await stage.seal();
    const { item, statement } = read(first);
    const { CiphertextBlob: wrappedKey = new Uint8Array() } = await clientOf(stage.kms, HOST).send(
      new EncryptCommand({
        KeyId: OTHER_KEY_ARN,
        Plaintext: new Uint8Array(32),
        EncryptionContext: { ...sealContext(statement) },
      }),
    );
    const host = await stage.boot([encodeSealed({ ...item, wrappedKey }), ...others]);
    expect(await outcomeOf(host)).toBe('kms_denied');
    expect(stage.kms.events.at(-1)).toMatchObject({ errorCode: 'IncorrectKeyException' });
  });

  it('an envelope of an earlier boot: it is for a key that is gone', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const sealed = await stage.seal();
    const first = await stage.boot(sealed);
    expect(await outcomeOf(first)).toBe('ready');
    await closeHost(first);
    stage.kms.setFault(() => FAULTS.swapped_envelope);
    expect(await outcomeOf(await stage.boot(sealed))).toBe('kms_answer_invalid');
  });

  it('older items, after an epoch with newer ones', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const older = await stage.seal();
    const newer = await stage.boot(await stage.seal());
    expect(await outcomeOf(newer)).toBe('ready');
    await closeHost(newer);
    const host = await stage.boot(older, {}, { previous: previousOf(newer) });
    expect(await outcomeOf(host)).toBe('seal_rolled_back');
    expect(asked(stage.kms)).toEqual(['Decrypt', 'Decrypt', 'Decrypt']);
  });
});

describe('a false KMS', () => {
  it('under a CA of its own: TLS does not get as far', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const sealed = await stage.seal();
    const stranger = await Stage.open(OPEN);
    // The host sends the enclave's connection to the stranger.
    const host = await new Stage(stranger.kms, stage.desk).boot(
      sealed,
      {},
      { roots: utf8(stage.kms.caPem) },
    );
    expect(await outcomeOf(host)).toBe('tls_untrusted');
    expect(stranger.kms.events).toEqual([]);
  });

  it('with a certificate of the right CA for another name', async () => {
    const stage = await Stage.open(await generatedPolicy(), { names: ['s3.example'] });
    const sealed = await stage.seal();
    expect(await outcomeOf(await stage.boot(sealed))).toBe('tls_untrusted');
    expect(asked(stage.kms)).toEqual([]);
  });

  it('that has the right name, CA and ARN, and another key: it knows nothing of the content', async () => {
    const folder = join(temporaryFolder(), 'right');
    const stage = await Stage.open(await generatedPolicy(), { folder });
    const sealed = await stage.seal();
    const copy = join(temporaryFolder(), 'false');
    await mkdir(copy);
    for (const name of ['ca.pem', 'ca-key.pem']) await cp(join(folder, name), join(copy, name));
    const impostor = await simulatedKms({ folder: copy, keys: [{ arn: KEY_ARN, policy: OPEN }] });
    const there = new Stage(impostor, stage.desk);
    // It cannot unwrap, so it says no …
    expect(await outcomeOf(await there.boot(sealed))).toBe('kms_denied');
    // … or brings a key of its own, wrapped by itself for the same item.
    const forged: Uint8Array[] = [];
    for (const bytes of sealed) {
      const { item, statement } = read(bytes);
      const encrypt = new EncryptCommand({
        KeyId: KEY_ARN,
        Plaintext: new Uint8Array(32).fill(0x41),
        EncryptionContext: { ...sealContext(statement) },
      });
      const { CiphertextBlob = new Uint8Array() } = await clientOf(impostor, OWNER).send(encrypt);
      forged.push(encodeSealed({ ...item, wrappedKey: CiphertextBlob }));
    }
    expect(await outcomeOf(await there.boot(forged))).toBe('seal_malformed');
  });
});

describe('a policy or key that changed behind the owner', () => {
  it.each(['Disabled', 'PendingDeletion'] as const)(
    'a key that is %s opens nothing',
    async (state) => {
      const policy = await generatedPolicy();
      const stage = await Stage.open(policy);
      const sealed = await stage.seal();
      await stage.kms.putKey({ arn: KEY_ARN, policy, state });
      expect(await outcomeOf(await stage.boot(sealed))).toBe('kms_denied');
    },
  );

  it('a policy that lets everybody in changes nothing for the enclave: it still wants its envelope', async () => {
    const stage = await Stage.open(OPEN);
    const sealed = await stage.seal();
    stage.kms.setFault(() => FAULTS.plaintext_instead);
    expect(await outcomeOf(await stage.boot(sealed))).toBe('kms_answer_invalid');
  });

  it('a record of a data key that KMS did not make for this image and version: KMS refuses', async () => {
    const stage = await Stage.open(await generatedPolicy());
    const ciphertext = new Uint8Array(100).fill(1);
    const record = { name: 'book', version: 1, keyArn: KEY_ARN, image: IMAGE.pcr0, ciphertext };
    const desk = ownersDesk({
      sealed: undefined,
      data_keys: [{ name: 'book', key_arn: KEY_ARN }],
      strategies: hostConfiguration().strategies,
    });
    const there = new Stage(stage.kms, desk);
    const dataKeys = { records: [encodeDataKeyRecord(record)], rotate: [] };
    const host = await there.boot([], {}, { dataKeys, items: testItems() });
    expect(await host.failure()).toMatchObject({ code: 'kms_denied', name: 'book' });
  });
});
