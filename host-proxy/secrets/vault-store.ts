// The vault's records (docs/PROTOCOL.md 11b): encrypted by the enclave, opaque to the host, which keeps one file each
// over epochs and brings all of them back at the next boot. A write is answered when it is durable. A host that loses
// or goes back to older ones is found by what the enclave has logged; a taken-over enclave can fill the
// folder up to a limit.

import { toHex, parseHex } from '../../wire/bytes.ts';
import type { VaultRecord, VaultWrite } from '../../wire/desk-messages.ts';
import { RECORD_ID_BYTES } from '../../wire/desk-messages.ts';
import { MAX_VAULT_RECORD_BYTES, MAX_VAULT_RECORDS } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { listWhole, removeDurably, writeDurably } from '../durable-file.ts';
import type { Files } from '../files.ts';
import { makeDirectories } from '../files.ts';

const NAME = /^[0-9a-f]{32}\.record$/u;

export class VaultStore {
  readonly #files: Files;
  readonly #directory: string;
  #names = new Set<string>();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  get count(): number {
    return this.#names.size;
  }

  /** All that is kept, read one after the other. Refuses `vault_full`. Rejects with a DiskFailure. */
  async read(): Promise<Result<Iterable<VaultRecord>>> {
    await this.#writing;
    await makeDirectories(this.#files, this.#directory);
    const names = await listWhole(this.#files, this.#directory);
    this.#names = new Set(names.filter((name) => NAME.test(name)));
    if (this.#names.size > MAX_VAULT_RECORDS) {
      return refuse('vault_full', { folder: this.#directory, records: this.#names.size });
    }
    return accept(this.#records([...this.#names].sort()));
  }

  /** Resolves when it is durable, or gone. Refuses `vault_full`. Rejects with a DiskFailure. */
  keep(write: VaultWrite): Promise<Result<null>> {
    const kept = this.#writing.then(() => this.#keep(write));
    this.#writing = kept.catch(() => null);
    return kept;
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #keep({ recordId, bytes }: VaultWrite): Promise<Result<null>> {
    const name = `${toHex(recordId)}.record`;
    const isThere = this.#names.has(name);
    if (bytes === null) {
      if (isThere) await removeDurably(this.#files, this.#directory, name);
      this.#names.delete(name);
      return accept(null);
    }
    if (!isThere && this.#names.size >= MAX_VAULT_RECORDS) {
      return refuse('vault_full', { records: this.#names.size });
    }
    await writeDurably(this.#files, this.#directory, name, bytes);
    this.#names.add(name);
    return accept(null);
  }

  *#records(names: readonly string[]): Generator<VaultRecord> {
    for (const name of names) {
      const bytes = this.#files.readFile(`${this.#directory}/${name}`, MAX_VAULT_RECORD_BYTES);
      const recordId = parseHex(name.slice(0, 2 * RECORD_ID_BYTES));
      // Empty: somebody else's; the enclave writes none.
      if (bytes !== null && bytes.length > 0 && recordId !== null) yield { recordId, bytes };
    }
  }
}
