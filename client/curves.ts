// X25519 and Ed25519, by the platform where it has them and by tweetnacl where it does not (browsers before 2025).
// The platform is asked with known answers, right ones and wrong ones: one that says yes to everything is not
// taken. A platform that lies on purpose owns the client anyway.

import nacl from 'tweetnacl';
import { equalBytes, isZero, parseHex } from '../wire/bytes.ts';

/** One key for one request. */
export interface EphemeralKey {
  readonly publicKey: Uint8Array;
  /** Null for a point of low order. */
  readonly agree: (publicKey: Uint8Array) => Promise<Uint8Array | null>;
}

export type CurveSource = 'platform' | 'tweetnacl';

export interface Curves {
  readonly x25519: CurveSource;
  readonly ed25519: CurveSource;
  readonly newKey: () => Promise<EphemeralKey>;
  /** False for anything malformed. */
  readonly verifyEd25519: (
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ) => Promise<boolean>;
}

export interface Platform {
  readonly getRandomValues: (bytes: Uint8Array<ArrayBuffer>) => unknown;
  /** Missing where a page did not come over https. */
  readonly subtle?: SubtleCrypto | undefined;
}

interface KeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parseHex(hex) ?? []);
}

// RFC 7748 6.1.
const ALICE = bytesOf('77076d0a7318a57d3c16c17251b26645df46b2d6e2c7d9b0b6dd0a1a9ec4a6bb');
// RFC 8032 7.1, test 2.
const SIGNER = bytesOf('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
const SIGNED = bytesOf('72');
const SIGNATURE = bytesOf(
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
);

export function randomBytes(platform: Platform, bytes: number): Uint8Array {
  const random = new Uint8Array(bytes);
  platform.getRandomValues(random);
  return random;
}

/** Never rejects: a platform that lacks a curve, or gets it wrong, is done without. */
export async function findCurves(platform: Platform): Promise<Curves> {
  const { subtle } = platform;
  const x25519 = subtle !== undefined && (await agrees(subtle));
  const ed25519 = subtle !== undefined && (await verifies(subtle));
  return {
    x25519: x25519 ? 'platform' : 'tweetnacl',
    ed25519: ed25519 ? 'platform' : 'tweetnacl',
    newKey: () => (x25519 ? platformKey(subtle) : Promise.resolve(naclKey(platform))),
    verifyEd25519: (publicKey, message, signature) =>
      ed25519
        ? platformVerify(subtle, publicKey, message, signature)
        : Promise.resolve(naclVerify(publicKey, message, signature)),
  };
}

async function platformKey(subtle: SubtleCrypto): Promise<EphemeralKey> {
  // The private half cannot be read back out.
  const pair = (await subtle.generateKey({ name: 'X25519' }, false, [
    'deriveBits',
  ])) as unknown as KeyPair;
  const publicKey = new Uint8Array(await subtle.exportKey('raw', pair.publicKey));
  return {
    publicKey,
    agree: async (other) => {
      try {
        const theirs = await subtle.importKey(
          'raw',
          new Uint8Array(other),
          { name: 'X25519' },
          false,
          [],
        );
        const bits = await subtle.deriveBits(
          { name: 'X25519', public: theirs },
          pair.privateKey,
          8 * KEY_BYTES,
        );
        return new Uint8Array(bits);
      } catch {
        // Platforms refuse points of low order by throwing.
        return null;
      }
    },
  };
}

function naclKey(platform: Platform): EphemeralKey {
  const privateKey = randomBytes(platform, KEY_BYTES);
  const publicKey = nacl.scalarMult.base(privateKey);
  return {
    publicKey,
    agree: (other) => {
      const shared = other.length === KEY_BYTES ? nacl.scalarMult(privateKey, other) : null;
      privateKey.fill(0);
      return Promise.resolve(shared === null || isZero(shared) ? null : shared);
    },
  };
}

async function platformVerify(
  subtle: SubtleCrypto,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  try {
    const name = { name: 'Ed25519' };
    const key = await subtle.importKey('raw', new Uint8Array(publicKey), name, false, ['verify']);
    return await subtle.verify(name, key, new Uint8Array(signature), new Uint8Array(message));
  } catch {
    return false;
  }
}

function naclVerify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  return nacl.sign.detached.verify(message, signature, publicKey);
}

/** Two fresh keys agree, with each other and with tweetnacl; and points of low order are refused. */
async function agrees(subtle: SubtleCrypto): Promise<boolean> {
  try {
    const key = await platformKey(subtle);
    const shared = await key.agree(nacl.scalarMult.base(ALICE));
    const expected = nacl.scalarMult(ALICE, key.publicKey);
    if (shared === null || !equalBytes(shared, expected)) return false;
    const zero = await key.agree(new Uint8Array(KEY_BYTES));
    return zero === null || isZero(zero);
  } catch {
    return false;
  }
}

async function verifies(subtle: SubtleCrypto): Promise<boolean> {
  const other = Uint8Array.of(0x73);
  return (
    (await platformVerify(subtle, SIGNER, SIGNED, SIGNATURE)) &&
    !(await platformVerify(subtle, SIGNER, other, SIGNATURE))
  );
}
