// SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL has it, the server's side: the password is never sent, and the client
// learns that the server knows it too. A client that is wrong or hostile learns nothing but that it was refused; a user that
// is not there is answered like one that is.
//
//   client → n,,n=*,r=NONCE              server → r=NONCE+OURS,s=SALT,i=ITERATIONS
//   client → c=biws,r=NONCE+OURS,p=PROOF  server → v=SIGNATURE

import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

export const SCRAM = 'SCRAM-SHA-256';
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const NONCE_BYTES = 18;
const KEY_BYTES = 32;
/** Printable ASCII without a comma. */
const NONCE = /^[\x21-\x2b\x2d-\x7e]{8,128}$/u;
/** No channel binding: `n`, or `y` for a client that could. */
const FIRST = /^(?<head>[ny],,)(?<bare>n=[^,]*,r=(?<nonce>[^,]+))$/u;
const FINAL =
  /^(?<unsigned>c=(?<binding>[^,]+),r=(?<nonce>[^,]+)),p=(?<proof>[A-Za-z0-9+/]+={0,2})$/u;

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export interface ScramQuestion {
  readonly message: string;
  /** The last message for a client that knows the password; null for another. */
  readonly verify: (final: string) => string | null;
}

/** Null for a first message that is none. */
export function answerScram(first: string, password: string): ScramQuestion | null {
  const { head = '', bare = '', nonce = '' } = FIRST.exec(first)?.groups ?? {};
  if (!NONCE.test(nonce)) return null;
  const salt = randomBytes(SALT_BYTES);
  const whole = `${nonce}${randomBytes(NONCE_BYTES).toString('base64')}`;
  const message = `r=${whole},s=${salt.toString('base64')},i=${String(ITERATIONS)}`;
  return {
    message,
    verify: (final) => {
      const groups = FINAL.exec(final)?.groups ?? {};
      const { unsigned = '', binding = '', proof = '' } = groups;
      const given = Buffer.from(proof, 'base64');
      const isOurs = groups['nonce'] === whole && binding === Buffer.from(head).toString('base64');
      if (!isOurs || given.length !== KEY_BYTES) return null;
      const salted = pbkdf2Sync(password, salt, ITERATIONS, KEY_BYTES, 'sha256');
      const clientKey = hmac(salted, 'Client Key');
      const told = `${bare},${message},${unsigned}`;
      const storedKey = createHash('sha256').update(clientKey).digest();
      const signature = hmac(storedKey, told);
      const expected = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0));
      if (!timingSafeEqual(given, expected)) return null;
      return `v=${hmac(hmac(salted, 'Server Key'), told).toString('base64')}`;
    },
  };
}
