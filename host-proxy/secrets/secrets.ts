// What an epoch gets besides its configuration when something comes from KMS or goes to S3.

import type { CredentialsFeed } from '../credentials/credentials-feed.ts';
import type { DataKeyStore } from './data-key-store.ts';
import type { VaultStore } from './vault-store.ts';

/** A sealed item: ciphertext to the host. */
export interface SealedFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export interface Secrets {
  readonly sealed: readonly SealedFile[];
  /** Null: the enclave's configuration has no data keys. */
  readonly dataKeys: DataKeyStore | null;
  /** Null or missing: the enclave's configuration has no desk that keeps anything. */
  readonly vault?: VaultStore | null;
  /** Null: no AWS service is used. */
  readonly credentials: CredentialsFeed | null;
}
