// What proves to KMS who asks: an attestation document with the public half of an RSA key of this boot. Only the
// holder of the private half can read an answer, so a document that somebody else sends again gains nothing.

import { generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { Nsm } from '../nsm/nsm.ts';
import { openEnvelope } from './cms.ts';

const RSA_BITS = 2048;

export class Recipient {
  /** Of purpose `kms`. */
  readonly document: Uint8Array;
  readonly #privateKey: KeyObject;
  readonly #spkiHash: Uint8Array;

  private constructor(document: Uint8Array, privateKey: KeyObject, spkiHash: Uint8Array) {
    this.document = document;
    this.#privateKey = privateKey;
    this.#spkiHash = spkiHash;
  }

  /** Once per boot; a document is good for as long as its certificates, which is hours. */
  static async create(
    crypto: WireCrypto,
    nsm: Pick<Nsm, 'attest'>,
    identity: { readonly origin: string; readonly configDigest: Uint8Array },
  ): Promise<Result<Recipient>> {
    const pair = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
    const spki = new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }));
    const userData = encodeUserData({
      purpose: PURPOSE.kms,
      ...identity,
      head: null,
      leafZeroHash: null,
      x25519Key: null,
      tlsKeyHash: null,
      ed25519Key: null,
    });
    const document = await nsm.attest({ userData, nonce: null, publicKey: spki });
    if (!document.ok) return document;
    return accept(new Recipient(document.value, pair.privateKey, crypto.sha256(spki)));
  }

  /** Null for whatever is wrong with it. */
  open(envelope: Uint8Array): Uint8Array | null {
    return openEnvelope(this.#privateKey, this.#spkiHash, envelope);
  }
}
