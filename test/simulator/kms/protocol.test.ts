// The simulated KMS through AWS's own SDK, and with requests that the SDK would not make.

import { request } from 'node:https';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RunningKms } from '../../../simulator/kms/server.ts';
import type { Principal } from '../../../simulator/kms/signature.ts';
import {
  clientOf,
  HOST,
  HOST_ACCOUNT,
  KEY_ARN,
  openPolicy,
  OTHER_KEY_ARN,
  OWNER,
  PRINCIPALS,
  simulatedKms,
  simulatedRoot,
} from '../../helpers/kms.ts';
import { startKms } from '../../../simulator/kms/server.ts';

const CONTEXT = { 'trackseal:purpose': 'strategy/one', 'trackseal:version': '1' };
const SECRET = new Uint8Array(32).fill(7);

async function encrypt(client: KMSClient, keyId: string = KEY_ARN): Promise<Uint8Array> {
  const command = new EncryptCommand({
    KeyId: keyId,
    Plaintext: SECRET,
    EncryptionContext: CONTEXT,
  });
  return (await client.send(command)).CiphertextBlob ?? new Uint8Array();
}

function decrypt(
  client: KMSClient,
  blob: Uint8Array,
  keyId: string | undefined = KEY_ARN,
  context: Record<string, string> = CONTEXT,
): Promise<{ Plaintext?: Uint8Array | undefined; KeyId?: string | undefined }> {
  return client.send(
    new DecryptCommand({ CiphertextBlob: blob, KeyId: keyId, EncryptionContext: context }),
  );
}

describe('without Recipient', () => {
  it('wraps and unwraps for whom the policy lets, across accounts', async () => {
    const kms = await simulatedKms();
    const blob = await encrypt(clientOf(kms, OWNER));
    const answer = await decrypt(clientOf(kms, HOST), blob);
    expect(answer).toMatchObject({ KeyId: KEY_ARN, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    expect(answer.Plaintext).toEqual(SECRET);
    expect(kms.events.map(({ eventName, errorCode }) => [eventName, errorCode])).toEqual([
      ['Encrypt', null],
      ['Decrypt', null],
    ]);
    expect(kms.events[1]?.requestParameters).toEqual({
      keyId: KEY_ARN,
      encryptionContext: CONTEXT,
    });
  });

  it('makes data keys, wrapped and in the clear', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, HOST);
    const made = await client.send(
      new GenerateDataKeyCommand({
        KeyId: KEY_ARN,
        KeySpec: 'AES_256',
        EncryptionContext: CONTEXT,
      }),
    );
    expect(made.Plaintext).toHaveLength(32);
    expect(made.KeyId).toBe(KEY_ARN);
    const opened = await decrypt(client, made.CiphertextBlob ?? new Uint8Array());
    expect(opened.Plaintext).toEqual(made.Plaintext);
  });

  it.each([
    ['another context', { KeyId: KEY_ARN, context: { 'trackseal:purpose': 'strategy/two' } }],
    ['no context', { KeyId: KEY_ARN, context: {} }],
  ])('with %s: InvalidCiphertextException', async (_, { KeyId, context }) => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const blob = await encrypt(client);
    await expect(decrypt(client, blob, KeyId, context)).rejects.toMatchObject({
      name: 'InvalidCiphertextException',
    });
  });

  it('every flipped byte of a ciphertext is refused', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const blob = await encrypt(client);
    for (let at = 0; at < blob.length; at += 7) {
      const changed = blob.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      await expect(decrypt(client, changed), `byte ${at}`).rejects.toMatchObject({
        name: 'InvalidCiphertextException',
      });
    }
  });

  it('refuses a ciphertext of another key than the named one', async () => {
    const policy = openPolicy(...PRINCIPALS);
    const kms = await simulatedKms({
      keys: [
        { arn: KEY_ARN, policy },
        { arn: OTHER_KEY_ARN, policy },
      ],
    });
    const client = clientOf(kms, OWNER);
    const blob = await encrypt(client, OTHER_KEY_ARN);
    await expect(decrypt(client, blob)).rejects.toMatchObject({
      name: 'IncorrectKeyException',
      message: 'The key ID in the request does not identify a CMK that can perform this operation.',
    });
    expect((await decrypt(client, blob, OTHER_KEY_ARN)).Plaintext).toEqual(SECRET);
  });

  it('a key id without an account is looked for in the own account', async () => {
    const kms = await simulatedKms();
    const id = KEY_ARN.replace(/^.*key\//u, '');
    const blob = await encrypt(clientOf(kms, OWNER), id);
    expect(blob.length).toBeGreaterThan(0);
    await expect(encrypt(clientOf(kms, HOST), id)).rejects.toMatchObject({
      name: 'NotFoundException',
      message: `Key 'arn:aws:kms:eu-central-1:${HOST_ACCOUNT}:key/${id}' does not exist`,
    });
  });
});

