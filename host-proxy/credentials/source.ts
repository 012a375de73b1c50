// Where the host gets AWS credentials from: IMDSv2 of its instance, or the standard provider chain. They are
// short-lived, of the host's own role, and pushed to the enclave; who has them can do what the role may, which
// is why a key policy asks for an attestation. Never logged: of an error only its name is passed on.

import type { AwsCredentials } from '../../wire/kms-messages.ts';

export const CREDENTIALS_SOURCES = ['imds', 'chain'] as const;
export type CredentialsSourceName = (typeof CREDENTIALS_SOURCES)[number];

/** Each call asks anew. */
export type CredentialsSource = () => Promise<SourcedCredentials>;

export type SourcedCredentials =
  | { readonly ok: true; readonly credentials: AwsCredentials }
  /** A short name of what went wrong, fit for a log. */
  | { readonly ok: false; readonly reason: string };

interface SdkCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly expiration?: Date | undefined;
  /** Of IMDS: the SDK goes on with expired credentials and invents a later expiry. */
  readonly originalExpiration?: Date | undefined;
}

/** For credentials that do not say when they expire: taken anew after this. */
const UNDATED_MS = 3_600_000;

function nothing(): void {
  // The SDK logs what it was answered; nothing of that is for our log.
}
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** IMDSv1, which any request forger on the host can ask, is never used. */
const OPTIONS = { ec2MetadataV1Disabled: true, logger: SILENT, timeout: 2000, maxRetries: 1 };

export function credentialsSource(
  name: CredentialsSourceName,
  nowMs: () => number = Date.now,
): CredentialsSource {
  return async () => {
    try {
      // Loaded when it is asked for: most commands never do.
      const providers = await import('@aws-sdk/credential-providers');
      // A new provider for each call: one of the SDK remembers.
      const provider =
        name === 'imds'
          ? providers.fromInstanceMetadata(OPTIONS)
          : providers.fromNodeProviderChain(OPTIONS);
      return judge(await provider(), nowMs());
    } catch (error) {
      return { ok: false, reason: nameOf(error) };
    }
  };
}

function judge(found: SdkCredentials, nowMs: number): SourcedCredentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, originalExpiration } = found;
  const expiresMs = (originalExpiration ?? expiration)?.getTime() ?? nowMs + UNDATED_MS;
  if (!(expiresMs > nowMs)) return { ok: false, reason: 'expired' };
  const credentials = {
    accessKeyId,
    secretAccessKey,
    sessionToken: sessionToken ?? null,
    expiresMs,
  };
  return { ok: true, credentials };
}

/** The class of an error, never its message: that may have what a service answered. */
function nameOf(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  return /^[A-Za-z0-9]{1,64}$/u.test(name) ? name : 'unknown';
}
