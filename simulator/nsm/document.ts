// Attestation documents as the hardware writes them since 2025: COSE_Sign1 without tag, ES384 with a
// fixed r ‖ s, a payload map of indefinite length in AWS's key order, null for absent fields.

import { webcrypto } from 'node:crypto';
import { encodeSigStructure } from '../../wire/attestation/cose.ts';
import type { AttestationDocument } from '../../wire/attestation/document.ts';
import { concatBytes, parseHex } from '../../wire/bytes.ts';
import { ES384 } from './certificates.ts';
import type { NsmValue } from './encode.ts';
import { encodeNsm } from './encode.ts';

const PROTECTED = parseHex('a1013822') ?? new Uint8Array();
const INDEFINITE_MAP = Uint8Array.of(0xbf);
const BREAK = Uint8Array.of(0xff);

/** The payload, with AWS's order of keys. */
export function encodePayload(document: AttestationDocument): Uint8Array {
  const pairs: readonly (readonly [string, NsmValue])[] = [
    ['module_id', document.moduleId],
    ['digest', 'SHA384'],
    ['timestamp', BigInt(document.timestampMs)],
    ['pcrs', document.pcrs],
    ['certificate', document.certificate],
    ['cabundle', document.cabundle],
    ['public_key', document.publicKey],
    ['user_data', document.userData],
    ['nonce', document.nonce],
  ];
  const encoded = pairs.flatMap(([key, value]) => [encodeNsm(key), encodeNsm(value)]);
  return concatBytes(INDEFINITE_MAP, ...encoded, BREAK);
}

/** A COSE_Sign1 over any payload. */
export async function signPayload(
  payload: Uint8Array,
  privateKey: webcrypto.CryptoKey,
): Promise<Uint8Array> {
  const signed = encodeSigStructure(PROTECTED, payload);
  const signature = new Uint8Array(await webcrypto.subtle.sign(ES384, privateKey, signed.slice()));
  return encodeNsm([PROTECTED, new Map(), payload, signature]);
}
