// The certificates that the simulated venues show: one authority, one key per host, made when the host is first
// asked for; and those that faults want instead. Clients pin the authority's certificate.

import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { TlsAuthority } from '../kms/authority.ts';
import type { CertificateFault } from './faults.ts';

const YEAR_MS = 31_536_000_000;

export class Certificates {
  /** PEM. */
  readonly authority: string;
  readonly #issuer: TlsAuthority;
  readonly #contexts = new Map<string, Promise<SecureContext>>();

  private constructor(issuer: TlsAuthority) {
    this.#issuer = issuer;
    this.authority = issuer.pem;
  }

  /** Keeps the authority in the folder; in memory without one. */
  static async open(folder: string | null): Promise<Certificates> {
    return new Certificates(await TlsAuthority.open(folder));
  }

  contextFor(host: string, fault: CertificateFault | null): Promise<SecureContext> {
    const name = `${host} ${fault ?? ''}`;
    const kept = this.#contexts.get(name) ?? this.#make(host, fault);
    this.#contexts.set(name, kept);
    return kept;
  }

  async #make(host: string, fault: CertificateFault | null): Promise<SecureContext> {
    const issuer = fault === 'wrong-authority' ? await TlsAuthority.open(null) : this.#issuer;
    const names = fault === 'wrong-name' ? ['wrong.host.example'] : [host];
    const nowMs = Date.now() - (fault === 'expired' ? YEAR_MS : 0);
    const { keyPem, certificatePem } = await issuer.issue(names, nowMs);
    return createSecureContext({ key: keyPem, cert: certificatePem, minVersion: 'TLSv1.2' });
  }
}
