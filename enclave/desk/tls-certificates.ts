// Certificates of others for the TLS key, which lives one epoch: what to ask them for, and what to do with what the host
// brings. A chain that does not fit leaves the last one in place.

import type { RefusalCode } from '../../wire/codes.ts';
import { checkCertificateChain } from './certificate-check.ts';
import type { HttpsControl } from './parts.ts';
import type { DeskServices } from './services.ts';
import { createCertificateRequest } from './tls-certificate.ts';

type Services = Pick<DeskServices, 'configuration' | 'guard' | 'keys' | 'nowMs' | 'onCertificate'>;

/** Writes down what came of a chain: null and when it ends, in seconds; or why it was refused. */
export type CertificateAudit = (
  code: RefusalCode | null,
  expiresSeconds: number | null,
) => Promise<unknown>;

export class TlsCertificates {
  readonly #services: Services;
  readonly #counters = { certificates_installed: 0, certificates_refused: 0 };
  #request: Promise<string> | null = null;
  #closed = false;

  constructor(services: Services) {
    this.#services = services;
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  /** PEM; signed once in an epoch. */
  request(): Promise<string> {
    const { keys, configuration } = this.#services;
    this.#request ??= createCertificateRequest(keys.tls, configuration.tls_names);
    return this.#request;
  }

  /** From now on what the host brings is looked at. */
  start(https: HttpsControl, audit: CertificateAudit): void {
    this.#services.onCertificate((chain) => {
      void this.#services.guard.runAsync(() => this.#take(chain, https, audit));
    });
  }

  /** The log takes nothing more of the desk's: a word about a chain would be against the rules. */
  close(): void {
    this.#closed = true;
  }

  async #take(chain: Uint8Array, https: HttpsControl, audit: CertificateAudit): Promise<void> {
    if (this.#closed) return;
    const { keys, configuration, nowMs } = this.#services;
    const demands = { spki: keys.tls.spki, names: configuration.tls_names, nowMs: nowMs() };
    const checked = checkCertificateChain(chain, demands);
    if (!checked.ok) {
      this.#counters.certificates_refused++;
      await audit(checked.refusal.code, null);
      return;
    }
    const { pem, expiresMs } = checked.value;
    // First the log, then the world.
    await audit(null, Math.floor(expiresMs / 1000));
    this.#counters.certificates_installed++;
    https.replaceCertificate(pem);
  }
}
