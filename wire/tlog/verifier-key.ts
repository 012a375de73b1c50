// The C2SP verifier key: how other tools are told which key signs an epoch's notes.

import { concatBytes, toBase64, toHex } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { noteKeyId } from './note.ts';

const TYPE_ECDSA = 0x02;

/** The C2SP verifier key, `name+hex(key id)+base64(0x02 ‖ SPKI)`, as Tessera's tools take it. */
export function verifierKey(crypto: WireCrypto, name: string, spki: Uint8Array): string {
  const key = toBase64(concatBytes(Uint8Array.of(TYPE_ECDSA), spki));
  return `${name}+${toHex(noteKeyId(crypto, spki))}+${key}`;
}
