// The keys of a desk, made when it starts, for one epoch, and never written anywhere: TLS for HTTPS, X25519 for
// what clients encrypt to the enclave, Ed25519 for results. Node makes them, from the kernel's pool. Their
// public halves go to the core, which has them attested.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { DeskPublicKeys } from '../../wire/desk-frames.ts';

const RAW_KEY_BYTES = 32;

export interface TlsKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** DER. */
  readonly spki: Uint8Array;
  readonly spkiHash: Uint8Array;
}

export interface DeskKeys {
  readonly tls: TlsKey;
  readonly x25519: { readonly privateKey: KeyObject; readonly publicKey: Uint8Array };
  readonly ed25519: {
    readonly sign: (message: Uint8Array) => Uint8Array;
    readonly publicKey: Uint8Array;
  };
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }));
}

export function generateTlsKey(): TlsKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = spkiOf(publicKey);
  const spkiHash = new Uint8Array(createHash('sha256').update(spki).digest());
  return { privateKey, publicKey, spki, spkiHash };
}

export function generateDeskKeys(): DeskKeys {
  const x25519 = generateKeyPairSync('x25519');
  const ed25519 = generateKeyPairSync('ed25519');
  return {
    tls: generateTlsKey(),
    x25519: {
      privateKey: x25519.privateKey,
      publicKey: spkiOf(x25519.publicKey).slice(-RAW_KEY_BYTES),
    },
    ed25519: {
      sign: (message) => new Uint8Array(sign(null, message, ed25519.privateKey)),
      publicKey: spkiOf(ed25519.publicKey).slice(-RAW_KEY_BYTES),
    },
  };
}

export function publicKeysOf({ tls, x25519, ed25519 }: DeskKeys): DeskPublicKeys {
  return { tlsSpki: tls.spki, x25519: x25519.publicKey, ed25519: ed25519.publicKey };
}
