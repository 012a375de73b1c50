// What KMS does: each operation resolves the key, asks the policy, looks at the key's state and acts. Decrypt
// and GenerateDataKey answer CiphertextForRecipient to an attested caller, and Plaintext to any other whom the
// policy lets.

import { randomBytes } from 'node:crypto';
import { toBase64 } from '../../wire/bytes.ts';
import type { Attempt } from './authorize.ts';
import { accountOf, authorize, decide } from './authorize.ts';
import type { EnvelopeVariant } from './envelope.ts';
import { sealForRecipient } from './envelope.ts';
import {
  incorrectKey,
  invalidCiphertext,
  invalidState,
  KmsError,
  malformedPolicy,
  notFound,
  validation,
} from './errors.ts';
import type { Input } from './input.ts';
import {
  checkAlgorithm,
  contextOf,
  MAX_CIPHERTEXT_BYTES,
  MAX_PLAINTEXT_BYTES,
  requiredBytes,
  requiredText,
  textOf,
} from './input.ts';
import type { EncryptionContext, KeyStore, SimulatedKey } from './keys.ts';
import { keyOfCiphertext, newKeyArn, unwrap, wrap } from './keys.ts';
import { MAX_POLICY_CHARACTERS } from './policy.ts';
import type { Recipient } from './recipient.ts';
import { verifyRecipient } from './recipient.ts';
import type { Principal } from './signature.ts';

export interface Call {
  readonly principal: Principal;
  readonly input: Input;
  readonly nowMs: number;
  readonly variant: EnvelopeVariant;
}

/** What happened beside the answer, for the record of events and for wrong answers. */
export interface Trace {
  keyArn: string | null;
  encryptionContext: EncryptionContext;
  recipient: Recipient | null;
  plaintext: Uint8Array | null;
}

export type Answer = Readonly<Record<string, unknown>>;

const SYMMETRIC = 'SYMMETRIC_DEFAULT';

function defaultPolicy(account: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
}

const STATE_AFTER = {
  EnableKey: 'Enabled',
  DisableKey: 'Disabled',
  ScheduleKeyDeletion: 'PendingDeletion',
} as const;

function isTrue(value: unknown): boolean {
  return value === true;
}

export class Operations {
  readonly #store: KeyStore;
  readonly #region: string;
  readonly #rootDer: Uint8Array;

  constructor(store: KeyStore, region: string, rootDer: Uint8Array) {
    this.#store = store;
    this.#region = region;
    this.#rootDer = rootDer;
  }

  /** Throws KmsError; fills `trace` as far as it comes. */
  async perform(operation: string, call: Call, trace: Trace): Promise<Answer> {
    switch (operation) {
      case 'Encrypt':
        return this.#encrypt(call, trace);
      case 'Decrypt':
        return this.#decrypt(call, trace);
      case 'GenerateDataKey':
        return this.#generateDataKey(call, trace);
      case 'DescribeKey':
        return this.#describe(call, trace);
      case 'GetKeyPolicy':
        return this.#getPolicy(call, trace);
      case 'PutKeyPolicy':
        return this.#putPolicy(call, trace);
      case 'CreateKey':
        return this.#create(call, trace);
      case 'EnableKey':
      case 'DisableKey':
      case 'ScheduleKeyDeletion':
        return this.#setState(operation, call, trace);
      default:
        throw new KmsError('UnknownOperationException', '');
    }
  }

