// The certificate authority of this host's database, for TLS that ends in the enclave: its certificate goes into the
// enclave's configuration (`database.roots`) and is measured there. It signs nothing but this server's own
// certificate, whose key is made anew at each start and stays in memory.
//
//   <folder>/ca.pem       for the configuration, and for `--ca`
//   <folder>/ca-key.pem   mode 0600

import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

type KeyPair = Awaited<ReturnType<typeof newKeys>>;

const ISSUER = 'CN=Trackseal database CA';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const YEARS_MS = 3650 * DAY_MS;

export interface ServerIdentity {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export class DatabaseAuthority {
  readonly pem: string;
  readonly #keys: KeyPair;

  private constructor(pem: string, keys: KeyPair) {
    this.pem = pem;
    this.#keys = keys;
  }

  /** Made there at the first call. Throws where certificate and key do not fit. */
  static async open(folder: string): Promise<DatabaseAuthority> {
    const certificateFile = join(folder, 'ca.pem');
    const keyFile = join(folder, 'ca-key.pem');
    const keyPem = await readFile(keyFile, 'utf8').catch(ignoreMissing);
    if (keyPem !== null) return load(keyPem, await readFile(certificateFile, 'utf8'));
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: ISSUER,
      keys,
      signingAlgorithm: SIGNING,
      ...validity(),
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    });
    const pem = `${certificate.toString('pem')}\n`;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(certificateFile, pem);
    // Last, so that a key is never without its certificate; whole, or not there.
    const part = `${keyFile}.part`;
    await writeFile(part, await keyToPem(keys), { mode: 0o600 });
    await rename(part, keyFile);
    return new DatabaseAuthority(pem, keys);
  }

  static of(pem: string, keys: KeyPair): DatabaseAuthority {
    return new DatabaseAuthority(pem, keys);
  }

  /** For DNS names and IP addresses. */
  async issue(names: readonly string[]): Promise<ServerIdentity> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: 'CN=Trackseal database',
      issuer: ISSUER,
      signingKey: this.#keys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: SIGNING,
      ...validity(),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
        ),
      ],
    });
    return {
      keyPem: await keyToPem(keys),
      certificatePem: `${certificate.toString('pem')}\n${this.pem}`,
    };
  }
}

async function load(keyPem: string, pem: string): Promise<DatabaseAuthority> {
  const certificate = new X509Certificate(pem);
  const key = createPrivateKey(keyPem);
  if (!certificate.checkPrivateKey(key)) throw new Error('ca.pem and ca-key.pem do not fit');
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const publicKey = await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify']);
  return DatabaseAuthority.of(pem, { privateKey, publicKey });
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + YEARS_MS) };
}

async function keyToPem(keys: KeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
