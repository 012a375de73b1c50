// Which outputs the enclave has released, so that none is executed twice and the next epoch can say which
// were logged and never released. An index is durable here before its order leaves. Only indexes are
// kept, no signals. The journal of an epoch is small and lives until the epoch is settled.

import { u64 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Files } from './files.ts';
import { readSpool, Spool } from './spool.ts';

const SEGMENT_BYTES: number = 64 * 1024;

export class ReleaseJournal {
  readonly #spool: Spool;

  private constructor(spool: Spool) {
    this.#spool = spool;
  }

  static async create(files: Files, directory: string): Promise<ReleaseJournal> {
    return new ReleaseJournal(await Spool.create(files, directory, SEGMENT_BYTES));
  }

  /** Resolves when it is durable. Rejects with a DiskFailure: the process must stop. */
  async record(leafIndex: number): Promise<void> {
    await this.#spool.append(u64(leafIndex));
  }

  close(): Promise<void> {
    return this.#spool.close();
  }
}

/** Leaf indexes in a journal that a stopped process has left. */
export function readReleases(files: Files, directory: string): Result<ReadonlySet<number>> {
  const released = new Set<number>();
  const reader = readSpool(files, directory);
  for (;;) {
    const next = reader.next();
    if (next.done === true) return next.value.ok ? accept(released) : next.value;
    const bytes = next.value;
    if (bytes.length !== 8) return refuse('spool_corrupt', { bytes: bytes.length });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    released.add(Number(view.getBigUint64(0)));
  }
}
