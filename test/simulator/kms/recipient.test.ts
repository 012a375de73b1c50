// Answers for attested callers: the envelope byte for byte as AWS writes it, and which documents are taken.

import { execFile } from 'node:child_process';
import { constants, createDecipheriv, createHash, privateDecrypt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateKeyPairSync } from 'node:crypto';
import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import type { DecryptCommandOutput, KMSClient } from '@aws-sdk/client-kms';
import { describe, expect, it, onTestFinished } from 'vitest';
import { encodeEnvelope, sealForRecipient } from '../../../simulator/kms/envelope.ts';
import { SimulatedRoot } from '../../../simulator/nsm/root.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import {
  clientOf,
  documentOf,
  HOST,
  IMAGE,
  KEY_ARN,
  OWNER,
  recipientKey,
  recipientOf,
  simulatedKms,
} from '../../helpers/kms.ts';

const SECRET = new Uint8Array(32).fill(9);
const FIXTURES = join(ROOT, '../shared/fixtures/kms');
const HAVE_FIXTURES = existsSync(FIXTURES);
if (!HAVE_FIXTURES) console.log('not here: ../shared/fixtures/kms, so AWS bytes are not compared');

/** Offsets in an envelope for RSA-2048, in either variant. */
const SKI = { from: 33, to: 65 };
const KEY = { from: 131, to: 387 };

function ivOf(envelope: Uint8Array): number {
  return Buffer.from(envelope).indexOf(Buffer.from('060960864801650304012a0410', 'hex')) + 13;
}

/** Takes an envelope apart by position: enough for what AWS writes, and for nothing else. */
function partsOf(envelope: Uint8Array): {
  keyIdentifier: Uint8Array;
  encryptedKey: Uint8Array;
  iv: Uint8Array;
  ciphertext: Uint8Array;
  variant: 'A' | 'B';
} {
  const at = ivOf(envelope);
  const variant = envelope[at + 16] === 0xa0 ? 'A' : 'B';
  const header = variant === 'A' ? at + 18 : at + 16;
  const long = (envelope[header + 1] ?? 0) === 0x81;
  const length = envelope[header + (long ? 2 : 1)] ?? 0;
  const start = header + (long ? 3 : 2);
  return {
    keyIdentifier: envelope.slice(SKI.from, SKI.to),
    encryptedKey: envelope.slice(KEY.from, KEY.to),
    iv: envelope.slice(at, at + 16),
    ciphertext: envelope.slice(start, start + length),
    variant,
  };
}

function openEnvelope(envelope: Uint8Array): Uint8Array {
  const { encryptedKey, iv, ciphertext, keyIdentifier } = partsOf(envelope);
  const { privateKey, spki } = recipientKey();
  expect(keyIdentifier).toEqual(new Uint8Array(createHash('sha256').update(spki).digest()));
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256' }, encryptedKey);
  const decipher = createDecipheriv('aes-256-cbc', key, iv);
  return new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
}

async function wrapped(client: KMSClient): Promise<Uint8Array> {
  const answer = await client.send(new EncryptCommand({ KeyId: KEY_ARN, Plaintext: SECRET }));
  return answer.CiphertextBlob ?? new Uint8Array();
}

