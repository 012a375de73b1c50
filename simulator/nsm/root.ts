// The simulator's own root of trust, in place of AWS's. Kept in a folder, so that a verifier that was
// pointed at its root.pem accepts documents across restarts:
//
//   <folder>/root.pem       the certificate, for --unsafe-root
//   <folder>/root-key.pem   the private key, mode 0600
//
// Whoever reads the key can forge any document of this simulator, which proves nothing anyway.

import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { authorityExtensions, generateKeyPair, issueCertificate, P384 } from './certificates.ts';
import type { Issuer, JsonName, KeyPair } from './certificates.ts';

const ROOT_SUBJECT: JsonName = [
  { C: ['US'] },
  { O: ['Trackseal simulator'] },
  { OU: ['Not AWS'] },
  { CN: ['root.nitro-simulator.trackseal'] },
];
// As long as AWS's own root, and independent of any simulated clock.
const NOT_BEFORE_MS = Date.UTC(2019, 9, 28, 13, 28, 5);
const NOT_AFTER_MS = Date.UTC(2049, 9, 28, 14, 28, 5);

export class SimulatedRoot {
  readonly certificateDer: Uint8Array;
  readonly issuer: Issuer;

  private constructor(certificateDer: Uint8Array, keys: KeyPair) {
    this.certificateDer = certificateDer;
    this.issuer = { subject: ROOT_SUBJECT, keys };
  }

  get pem(): string {
    return new X509Certificate(this.certificateDer).toString();
  }

  /** A new root with a fresh key, in memory. */
  static async create(): Promise<SimulatedRoot> {
    const keys = await generateKeyPair();
    const shape = {
      subject: ROOT_SUBJECT,
      notBeforeMs: NOT_BEFORE_MS,
      notAfterMs: NOT_AFTER_MS,
      extensions: await authorityExtensions(keys, null),
    };
    const der = await issueCertificate(shape, keys, { subject: ROOT_SUBJECT, keys });
    return new SimulatedRoot(der, keys);
  }

  /** The root of a folder; made there at the first call. Rejects when the files do not fit together. */
  static async open(folder: string): Promise<SimulatedRoot> {
    const keyPath = join(folder, 'root-key.pem');
    const certificatePath = join(folder, 'root.pem');
    const keyPem = await readFile(keyPath, 'utf8').catch(ignoreMissing);
    if (keyPem !== null) return load(keyPem, await readFile(certificatePath, 'utf8'));
    const root = await SimulatedRoot.create();
    await mkdir(folder, { recursive: true });
    await writeFile(certificatePath, root.pem);
    // Last, so that a key is never without its certificate.
    await writeFile(keyPath, await exportKey(root.issuer.keys), { mode: 0o600, flag: 'wx' });
    await chmod(keyPath, 0o600);
    return root;
  }

  /** For `open` only. */
  static restore(certificateDer: Uint8Array, keys: KeyPair): SimulatedRoot {
    return new SimulatedRoot(certificateDer, keys);
  }
}

async function load(keyPem: string, certificatePem: string): Promise<SimulatedRoot> {
  const certificate = new X509Certificate(certificatePem);
  const key = createPrivateKey(keyPem);
  if (!certificate.checkPrivateKey(key)) throw new Error('root.pem and root-key.pem do not fit');
  const privateKey = await webcrypto.subtle.importKey(
    'pkcs8',
    key.export({ type: 'pkcs8', format: 'der' }),
    P384,
    true,
    ['sign'],
  );
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const publicKey = await webcrypto.subtle.importKey('spki', spki, P384, true, ['verify']);
  return SimulatedRoot.restore(new Uint8Array(certificate.raw), { privateKey, publicKey });
}

async function exportKey(keys: KeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return key.export({ type: 'pkcs8', format: 'pem' });
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
