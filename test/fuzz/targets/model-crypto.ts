// Cryptography for the checks behind a signature. `modelCrypto` has signatures that anybody can make: a hash
// of key and message in the form that the parsers want, so that a mutant can be signed again. `rememberingCrypto` is
// the real one with the answers of the last verifications kept, because mutants repeat them.

import { concatBytes, equalBytes, toHex } from '../../../wire/bytes.ts';
import type { WireCrypto } from '../../../wire/crypto.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';

const MAX_REMEMBERED = 4096;
const INTEGER_BYTES = 48;

function digest(spki: Uint8Array, message: Uint8Array): Uint8Array {
  const bytes = nodeCrypto.sha384(spki, message);
  // A positive integer of 48 bytes, in its shortest form.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

/** r ‖ s of 96 bytes. */
export function signRaw(spki: Uint8Array, message: Uint8Array): Uint8Array {
  const half = digest(spki, message);
  return concatBytes(half, half);
}

/** SEQUENCE { INTEGER r, INTEGER s }. */
export function signDer(spki: Uint8Array, message: Uint8Array): Uint8Array {
  const integer = concatBytes(Uint8Array.of(2, INTEGER_BYTES), digest(spki, message));
  return concatBytes(Uint8Array.of(0x30, 2 * integer.length), integer, integer);
}

export const modelCrypto: WireCrypto = {
  ...nodeCrypto,
  verifyP256Der: (spki, message, signature) => equalBytes(signDer(spki, message), signature),
  verifyP384Der: (spki, message, signature) => equalBytes(signDer(spki, message), signature),
  verifyP384Raw: (spki, message, signature) => equalBytes(signRaw(spki, message), signature),
};

type Verify = (spki: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

const remembered: Map<string, boolean>[] = [];

/** Of what is remembered nothing is a parser's. */
export function forgetVerifications(): void {
  for (const answers of remembered) answers.clear();
}

function remembering(verify: Verify): Verify {
  const answers = new Map<string, boolean>();
  remembered.push(answers);
  return (spki, message, signature) => {
    const parts = [spki, message, signature].map((part) => nodeCrypto.sha256(part));
    const key = toHex(nodeCrypto.sha256(...parts));
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = verify(spki, message, signature);
    if (answers.size === MAX_REMEMBERED) answers.clear();
    answers.set(key, answer);
    return answer;
  };
}

export const rememberingCrypto: WireCrypto = {
  ...nodeCrypto,
  verifyP256Der: remembering((...signed) => nodeCrypto.verifyP256Der(...signed)),
  verifyP384Der: remembering((...signed) => nodeCrypto.verifyP384Der(...signed)),
  verifyP384Raw: remembering((...signed) => nodeCrypto.verifyP384Raw(...signed)),
};
