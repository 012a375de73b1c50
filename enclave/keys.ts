// The keys of one epoch, made at boot and never written anywhere. The log key signs checkpoints and
// nothing else; the disclosure key encrypts private leaves and is logged wrapped to compliance. Node's
// generator makes the P-256 key, from the kernel's pool; what we draw ourselves is mixed with NSM
// randomness, so that either source alone suffices. The keys of HTTPS are the desk's own.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, equalBytes, isZero, utf8 } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import { wrapDisclosureKey } from '../wire/disclosure.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Nsm } from './nsm/nsm.ts';

const SECRET_BYTES = 32;
/** GetRandom answers up to 256 bytes. */
const MIN_RANDOM_BYTES = 32;

export interface LogKey {
  readonly spki: Uint8Array;
  /** ECDSA P-256 with SHA-256, DER. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }));
}

export function generateLogKey(): LogKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const input = { key: privateKey, dsaEncoding: 'der' } as const;
  return { spki: spkiOf(publicKey), sign: (message) => sign('sha256', message, input) };
}

/** Draws secrets of 32 bytes: HKDF over the kernel's and the NSM's randomness. */
export class SecretSource {
  readonly #crypto: WireCrypto;
  readonly #nsmRandom: Uint8Array;
  #drawn = 0;

  constructor(crypto: WireCrypto, nsmRandom: Uint8Array) {
    this.#crypto = crypto;
    this.#nsmRandom = nsmRandom;
  }

  draw(): Uint8Array {
    const local = randomBytes(SECRET_BYTES);
    const info = utf8(`trackseal/secret/v1/${this.#drawn++}`);
    const secret = this.#crypto.hkdfSha256(local, this.#nsmRandom, info, SECRET_BYTES);
    local.fill(0);
    return secret;
  }

  wipe(): void {
    this.#nsmRandom.fill(0);
  }
}

/**
 * The first step of the boot: two answers of the NSM's generator that are long enough and differ. A
 * device that answers constants must not get as far as making keys.
 */
export async function checkEntropy(crypto: WireCrypto, nsm: Nsm): Promise<Result<SecretSource>> {
  const first = await nsm.random();
  if (!first.ok) return first;
  const second = await nsm.random();
  if (!second.ok) return second;
  const answers = [first.value, second.value];
  if (answers.some((bytes) => bytes.length < MIN_RANDOM_BYTES || isZero(bytes))) {
    return refuse('nsm_malformed', { request: 'GetRandom' });
  }
  if (equalBytes(first.value, second.value))
    return refuse('nsm_malformed', { request: 'GetRandom' });
  return accept(new SecretSource(crypto, concatBytes(...answers)));
}

/** The disclosure key for the header. The ephemeral key is used here only. */
export function wrapForCompliance(
  crypto: WireCrypto,
  disclosureKey: Uint8Array,
  compliancePublic: Uint8Array,
  origin: string,
): Result<Uint8Array> {
  const pair = generateKeyPairSync('x25519');
  const pkcs8 = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
  const privateKey = new Uint8Array(pkcs8.subarray(-SECRET_BYTES));
  const publicKey = spkiOf(pair.publicKey).slice(-SECRET_BYTES);
  const ephemeral = { privateKey, publicKey };
  const wrapped = wrapDisclosureKey(crypto, disclosureKey, compliancePublic, ephemeral, origin);
  pkcs8.fill(0);
  privateKey.fill(0);
  return wrapped;
}
