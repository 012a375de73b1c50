// Takes up `trackseal tls install`: looks for a certificate chain in the state folder and hands it to the enclave, which
// takes it only for its own TLS key. A chain is of one epoch, because the key is: it is handed over once.

import { MAX_CERTIFICATE_CHAIN_BYTES } from '../wire/desk-messages.ts';
import { removeDurably } from './durable-file.ts';
import type { Files } from './files.ts';
import type { Logger } from './logger.ts';
import { LookOften } from './look-often.ts';
import { CERTIFICATE_REQUEST } from './requests.ts';

export interface CertificateWatchOptions {
  readonly files: Files;
  readonly directory: string;
  readonly logger: Logger;
  /** False: no enclave can take it now; it is tried again. */
  readonly send: (chain: Uint8Array) => boolean;
  readonly onFailure: (error: unknown) => void;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #often: LookOften;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#often = new LookOften(() => this.look(), options.onFailure);
  }

  start(): void {
    this.#often.start();
  }

  /** Nothing is touched afterwards. */
  stop(): Promise<void> {
    return this.#often.stop();
  }

  async look(): Promise<void> {
    const { files, directory, logger, send } = this.#options;
    const size = files.size(`${directory}/${CERTIFICATE_REQUEST}`);
    if (size === null) return;
    if (size > MAX_CERTIFICATE_CHAIN_BYTES) {
      logger.error('certificate_refused', { bytes: size, maximum: MAX_CERTIFICATE_CHAIN_BYTES });
    } else {
      const path = `${directory}/${CERTIFICATE_REQUEST}`;
      const chain = files.readFile(path, MAX_CERTIFICATE_CHAIN_BYTES);
      if (chain === null || !send(chain)) return;
      logger.info('certificate_sent', { bytes: chain.length });
    }
    await removeDurably(files, directory, CERTIFICATE_REQUEST);
  }
}