describe('the key', () => {
  it('disabled or waiting for its deletion does nothing', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const blob = await encrypt(client);
    await client.send(new DisableKeyCommand({ KeyId: KEY_ARN }));
    await expect(decrypt(client, blob)).rejects.toMatchObject({
      name: 'DisabledException',
      message: `${KEY_ARN} is disabled.`,
    });
    const described = await client.send(new DescribeKeyCommand({ KeyId: KEY_ARN }));
    expect(described.KeyMetadata).toMatchObject({ KeyState: 'Disabled', Enabled: false });
    await client.send(new ScheduleKeyDeletionCommand({ KeyId: KEY_ARN }));
    await expect(decrypt(client, blob)).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
      message: `${KEY_ARN} is pending deletion.`,
    });
  });

  it('made by CreateKey belongs to the caller, under the default policy', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, HOST);
    const made = await client.send(new CreateKeyCommand({}));
    const arn = made.KeyMetadata?.Arn ?? '';
    expect(arn).toContain(`:${HOST_ACCOUNT}:key/`);
    const { Policy } = await client.send(new GetKeyPolicyCommand({ KeyId: arn }));
    expect(JSON.parse(Policy ?? '')).toMatchObject({ Id: 'key-default-1' });
    expect(await encrypt(client, arn)).toBeInstanceOf(Uint8Array);
    await expect(encrypt(clientOf(kms, OWNER), arn)).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  it('a policy that locks everybody out needs to be asked for', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    const Policy = openPolicy(HOST);
    await expect(
      client.send(new PutKeyPolicyCommand({ KeyId: KEY_ARN, Policy })),
    ).rejects.toMatchObject({ name: 'MalformedPolicyDocumentException' });
    await client.send(
      new PutKeyPolicyCommand({
        KeyId: KEY_ARN,
        Policy,
        BypassPolicyLockoutSafetyCheck: true,
      }),
    );
    await expect(encrypt(client)).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: `User: ${OWNER.arn} is not authorized to perform: kms:Encrypt on resource: ${KEY_ARN} because no resource-based policy allows the kms:Encrypt action`,
    });
  });

  it.each([
    ['{', /^This policy contains invalid Json$/u],
    ['{"Statement":[]}', /\(Statement\)/u],
    ['{"Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}', /either a Principal/u],
    [
      '{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEqual":{"a":"b"}}}}',
      /^Invalid Condition type : StringEqual$/u,
    ],
  ])('is not given the policy %j', async (Policy, message) => {
    const kms = await simulatedKms();
    const put = clientOf(kms, OWNER).send(new PutKeyPolicyCommand({ KeyId: KEY_ARN, Policy }));
    await expect(put).rejects.toMatchObject({
      name: 'MalformedPolicyDocumentException',
      message: expect.stringMatching(message),
    });
  });
});

describe('a folder', () => {
  it('keeps keys, policies and CA across a restart, readable by its owner only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kms-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const first = await simulatedKms({ folder });
    const blob = await encrypt(clientOf(first, OWNER));
    await first.close();
    const { certificateDer } = await simulatedRoot();
    const second = await startKms({
      attestationRootDer: certificateDer,
      principals: PRINCIPALS,
      folder,
    });
    onTestFinished(() => second.close());
    expect(second.caPem).toBe(first.caPem);
    expect((await decrypt(clientOf(second, OWNER, first.caPem), blob)).Plaintext).toEqual(SECRET);
    for (const name of ['keys.json', 'ca-key.pem']) {
      expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600);
    }
    const kept = await readFile(join(folder, 'keys.json'), 'utf8');
    expect(JSON.parse(kept)).toMatchObject({ keys: [{ arn: KEY_ARN }] });
  });
});

/** What the client got: null, or name and message of the error. */
async function failure(
  kms: RunningKms,
  principal: Principal,
): Promise<{ readonly name: string; readonly message: string } | null> {
  return encrypt(clientOf(kms, principal)).then(
    () => null,
    (error: Error) => ({ name: error.name, message: error.message }),
  );
}

