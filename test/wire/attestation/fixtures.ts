// The attestation documents in test/fixtures/attestation: real ones signed by AWS, and damaged ones.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const FOLDER: URL = new URL('../../fixtures/attestation/', import.meta.url);

export interface ManifestEntry {
  readonly file: string;
  /** Starts with ACCEPT or REJECT. */
  readonly expected: string;
  readonly sha256: string;
  readonly timestamp_ms?: number;
  readonly valid_window?: readonly [string, string];
  readonly module_id?: string;
  readonly debug_mode?: boolean;
  readonly npcrs?: number;
  readonly pcrs_nonzero: Readonly<Record<string, string>>;
  readonly nonce: string | null;
  readonly user_data: string | null;
  readonly public_key: string | null;
  readonly signature_high_s?: boolean;
}

export const MANIFEST: readonly ManifestEntry[] = JSON.parse(
  readFileSync(new URL('manifest.json', FOLDER), 'utf8'),
) as readonly ManifestEntry[];

export const ROOT_PEM: string = readFileSync(
  new URL('aws-nitro-enclaves-root-g1.pem', FOLDER),
  'utf8',
);

export const ROOT_DER: Uint8Array = new Uint8Array(new X509Certificate(ROOT_PEM).raw);

export function readFixture(file: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(file, FOLDER)));
}

export function fixturePath(file: string): string {
  return new URL(file, FOLDER).pathname;
}
