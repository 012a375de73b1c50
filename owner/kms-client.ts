// AWS KMS as an owner talks to it: the SDK with the standard chain of credentials, and its failures as refusals.
// KMS is believed about the keys that it holds; what it answers is checked against what was asked.

import {
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
} from '@aws-sdk/client-kms';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Agent } from 'node:https';
import type { RefusalDetail, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { EncryptionContext } from '../wire/sealed.ts';
import { MAX_CIPHERTEXT_BLOB_BYTES } from '../wire/sealed.ts';
import { printable, readBounded } from './command-line.ts';

const TIMEOUT_MS = 20_000;
const MAX_CA_BYTES = 256 * 1024;

/** For `parseArgs`: the same in each command that talks to KMS. */
export const KMS_OPTIONS = {
  profile: { type: 'string' },
  endpoint: { type: 'string' },
  ca: { type: 'string' },
} as const;

export const KMS_USAGE = `  --profile NAME     of ~/.aws/config; default: the standard chain of AWS credentials
  --endpoint URL     another KMS than AWS's, such as the simulator
  --ca FILE          PEM of its certificate authority; default: those of Node
`;

export interface KmsAddress {
  readonly region: string;
  readonly profile?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
}

/** Refuses `file_unreadable` for the CA and `usage_invalid` for an endpoint without TLS. */
export async function openKms(address: KmsAddress): Promise<Result<KMSClient>> {
  const { region, profile, endpoint, ca } = address;
  if (endpoint !== undefined && !/^https:\/\/[^/]+\/?$/u.test(endpoint)) {
    return refuse('usage_invalid', { what: '--endpoint takes https://HOST[:PORT]' });
  }
  const authority = ca === undefined ? null : await readBounded(ca, MAX_CA_BYTES);
  if (authority?.ok === false) return authority;
  return accept(
    new KMSClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      credentials: fromNodeProviderChain(profile === undefined ? {} : { profile }),
      maxAttempts: 3,
      requestHandler: new NodeHttpHandler({
        connectionTimeout: TIMEOUT_MS,
        requestTimeout: TIMEOUT_MS,
        httpsAgent: new Agent({
          minVersion: 'TLSv1.2',
          ...(authority === null ? {} : { ca: Buffer.from(authority.value) }),
        }),
      }),
    }),
  );
}

/** Names of errors by which KMS says no; AWS does not tell why, so neither can we. */
const DENIED: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'NotFoundException',
  'DisabledException',
  'KMSInvalidStateException',
  'IncorrectKeyException',
  'InvalidKeyUsageException',
]);
const EXPIRED: ReadonlySet<string> = new Set(['ExpiredTokenException', 'ExpiredToken']);
const UNTRUSTED =
  /^(?:SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|DEPTH_ZERO|CERT_|ERR_TLS_CERT|ERR_SSL)/u;

export interface KmsFailure {
  /** AWS's name of the error, or Node's. */
  readonly name: string;
  readonly refusal: Result<never>;
}

export function failureOf(error: unknown): KmsFailure {
  if (!(error instanceof Error)) throw error;
  const { name, message } = error;
  const status = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : {};
  const detail: RefusalDetail = { error: printable(name), message: printable(message) };
  if (DENIED.has(name)) return { name, refusal: refuse('kms_denied', detail) };
  if (EXPIRED.has(name)) return { name, refusal: refuse('credentials_expired', detail) };
  if (name === 'CredentialsProviderError') {
    return { name, refusal: refuse('credentials_missing', detail) };
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (UNTRUSTED.test(code)) return { name: code, refusal: refuse('tls_untrusted', detail) };
  const answered = status.httpStatusCode !== undefined;
  return { name, refusal: refuse(answered ? 'kms_answer_invalid' : 'kms_unreachable', detail) };
}

/** Wraps up to 4096 bytes; the answer must be about the same key. */
export async function encrypt(
  client: KMSClient,
  keyArn: string,
  context: EncryptionContext,
  plaintext: Uint8Array,
): Promise<Result<Uint8Array>> {
  try {
    const answer = await client.send(
      new EncryptCommand({
        KeyId: keyArn,
        Plaintext: plaintext,
        EncryptionContext: { ...context },
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      }),
    );
    const { CiphertextBlob: blob, KeyId, EncryptionAlgorithm } = answer;
    if (KeyId !== keyArn) return refuse('kms_answer_invalid', { field: 'KeyId' });
    if (EncryptionAlgorithm !== 'SYMMETRIC_DEFAULT') {
      return refuse('kms_answer_invalid', { field: 'EncryptionAlgorithm' });
    }
    const bytes = blob?.length ?? 0;
    if (blob === undefined || bytes === 0 || bytes > MAX_CIPHERTEXT_BLOB_BYTES) {
      return refuse('kms_answer_invalid', { field: 'CiphertextBlob', bytes });
    }
    return accept(new Uint8Array(blob));
  } catch (error) {
    return failureOf(error).refusal;
  }
}

/** What KMS says to a caller without attestation. What it gives away is wiped here and never shown. */
export type Probe = 'gave_plaintext' | 'denied' | KmsFailure;

async function probe(ask: () => Promise<{ Plaintext?: Uint8Array | undefined }>): Promise<Probe> {
  try {
    const { Plaintext } = await ask();
    Plaintext?.fill(0);
    return 'gave_plaintext';
  } catch (error) {
    const failure = failureOf(error);
    return failure.name === 'AccessDeniedException' ? 'denied' : failure;
  }
}

export function probeDecrypt(
  client: KMSClient,
  keyArn: string,
  context: EncryptionContext,
  blob: Uint8Array,
): Promise<Probe> {
  return probe(() =>
    client.send(
      new DecryptCommand({
        KeyId: keyArn,
        CiphertextBlob: blob,
        EncryptionContext: { ...context },
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      }),
    ),
  );
}

export function probeDataKey(
  client: KMSClient,
  keyArn: string,
  context: EncryptionContext,
): Promise<Probe> {
  return probe(() =>
    client.send(
      new GenerateDataKeyCommand({
        KeyId: keyArn,
        KeySpec: 'AES_256',
        EncryptionContext: { ...context },
      }),
    ),
  );
}
