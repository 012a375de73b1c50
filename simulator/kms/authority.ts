// The certificate authority of a simulated service, for TLS that ends where it should: clients pin its
// certificate as they would pin Amazon's roots. It signs nothing but this simulator's own certificate.
//
//   <folder>/ca.pem       for `roots.pem` of an image, or `--ca`
//   <folder>/ca-key.pem   mode 0600

import 'reflect-metadata';
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import type { Extension } from '@peculiar/x509';
import type { Issuer, JsonName, KeyPair } from '../nsm/certificates.ts';
import {
  authorityExtensions,
  generateKeyPair,
  issueCertificate,
  P384,
} from '../nsm/certificates.ts';

const SUBJECT: JsonName = [{ O: ['Trackseal simulator'] }, { OU: ['Not AWS'] }, { CN: ['TLS CA'] }];
const DAY_MS = 86_400_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

export interface TlsIdentity {
  readonly keyPem: string;
  readonly certificatePem: string;
}

async function keyToPem(keys: KeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  });
}

function toPem(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}

export class TlsAuthority {
  readonly pem: string;
  readonly #issuer: Issuer;

  private constructor(pem: string, keys: KeyPair) {
    this.pem = pem;
    this.#issuer = { subject: SUBJECT, keys };
  }

  /** In memory without a folder; else made there at the first call. */
  static async open(folder: string | null): Promise<TlsAuthority> {
    if (folder !== null) {
      const keyPem = await readFile(join(folder, 'ca-key.pem'), 'utf8').catch(ignoreMissing);
      if (keyPem !== null) {
        return TlsAuthority.#load(keyPem, await readFile(join(folder, 'ca.pem'), 'utf8'));
      }
    }
    const keys = await generateKeyPair();
    const nowMs = Date.now();
    const shape = {
      subject: SUBJECT,
      notBeforeMs: nowMs - DAY_MS,
      notAfterMs: nowMs + 3650 * DAY_MS,
      extensions: await authorityExtensions(keys, null),
    };
    const pem = toPem(await issueCertificate(shape, keys, { subject: SUBJECT, keys }));
    if (folder !== null) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'ca.pem'), pem);
      // Last, so that a key is never without its certificate.
      await writeFile(join(folder, 'ca-key.pem'), await keyToPem(keys), {
        mode: 0o600,
        flag: 'wx',
      });
    }
    return new TlsAuthority(pem, keys);
  }

  static async #load(keyPem: string, pem: string): Promise<TlsAuthority> {
    const certificate = new X509Certificate(pem);
    const key = createPrivateKey(keyPem);
    if (!certificate.checkPrivateKey(key)) throw new Error('ca.pem and ca-key.pem do not fit');
    const der = key.export({ type: 'pkcs8', format: 'der' });
    const privateKey = await webcrypto.subtle.importKey('pkcs8', der, P384, true, ['sign']);
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
    const publicKey = await webcrypto.subtle.importKey('spki', spki, P384, true, ['verify']);
    return new TlsAuthority(pem, { privateKey, publicKey });
  }

  /** A server's certificate for DNS names and IP addresses, valid for thirty days from `nowMs`. */
  async issue(names: readonly string[], nowMs: number = Date.now()): Promise<TlsIdentity> {
    const keys = await generateKeyPair();
    const extensions: readonly Extension[] = [
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([SERVER_AUTH]),
    ];
    const shape = {
      subject: [{ O: ['Trackseal simulator'] }, { OU: ['Not AWS'] }],
      notBeforeMs: nowMs - DAY_MS,
      notAfterMs: nowMs + 30 * DAY_MS,
      extensions,
    };
    const der = await issueCertificate(shape, keys, this.#issuer);
    return { keyPem: await keyToPem(keys), certificatePem: `${toPem(der)}${this.pem}` };
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
