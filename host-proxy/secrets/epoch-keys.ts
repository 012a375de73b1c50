// The new data keys of one epoch. Their records come on the boot stream and the header that names them on the log
// stream, in no order, so leaf 0 is taken only when every record that it names is durable: what follows an
// epoch has to bring its data keys, and nothing can follow one whose keys nobody has. A hostile enclave can
// name what never comes; the host's boot timeout ends that epoch with nothing of it stored.

import type { RefusalCode } from '../../wire/codes.ts';
import type { EpochHeader } from '../../wire/header.ts';
import type { Logger } from '../logger.ts';
import type { KeptKey } from './data-key-store.ts';
import { keepDataKey } from './data-key-store.ts';
import type { Secrets } from './secrets.ts';

export interface EpochKeysOptions {
  readonly secrets: Pick<Secrets, 'dataKeys'> | null;
  readonly logger: Logger;
  /** A record that is not kept: the epoch is over. */
  readonly onRefused: (code: RefusalCode) => void;
  /** The disk failed: the process must stop. */
  readonly onFailure: (error: unknown) => void;
}

export class EpochKeys {
  readonly #options: EpochKeysOptions;
  #keeping: Promise<unknown> = Promise.resolve();
  #onTheirWay = 0;
  #held: { readonly named: readonly KeptKey[]; readonly release: () => void } | null = null;

  constructor(options: EpochKeysOptions) {
    this.#options = options;
  }

  /** A record of the enclave. */
  keep(record: Uint8Array): void {
    this.#onTheirWay++;
    this.#keeping = Promise.all([this.#keeping, this.#keep(record)]);
  }

  /** Resolves when each record that has come is durable or refused. */
  async idle(): Promise<void> {
    await this.#keeping;
  }

  /** Null: leaf 0 with this header may be stored at once. Else resolves when it may, which can be never. */
  admit({ dataKeys }: Pick<EpochHeader, 'dataKeys'>): Promise<void> | null {
    if (this.#missing(dataKeys).length === 0) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = { named: dataKeys, release: resolve };
    return promise;
  }

  /** Why the epoch is not ready in time; `seal_missing` when its header names a record that did not come. */
  timeoutCode(): RefusalCode {
    const missing = this.#onTheirWay > 0 ? [] : this.#missing(this.#held?.named ?? []);
    for (const { name, version } of missing) {
      this.#options.logger.error('data_key_missing', { name, version });
    }
    return missing.length === 0 ? 'boot_timeout' : 'seal_missing';
  }

  async #keep(record: Uint8Array): Promise<void> {
    const { secrets, logger, onRefused, onFailure } = this.#options;
    try {
      const code = await keepDataKey(secrets, record, logger);
      this.#onTheirWay--;
      if (code !== null) onRefused(code);
      else if (this.#held !== null && this.#missing(this.#held.named).length === 0) {
        this.#held.release();
      }
    } catch (error) {
      onFailure(error);
    }
  }

  /** Of a host that keeps none nothing is expected. */
  #missing(named: readonly KeptKey[]): readonly KeptKey[] {
    const store = this.#options.secrets?.dataKeys ?? null;
    if (store === null || named.length === 0) return [];
    const { kept } = store;
    return named.filter(
      ({ name, version }) => !kept.some((one) => one.name === name && one.version === version),
    );
  }
}
