// What a KMS does, asked of the simulated one, and of AWS when TRACKSEAL_TEST_KMS_KEY has the full ARN of a symmetric key
// that AWS's standard chain of credentials may encrypt and decrypt with. It costs AWS's price of thirty calls.

import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
} from '@aws-sdk/client-kms';
import type { RecipientInfo } from '@aws-sdk/client-kms';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../../../scripts/bundle.ts';
import { SimulatedRoot } from '../../../simulator/nsm/root.ts';
import { parseKeyArn } from '../../../wire/sealed.ts';
import { clientOf, documentOf, KEY_ARN, OWNER, simulatedKms } from '../../helpers/kms.ts';

const AWS_KEY = process.env['TRACKSEAL_TEST_KMS_KEY'];
if (AWS_KEY === undefined) {
  console.log('no TRACKSEAL_TEST_KMS_KEY: the contract of KMS is not compared with AWS');
}

const CONTEXT = { 'trackseal:purpose': 'strategy/contract', 'trackseal:version': '1' };
const REAL_DOCUMENT = join(
  ROOT,
  'test/fixtures/attestation/real-2026-02-06-prod-indefmap-nonce32.cbor',
);

interface Service {
  readonly name: string;
  readonly keyArn: string;
  readonly client: (changes?: { readonly accessKeyId: string }) => Promise<KMSClient>;
}

async function simulatedClient(changes?: { readonly accessKeyId: string }): Promise<KMSClient> {
  return clientOf(await simulatedKms(), { ...OWNER, ...changes });
}

function awsClient(changes?: { readonly accessKeyId: string }): Promise<KMSClient> {
  const { region = '' } = parseKeyArn(AWS_KEY ?? '') ?? {};
  const credentials = { accessKeyId: '', secretAccessKey: 'nobody' };
  const client = new KMSClient({
    region,
    maxAttempts: 2,
    ...(changes === undefined ? {} : { credentials: { ...credentials, ...changes } }),
  });
  onTestFinished(() => {
    client.destroy();
  });
  return Promise.resolve(client);
}

const SERVICES: readonly Service[] = [
  { name: 'the simulated KMS', keyArn: KEY_ARN, client: simulatedClient },
  ...(AWS_KEY === undefined ? [] : [{ name: 'AWS KMS', keyArn: AWS_KEY, client: awsClient }]),
];

/** Name of the error, or null. */
async function nameOf(sent: Promise<unknown>): Promise<string | null> {
  return sent.then(
    () => null,
    (error: Error) => error.name,
  );
}

describe.each(SERVICES)('$name', ({ keyArn, client: open }) => {
  async function wrapped(client: KMSClient, bytes = 32): Promise<Uint8Array> {
    const answer = await client.send(
      new EncryptCommand({
        KeyId: keyArn,
        Plaintext: new Uint8Array(bytes).fill(7),
        EncryptionContext: CONTEXT,
      }),
    );
    expect(answer).toMatchObject({ KeyId: keyArn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    return answer.CiphertextBlob ?? new Uint8Array();
  }

  it('unwraps what it wrapped, and names the key by its full ARN', async () => {
    const client = await open();
    const answer = await client.send(
      new DecryptCommand({
        KeyId: keyArn,
        CiphertextBlob: await wrapped(client),
        EncryptionContext: CONTEXT,
      }),
    );
    expect(answer).toMatchObject({ KeyId: keyArn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    expect(answer.Plaintext).toEqual(new Uint8Array(32).fill(7));
    expect(answer.CiphertextForRecipient).toBeUndefined();
  });

  it('makes data keys of 32 bytes', async () => {
    const client = await open();
    const answer = await client.send(
      new GenerateDataKeyCommand({ KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext: CONTEXT }),
    );
    expect([answer.KeyId, answer.Plaintext?.length]).toEqual([keyArn, 32]);
    expect(answer.CiphertextBlob?.length ?? 0).toBeLessThanOrEqual(6144);
  });

  it.each([
    ['another context', { ...CONTEXT, 'trackseal:version': '2' }],
    ['a context with one key less', { 'trackseal:purpose': 'strategy/contract' }],
    ['a context in another case', { ...CONTEXT, 'trackseal:purpose': 'Strategy/contract' }],
  ])('%s: InvalidCiphertextException', async (_, EncryptionContext) => {
    const client = await open();
    const CiphertextBlob = await wrapped(client);
    const decrypt = new DecryptCommand({ KeyId: keyArn, CiphertextBlob, EncryptionContext });
    expect(await nameOf(client.send(decrypt))).toBe('InvalidCiphertextException');
  });

  it('bytes that are no ciphertext: InvalidCiphertextException', async () => {
    const client = await open();
    const CiphertextBlob = new Uint8Array(100).fill(1);
    const decrypt = new DecryptCommand({ KeyId: keyArn, CiphertextBlob });
    expect(await nameOf(client.send(decrypt))).toBe('InvalidCiphertextException');
  });

  it.each([
    [4096, null],
    [4097, 'ValidationException'],
  ])('a plaintext of %d bytes: %s', async (bytes, expected) => {
    expect(await nameOf(wrapped(await open(), bytes))).toBe(expected);
  });

  it('a key that does not exist: NotFoundException', async () => {
    const KeyId = keyArn.replace(/key\/.*/u, 'key/00000000-0000-4000-8000-000000000000');
    const client = await open();
    expect(await nameOf(client.send(new DescribeKeyCommand({ KeyId })))).toBe('NotFoundException');
  });

  it('describes the key', async () => {
    const client = await open();
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: keyArn }));
    expect(KeyMetadata).toMatchObject({
      Arn: keyArn,
      Enabled: true,
      KeyState: 'Enabled',
      KeyUsage: 'ENCRYPT_DECRYPT',
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    });
  });

  it('a dry run: DryRunOperationException', async () => {
    const client = await open();
    const encrypt = new EncryptCommand({
      KeyId: keyArn,
      Plaintext: new Uint8Array(1),
      DryRun: true,
    });
    expect(await nameOf(client.send(encrypt))).toBe('DryRunOperationException');
  });

  it('an access key that nobody has: UnrecognizedClientException', async () => {
    const client = await open({ accessKeyId: 'AKIAIOSFODNN7NOBODY0' });
    const describeKey = new DescribeKeyCommand({ KeyId: keyArn });
    expect(await nameOf(client.send(describeKey))).toBe('UnrecognizedClientException');
  });

  const documents: readonly [string, () => Promise<Uint8Array>][] = [
    ['no document', () => Promise.resolve(new Uint8Array(100).fill(1))],
    [
      'a document under a root of its own',
      async () => documentOf({ root: await SimulatedRoot.create() }),
    ],
    [
      "AWS's own document, long expired and without a key",
      () => Promise.resolve(new Uint8Array(readFileSync(REAL_DOCUMENT))),
    ],
  ];
  it.each(documents)(
    'Recipient with %s: ValidationException, and no plaintext',
    async (_, make) => {
      const client = await open();
      const Recipient: RecipientInfo = {
        AttestationDocument: await make(),
        KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
      };
      const decrypt = new DecryptCommand({
        KeyId: keyArn,
        CiphertextBlob: await wrapped(client),
        EncryptionContext: CONTEXT,
        Recipient,
      });
      expect(await nameOf(client.send(decrypt))).toBe('ValidationException');
    },
  );
});
