// Bounds the spool of a running epoch. A segment goes when every commit of it is in the log folder, durably,
// and, with `ship`, in the store, which has shown it; what recovery needs of it is in the start of the spool
// before (epoch-start.ts). The journal of releases goes with it. A crash at any step leaves either start, and
// whatever it does not need is not looked at.

import type { EpochStart } from './epoch-start.ts';
import { encodeEpochStart, writeEpochStart } from './epoch-start.ts';
import type { Files } from './files.ts';
import type { OpenOutputs } from './open-outputs.ts';
import type { PublishedPart } from './publisher.ts';
import type { ReleaseJournal } from './release-journal.ts';
import type { Spool } from './spool.ts';

export interface TrimOptions {
  readonly files: Files;
  readonly directory: string;
  readonly epoch: number;
  readonly spool: Spool;
  readonly outputs: OpenOutputs;
  /** Null where nobody releases. */
  readonly releases: ReleaseJournal | null;
}

export interface Published {
  readonly commits: number;
  /** Of those commits. */
  readonly bytes: number;
  /** Makes the folder durable; null when it does not have all of them. */
  readonly part: () => Promise<PublishedPart | null>;
}

export class EpochTrim {
  readonly #options: TrimOptions;

  constructor(options: TrimOptions) {
    this.#options = options;
  }

  /**
   * Drops what is before the segment of commit `needed`, the first that somebody still reads from the spool, at
   * most the next to be published. Call when none is being published. Rejects with a DiskFailure.
   */
  async run(needed: number, { commits, bytes, part }: Published): Promise<void> {
    const { files, directory, epoch, spool, outputs, releases } = this.#options;
    const start = spool.startOf(needed);
    if (start.segment <= spool.start.segment) return;
    const published = await part();
    if (published === null) return;
    // From here to the encoding nothing else runs: outputs and marks are of one moment.
    outputs.close(published.size);
    const known = releases?.known ?? { segment: 0, record: 0 };
    const value: EpochStart = {
      spool: start,
      commits,
      bytes,
      published,
      outputs: outputs.list,
      lastClosed: outputs.lastClosed,
      releases: known,
    };
    const encoded = encodeEpochStart(epoch, value);
    if (encoded === null) return;
    await writeEpochStart(files, directory, encoded);
    await spool.drop(start);
    await releases?.drop(known);
  }
}