describe('an envelope', () => {
  it.skipIf(!HAVE_FIXTURES).each([
    ['aws-samples-eks-wallet', 'A'],
    ['synthetic-primitive-ctx0', 'B'],
  ] as const)('of the parts of %s is that one, byte for byte (form %s)', (name, variant) => {
    const real = new Uint8Array(
      readFileSync(join(FIXTURES, `${name}.ciphertext-for-recipient.ber`)),
    );
    const parts = partsOf(real);
    expect(parts.variant).toBe(variant);
    expect(Buffer.from(encodeEnvelope(parts, variant)).toString('hex')).toBe(
      Buffer.from(real).toString('hex'),
    );
  });

  it('in form A has all of a long content in chunks, in order', () => {
    const ciphertext = Uint8Array.from({ length: 2016 }, (_, at) => at % 251);
    const parts = {
      keyIdentifier: new Uint8Array(32),
      encryptedKey: new Uint8Array(256),
      iv: new Uint8Array(16),
      ciphertext,
    };
    const text = Buffer.from(encodeEnvelope(parts, 'A')).toString('hex');
    const content = Buffer.from(ciphertext).toString('hex');
    const chunks = `a080048203e8${content.slice(0, 2000)}048203e8${content.slice(2000, 4000)}0410${content.slice(4000)}0000`;
    expect(text.endsWith(`${chunks}${'0000'.repeat(4)}`)).toBe(true);
  });

  it.each(['A', 'B'] as const)('in form %s is opened by OpenSSL', async (variant) => {
    const { privateKey, spki } = recipientKey();
    const folder = await mkdtemp(join(tmpdir(), 'cms-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    writeFileSync(join(folder, 'in'), sealForRecipient(SECRET, spki, variant));
    writeFileSync(join(folder, 'key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const args = 'cms -decrypt -binary -inform DER -in in -inkey key -out out'.split(' ');
    await promisify(execFile)('openssl', args, { cwd: folder });
    expect(new Uint8Array(readFileSync(join(folder, 'out')))).toEqual(SECRET);
  });
});

async function ask(
  client: KMSClient,
  AttestationDocument: Uint8Array,
): Promise<DecryptCommandOutput> {
  return client.send(
    new DecryptCommand({
      KeyId: KEY_ARN,
      CiphertextBlob: await wrapped(client),
      Recipient: { AttestationDocument, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' },
    }),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('with Recipient', () => {
  it('Decrypt and GenerateDataKey answer CiphertextForRecipient and no Plaintext, in both forms', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const variants: string[] = [];
    for (let round = 0; round < 2; round++) {
      const { Plaintext, CiphertextForRecipient } = await ask(client, await documentOf());
      expect(Plaintext).toBeUndefined();
      const opened = CiphertextForRecipient ?? new Uint8Array();
      expect(openEnvelope(opened)).toEqual(SECRET);
      variants.push(partsOf(opened).variant);
      const made = await client.send(
        new GenerateDataKeyCommand({
          KeyId: KEY_ARN,
          KeySpec: 'AES_256',
          Recipient: await recipientOf(),
        }),
      );
      expect(made.Plaintext).toBeUndefined();
      const envelope = made.CiphertextForRecipient ?? new Uint8Array();
      const clear = await client.send(
        new DecryptCommand({ KeyId: KEY_ARN, CiphertextBlob: made.CiphertextBlob }),
      );
      expect(openEnvelope(envelope)).toEqual(clear.Plaintext);
      variants.push(partsOf(envelope).variant);
    }
    expect(variants).toEqual(['A', 'B', 'A', 'B']);
  });

  it('the record of events names the enclave', async () => {
    const kms = await simulatedKms();
    await ask(clientOf(kms, OWNER), await documentOf());
    expect(kms.events.at(-1)).toMatchObject({
      eventName: 'Decrypt',
      additionalEventData: {
        recipient: {
          attestationDocumentEnclaveImageDigest: hex(IMAGE.pcr0),
          attestationDocumentEnclavePCR1: hex(IMAGE.pcr1),
          attestationDocumentEnclavePCR2: hex(IMAGE.pcr2),
        },
      },
    });
  });

  it('a document can be used again: KMS asks for no nonce', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const document = await documentOf();
    await ask(client, document);
    expect((await ask(client, document)).CiphertextForRecipient).toBeInstanceOf(Uint8Array);
  });

  it('flipping any byte of a document is refused: ValidationException', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const document = await documentOf();
    for (let at = 0; at < document.length; at += 97) {
      const changed = document.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(ask(client, changed), `byte ${at}`).rejects.toMatchObject({
        name: 'ValidationException',
      });
    }
  });

  it('a document under another root is refused', async () => {
    const kms = await simulatedKms();
    const document = await documentOf({ root: await SimulatedRoot.create() });
    await expect(ask(clientOf(kms, OWNER), document)).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  it.each([
    ['four hours old, its certificate expired', -4 * 3_600_000],
    ['of tomorrow', 86_400_000],
  ])('a document %s is refused', async (_, offsetMs) => {
    const kms = await simulatedKms();
    const document = await documentOf({ now: () => Date.now() + offsetMs });
    await expect(ask(clientOf(kms, OWNER), document)).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  it('a document of an hour ago is taken', async () => {
    const kms = await simulatedKms();
    const document = await documentOf({ now: () => Date.now() - 3_600_000 });
    expect((await ask(clientOf(kms, OWNER), document)).CiphertextForRecipient).toBeDefined();
  });

  it.each([
    ['no key', null],
    ['an elliptic curve key', 'ec'],
    ['an RSA key of 1024 bits', 1024],
  ])('a document with %s is refused', async (_, kind) => {
    const kms = await simulatedKms();
    const pair =
      kind === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 1024 });
    const spki =
      kind === null ? null : new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }));
    await expect(ask(clientOf(kms, OWNER), await documentOf({}, spki))).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  it('another key encryption algorithm is refused', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, HOST);
    const Recipient = { ...(await recipientOf()), KeyEncryptionAlgorithm: 'RSAES_PKCS1' as never };
    await expect(
      client.send(new GenerateDataKeyCommand({ KeyId: KEY_ARN, KeySpec: 'AES_256', Recipient })),
    ).rejects.toMatchObject({ name: 'ValidationException' });
  });
});