describe('who signs', () => {
  it('with a wrong secret: InvalidSignatureException', async () => {
    const kms = await simulatedKms();
    expect(await failure(kms, { ...OWNER, secretAccessKey: 'guessed' })).toMatchObject({
      name: 'InvalidSignatureException',
      message: expect.stringContaining('The request signature we calculated does not match'),
    });
  });

  it.each([
    ['an unknown key', { ...OWNER, accessKeyId: 'AKIANOBODY' }],
    ['no session token', { ...HOST, sessionToken: undefined }],
    ['another session token', { ...HOST, sessionToken: 'another' }],
  ])('with %s: UnrecognizedClientException', async (_, { sessionToken, ...rest }) => {
    const kms = await simulatedKms();
    const principal = sessionToken === undefined ? rest : { ...rest, sessionToken };
    expect(await failure(kms, principal)).toMatchObject({
      name: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    });
  });

  it.each([
    [-1, null],
    [0, 'ExpiredTokenException'],
  ])('%d ms after the expiry of temporary credentials: %s', async (offsetMs, expected) => {
    const nowMs = Date.now();
    const expiresMs = nowMs - offsetMs;
    const kms = await simulatedKms({
      principals: [{ ...HOST, expiresMs }],
      now: () => nowMs,
    });
    const error = await failure(kms, HOST);
    expect(error?.name ?? null).toBe(expected);
  });

  it.each([
    [300_000, null],
    [302_000, 'Signature expired'],
    [-298_000, null],
    [-302_000, 'Signature not yet current'],
  ])('with a clock that is %d ms behind: %s', async (behindMs, expected) => {
    // AWS's SDK signs whole seconds of its own clock.
    const kms = await simulatedKms({ now: () => Math.floor(Date.now() / 1000) * 1000 + behindMs });
    const error = await failure(kms, OWNER);
    expect(error?.name ?? null).toBe(expected === null ? null : 'InvalidSignatureException');
    expect(error?.message ?? '').toContain(expected ?? '');
  });

  it('for another region: InvalidSignatureException', async () => {
    const kms = await simulatedKms();
    const elsewhere = { ...kms, region: 'us-east-1' };
    expect(await failure(elsewhere, OWNER)).toMatchObject({
      name: 'InvalidSignatureException',
      message: expect.stringContaining("not 'us-east-1'"),
    });
  });
});

interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

function raw(kms: RunningKms, headers: Record<string, string>, body: string): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(
      `${kms.endpoint}/`,
      { method: 'POST', ca: kms.caPem, headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: JSON.parse(Buffer.concat(chunks).toString('utf8')),
          });
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

describe('a request that no SDK makes', () => {
  it('unsigned: MissingAuthenticationTokenException, from what says that it is a simulator', async () => {
    const kms = await simulatedKms();
    const answer = await raw(kms, { 'x-amz-target': 'TrentService.Decrypt' }, '{}');
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
    expect(answer.headers['x-trackseal-simulator']).toBe('kms; not AWS');
  });

  it('half signed: IncompleteSignatureException', async () => {
    const kms = await simulatedKms();
    const authorization = 'AWS4-HMAC-SHA256 Credential=AKIAOWNER/20260101/eu-central-1/kms';
    const answer = await raw(kms, { authorization }, '{}');
    expect(answer.body).toMatchObject({ __type: 'IncompleteSignatureException' });
  });

  it('signed for another body, or with a header beside the signed ones: refused', async () => {
    const kms = await simulatedKms();
    const client = clientOf(kms, OWNER);
    let seen: { headers: Record<string, string>; body: string } | null = null;
    client.middlewareStack.add(
      (next) => (args) => {
        const { headers, body } = args.request as { headers: Record<string, string>; body: Buffer };
        seen = { headers: { ...headers }, body: new TextDecoder().decode(body) };
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low' },
    );
    await encrypt(client);
    const { headers, body } = seen ?? { headers: {}, body: '' };
    expect((await raw(kms, headers, body)).status).toBe(200);
    const swapped = body.replace('strategy/one', 'strategy/two');
    expect((await raw(kms, { ...headers }, swapped)).body).toMatchObject({
      __type: 'InvalidSignatureException',
    });
    const injected = { ...headers, 'x-amz-injected': 'yes' };
    expect((await raw(kms, injected, body)).body).toMatchObject({
      __type: 'InvalidSignatureException',
    });
    const target = { ...headers, 'x-amz-target': 'TrentService.DisableKey' };
    expect((await raw(kms, target, body)).body).toMatchObject({
      __type: 'InvalidSignatureException',
    });
  });

  it('a client that does not know the CA does not get as far', async () => {
    const kms = await simulatedKms();
    const { pem } = await simulatedRoot();
    await expect(encrypt(clientOf(kms, OWNER, pem))).rejects.toThrow(/certificate/iu);
    expect(kms.events).toEqual([]);
  });
});
