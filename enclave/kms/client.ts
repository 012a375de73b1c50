// Asks KMS for keys that only this image may have: Decrypt and GenerateDataKey with Recipient, over TLS that ends
// here. KMS is trusted to keep its policies; the host in between can only make calls fail. An answer counts only
// when it is about the key that was asked for, and encrypted to us: one in the clear was made for somebody who
// is not attested. The SDK gets everything passed, so that it looks for nothing in files or the environment.

import {
  DecryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  KMSServiceException,
} from '@aws-sdk/client-kms';
import type { RefusalCode } from '../../wire/codes.ts';
import type { ConfiguredKms } from '../../wire/configuration.ts';
import type { AwsCredentials } from '../../wire/kms-frames.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { EncryptionContext } from '../../wire/sealed.ts';
import { CONTENT_KEY_BYTES, MAX_CIPHERTEXT_BLOB_BYTES } from '../../wire/sealed.ts';
import type { Egress } from '../egress.ts';
import { EgressHttp } from '../egress-http.ts';
import { Fatal } from '../fatal.ts';
import type { Credentials } from './credentials.ts';
import type { Recipient } from './recipient.ts';

/** An envelope and its blob have 6 KiB each, in base64. */
const LIMITS = { timeoutMs: 10_000, maxAnswerBytes: 64 * 1024, maxConnections: 1 };
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;
const EXPIRED: ReadonlySet<unknown> = new Set(['ExpiredTokenException', 'ExpiredToken']);
/** Names of the SDK's errors, and codes of the system's: the next try may go through. */
const TRANSIENT: ReadonlySet<unknown> = new Set(['ThrottlingException', 'AbortError']);
const NETWORK: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** How a call went wrong: what to do next, and the code when nothing helps. */
interface Failure {
  readonly next: 'stop' | 'again' | 'credentials';
  readonly code: RefusalCode;
}

const AGAIN: Failure = { next: 'again', code: 'kms_unreachable' };
const INVALID: Failure = { next: 'stop', code: 'kms_answer_invalid' };

function failureOf(error: unknown): Failure {
  // Ours: no credentials, no way, no certificate, too much.
  if (error instanceof Fatal) {
    if (error.code === 'egress_refused') return AGAIN;
    return error.code === 'frame_too_large' ? INVALID : { next: 'stop', code: error.code };
  }
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  if (TRANSIENT.has(name) || NETWORK.has(code)) return AGAIN;
  if (!(error instanceof KMSServiceException)) return INVALID;
  if (EXPIRED.has(name)) return { next: 'credentials', code: 'credentials_expired' };
  const status = error.$metadata.httpStatusCode ?? 0;
  if (status >= 500) return AGAIN;
  // An answer that names no error of KMS gets the status or `Unknown` for a name.
  const named = status === 400 && !/^\d*$|^Unknown/u.test(error.name);
  return named ? { next: 'stop', code: 'kms_denied' } : INVALID;
}

export interface KmsServices {
  readonly egress: Egress;
  readonly credentials: Credentials;
  readonly recipient: Recipient;
}

interface Answer {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
  readonly CiphertextForRecipient?: Uint8Array | undefined;
}

export interface GeneratedKey {
  readonly key: Uint8Array;
  /** What the host keeps. */
  readonly ciphertext: Uint8Array;
}

export class Kms {
  readonly #services: KmsServices;
  readonly #client: KMSClient;
  #used: AwsCredentials | null = null;

  constructor(services: KmsServices, { region, host }: ConfiguredKms) {
    this.#services = services;
    this.#client = new KMSClient({
      region,
      endpoint: `https://${host}`,
      credentials: () => this.#identity(),
      requestHandler: new EgressHttp(services.egress, LIMITS),
      // Retries are below, where the credentials are known.
      maxAttempts: 1,
      retryMode: 'standard',
      defaultsMode: 'standard',
      useDualstackEndpoint: false,
      useFipsEndpoint: false,
      authSchemePreference: ['sigv4'],
      // The clock is checked against the NSM, not set by whoever answers.
      disableClockSkewCorrection: true,
      userAgentAppId: 'trackseal',
      defaultUserAgentProvider: () => Promise.resolve([['trackseal', '1']]),
    });
    // It would send a header that the environment has.
    this.#client.middlewareStack.remove('recursionDetectionMiddleware');
  }

  /** The content key or data key in `ciphertext`. */
  async decrypt(
    keyArn: string,
    ciphertext: Uint8Array,
    context: EncryptionContext,
  ): Promise<Result<Uint8Array>> {
    const command = new DecryptCommand({
      KeyId: keyArn,
      CiphertextBlob: ciphertext,
      EncryptionContext: { ...context },
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      Recipient: this.#recipient(),
    });
    const answer = await this.#call(() => this.#client.send(command));
    if (!answer.ok) return answer;
    return answer.value.EncryptionAlgorithm === 'SYMMETRIC_DEFAULT'
      ? this.#open(keyArn, answer.value)
      : refuse('kms_answer_invalid');
  }

  async generateDataKey(keyArn: string, context: EncryptionContext): Promise<Result<GeneratedKey>> {
    const command = new GenerateDataKeyCommand({
      KeyId: keyArn,
      KeySpec: 'AES_256',
      EncryptionContext: { ...context },
      Recipient: this.#recipient(),
    });
    const answer = await this.#call(() => this.#client.send(command));
    if (!answer.ok) return answer;
    const { CiphertextBlob: ciphertext = new Uint8Array(0) } = answer.value;
    if (ciphertext.length === 0 || ciphertext.length > MAX_CIPHERTEXT_BLOB_BYTES) {
      return refuse('kms_answer_invalid');
    }
    const key = this.#open(keyArn, answer.value);
    return key.ok ? accept({ key: key.value, ciphertext }) : key;
  }

  close(): void {
    this.#client.destroy();
  }

  #open(keyArn: string, answer: Answer): Result<Uint8Array> {
    const { KeyId, Plaintext, CiphertextForRecipient: envelope } = answer;
    if (KeyId !== keyArn || envelope === undefined || (Plaintext?.length ?? 0) > 0) {
      Plaintext?.fill(0);
      return refuse('kms_answer_invalid');
    }
    const key = this.#services.recipient.open(envelope);
    if (key?.length === CONTENT_KEY_BYTES) return accept(key);
    key?.fill(0);
    return refuse('kms_answer_invalid');
  }

  #recipient(): { AttestationDocument: Uint8Array; KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } {
    const { document: AttestationDocument } = this.#services.recipient;
    return { AttestationDocument, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' };
  }

  async #identity(): Promise<{
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string;
    expiration: Date;
  }> {
    const used = await this.#services.credentials.current();
    this.#used = used;
    const { accessKeyId, secretAccessKey, sessionToken } = used;
    return {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === null ? {} : { sessionToken }),
      // So that the SDK asks again for each call.
      expiration: new Date(0),
    };
  }

  /** Again after a pause when KMS cannot answer; once with newer credentials when these have expired. */
  async #call<T>(send: () => Promise<T>): Promise<Result<T>> {
    let renewed = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return accept(await send());
      } catch (error) {
        const { next, code } = failureOf(error);
        const renew: boolean = next === 'credentials' && !renewed && this.#used !== null;
        if (renew && this.#used !== null) this.#services.credentials.reject(this.#used);
        renewed ||= renew;
        if (!renew && (next !== 'again' || attempt >= ATTEMPTS)) return refuse(code);
      }
      const pauseMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
      await new Promise<void>((resolve) => {
        setTimeout(resolve, pauseMs);
      });
    }
  }
}