  /** A key id is looked for in the caller's own account, an ARN anywhere. */
  #resolve(principal: Principal, keyId: string): SimulatedKey {
    const isArn = keyId.startsWith('arn:');
    const arn = isArn
      ? keyId
      : `arn:aws:kms:${this.#region}:${accountOf(principal.arn)}:key/${keyId}`;
    const key = this.#store.find(arn);
    if (key !== null) return key;
    if (/^(?:alias\/|.*:alias\/)/u.test(keyId)) throw notFound(`Alias ${keyId} is not found.`);
    if (!/:key\/[0-9a-f-]{36}$/u.test(arn)) throw notFound(`Invalid keyId '${keyId}'`);
    throw notFound(`Key '${arn}' does not exist`);
  }

  #attempt(action: string, call: Call, key: SimulatedKey, trace: Trace): Attempt {
    return {
      principal: call.principal,
      action: `kms:${action}`,
      keyArn: key.arn,
      keyPolicy: key.policy,
      encryptionContext: trace.encryptionContext,
      recipient: trace.recipient,
    };
  }

  #authorized(action: string, call: Call, key: SimulatedKey, trace: Trace, use: boolean): void {
    trace.keyArn = key.arn;
    authorize(this.#attempt(action, call, key, trace));
    if (use && key.state !== 'Enabled') throw invalidState(key.arn, key.state);
    if (isTrue(call.input['DryRun'])) {
      throw new KmsError(
        'DryRunOperationException',
        'The request would have succeeded, but the DryRun option is set.',
      );
    }
  }

  #readRecipient({ input, nowMs }: Call, trace: Trace): void {
    const value = input['Recipient'];
    if (value === undefined || value === null) return;
    trace.recipient = verifyRecipient(value, this.#rootDer, nowMs);
  }

  /** Plaintext in one of its two forms. */
  #release(plaintext: Uint8Array, { variant }: Call, trace: Trace): Answer {
    trace.plaintext = plaintext;
    if (trace.recipient === null) return { Plaintext: toBase64(plaintext) };
    const envelope = sealForRecipient(plaintext, trace.recipient.spki, variant);
    return { CiphertextForRecipient: toBase64(envelope) };
  }

  #encrypt(call: Call, trace: Trace): Answer {
    const { input, principal } = call;
    const plaintext = requiredBytes(input, 'Plaintext', MAX_PLAINTEXT_BYTES);
    trace.encryptionContext = contextOf(input);
    checkAlgorithm(input);
    const key = this.#resolve(principal, requiredText(input, 'KeyId'));
    this.#authorized('Encrypt', call, key, trace, true);
    const blob = wrap(key, plaintext, trace.encryptionContext);
    return {
      CiphertextBlob: toBase64(blob),
      EncryptionAlgorithm: SYMMETRIC,
      KeyId: key.arn,
    };
  }

  #decrypt(call: Call, trace: Trace): Answer {
    const { input, principal } = call;
    const blob = requiredBytes(input, 'CiphertextBlob', MAX_CIPHERTEXT_BYTES);
    trace.encryptionContext = contextOf(input);
    checkAlgorithm(input);
    this.#readRecipient(call, trace);
    const keyId = textOf(input, 'KeyId');
    const wrappedBy = keyOfCiphertext(this.#store, blob);
    const key = keyId === null ? wrappedBy : this.#resolve(principal, keyId);
    if (key === null) {
      throw new KmsError(
        'AccessDeniedException',
        'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
      );
    }
    this.#authorized('Decrypt', call, key, trace, true);
    if (wrappedBy === null) throw invalidCiphertext();
    if (wrappedBy.arn !== key.arn) throw incorrectKey();
    const plaintext = unwrap(key, blob, trace.encryptionContext);
    const released = this.#release(plaintext, call, trace);
    return { ...released, EncryptionAlgorithm: SYMMETRIC, KeyId: key.arn };
  }

  #generateDataKey(call: Call, trace: Trace): Answer {
    const { input, principal } = call;
    trace.encryptionContext = contextOf(input);
    this.#readRecipient(call, trace);
    const key = this.#resolve(principal, requiredText(input, 'KeyId'));
    const spec = textOf(input, 'KeySpec');
    const count = input['NumberOfBytes'] ?? null;
    if ((spec === null) === (count === null)) {
      throw validation('Please specify either number of bytes or key spec.');
    }
    const bytes = spec === 'AES_256' ? 32 : spec === 'AES_128' ? 16 : count;
    if (typeof bytes !== 'number' || !Number.isInteger(bytes) || bytes < 1 || bytes > 1024) {
      throw validation(
        "1 validation error detected: Value at 'numberOfBytes' failed to satisfy constraint",
      );
    }
    this.#authorized('GenerateDataKey', call, key, trace, true);
    const plaintext = new Uint8Array(randomBytes(bytes));
    const blob = wrap(key, plaintext, trace.encryptionContext);
    const released = this.#release(plaintext, call, trace);
    return { ...released, CiphertextBlob: toBase64(blob), KeyId: key.arn };
  }

  #describe(call: Call, trace: Trace): Answer {
    const key = this.#resolve(call.principal, requiredText(call.input, 'KeyId'));
    this.#authorized('DescribeKey', call, key, trace, false);
    return { KeyMetadata: metadataOf(key) };
  }

  #getPolicy(call: Call, trace: Trace): Answer {
    const key = this.#resolve(call.principal, requiredText(call.input, 'KeyId'));
    this.#authorized('GetKeyPolicy', call, key, trace, false);
    return { Policy: key.policy, PolicyName: 'default' };
  }

  async #putPolicy(call: Call, trace: Trace): Promise<Answer> {
    const { input, principal } = call;
    const policy = requiredText(input, 'Policy', MAX_POLICY_CHARACTERS);
    const key = this.#resolve(principal, requiredText(input, 'KeyId'));
    this.#authorized('PutKeyPolicy', call, key, trace, false);
    const next: SimulatedKey = { ...key, policy };
    const stillAllowed = decide(this.#attempt('PutKeyPolicy', call, next, trace)) === null;
    if (!stillAllowed && !isTrue(input['BypassPolicyLockoutSafetyCheck'])) {
      throw malformedPolicy(
        'The new key policy will not allow you to update the key policy in the future.',
      );
    }
    await this.#store.put({ arn: key.arn, policy });
    return {};
  }

  async #create(call: Call, trace: Trace): Promise<Answer> {
    const { input, principal } = call;
    const account = accountOf(principal.arn);
    const policy = textOf(input, 'Policy', MAX_POLICY_CHARACTERS) ?? defaultPolicy(account);
    const key = await this.#store.put({ arn: newKeyArn(this.#region, account), policy });
    trace.keyArn = key.arn;
    return { KeyMetadata: metadataOf(key) };
  }

  async #setState(operation: keyof typeof STATE_AFTER, call: Call, trace: Trace): Promise<Answer> {
    const key = this.#resolve(call.principal, requiredText(call.input, 'KeyId'));
    this.#authorized(operation, call, key, trace, false);
    if (key.state === 'PendingDeletion') throw invalidState(key.arn, key.state);
    const next = STATE_AFTER[operation];
    await this.#store.put({ arn: key.arn, policy: key.policy, state: next });
    return next === 'PendingDeletion' ? { KeyId: key.arn, KeyState: next } : {};
  }
}

function metadataOf(key: SimulatedKey): Answer {
  const [, , , , account = '', resource = ''] = key.arn.split(':');
  return {
    AWSAccountId: account,
    KeyId: resource.slice('key/'.length),
    Arn: key.arn,
    CreationDate: key.createdMs / 1000,
    Enabled: key.state === 'Enabled',
    Description: 'simulated: not a key of AWS',
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: key.state,
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: SYMMETRIC,
    KeySpec: SYMMETRIC,
    EncryptionAlgorithms: [SYMMETRIC],
    MultiRegion: false,
  };
}
