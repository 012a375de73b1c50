// The owner's signing key: P-256, a PEM file as `openssl genpkey -algorithm EC -pkeyopt
// ec_paramgen_curve:P-256` makes it. The image measures its public part; whoever has the private one can make
// enclaves of that image run another strategy.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { toHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { readBounded } from './command-line.ts';

const MAX_BYTES = 16 * 1024;

export class OwnerKey {
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** DER in hex, as the measured manifest has it. */
  get spkiHex(): string {
    return toHex(this.spki);
  }

  get spki(): Uint8Array {
    return new Uint8Array(createPublicKey(this.#key).export({ type: 'spki', format: 'der' }));
  }

  /** ECDSA with SHA-256, DER. */
  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign('sha256', message, { key: this.#key, dsaEncoding: 'der' }));
  }
}

/** Refuses `usage_invalid` for another key, and for one with a passphrase when none was given. */
export async function readOwnerKey(
  path: string,
  passphrase: string | undefined,
): Promise<Result<OwnerKey>> {
  const bytes = await readBounded(path, MAX_BYTES);
  if (!bytes.ok) return bytes;
  const pem = Buffer.from(bytes.value);
  bytes.value.fill(0);
  try {
    const key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return accept(new OwnerKey(key));
  } catch {
    // No key, or a wrong passphrase.
  } finally {
    pem.fill(0);
  }
  return refuse('usage_invalid', {
    what: '--owner-key takes a P-256 private key in PEM (its passphrase in TRACKSEAL_OWNER_PASSPHRASE)',
    file: path,
  });
}
