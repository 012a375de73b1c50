// Which outputs the enclave has released, so that none is executed twice and the next epoch can say which
// were logged and never released. An index is durable here before its order leaves. Only indexes are
// kept, no signals. It lives until the epoch is settled; what the start of the epoch's spool knows
// (epoch-start.ts) is dropped before.

import { u64 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Files } from './files.ts';
import type { SpoolStart } from './spool.ts';
import { readSpool, Spool, SPOOL_START } from './spool.ts';

const SEGMENT_BYTES: number = 64 * 1024;

export class ReleaseJournal {
  readonly #spool: Spool;
  /** Segment of the last record that somebody was told of. */
  #told = 0;

  private constructor(spool: Spool) {
    this.#spool = spool;
  }

  static async create(
    files: Files,
    directory: string,
    segmentBytes: number = SEGMENT_BYTES,
  ): Promise<ReleaseJournal> {
    return new ReleaseJournal(await Spool.create(files, directory, segmentBytes));
  }

  /** Resolves when it is durable. Rejects with a DiskFailure: the process must stop. */
  async record(leafIndex: number): Promise<void> {
    const { segment } = await this.#spool.append(u64(leafIndex));
    this.#told = segment;
  }

  /** Where it may begin when all is known elsewhere that `record` has told so far. */
  get known(): SpoolStart {
    return this.#spool.startIn(this.#told);
  }

  /** Forgets what is before `start`, one that was `known`. Rejects with a DiskFailure. */
  drop(start: SpoolStart): Promise<void> {
    return this.#spool.drop(start);
  }

  close(): Promise<void> {
    return this.#spool.close();
  }
}

/** Leaf indexes in a journal that a stopped process has left. */
export function readReleases(
  files: Files,
  directory: string,
  start: SpoolStart = SPOOL_START,
): Result<ReadonlySet<number>> {
  const released = new Set<number>();
  const reader = readSpool(files, directory, start);
  for (;;) {
    const next = reader.next();
    if (next.done === true) return next.value.ok ? accept(released) : next.value;
    const bytes = next.value;
    if (bytes.length !== 8) return refuse('spool_corrupt', { bytes: bytes.length });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    released.add(Number(view.getBigUint64(0)));
  }
}
