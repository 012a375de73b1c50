// Warns before a disk is full: looks every ten seconds at the free space where the host writes. It holds
// nothing up (disk-room.ts does, when there is no room at all), and a file system that does not say how
// much is free is left alone.

import { statfs } from 'node:fs/promises';
import type { DiskPlace } from './disk-room.ts';
import type { Logger } from './logger.ts';

const LOOK_EVERY_MS = 10_000;
/** A disk that stays low is named again after this many looks, ten minutes. */
const SAY_EVERY_LOOKS = 60;

export interface DiskWatchOptions {
  readonly places: readonly DiskPlace[];
  /** Fewer free bytes than this are a warning; 0: none. */
  readonly minFreeBytes: number;
  readonly logger: Logger;
  /** Bytes that this process may still use; rejects where there is no telling. */
  readonly freeBytes?: (directory: string) => Promise<number>;
}

async function systemFreeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  /** Looks since a place was last named as low. */
  readonly #low = new Map<DiskPlace, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.minFreeBytes === 0) return;
    void this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Never rejects. */
  async look(): Promise<void> {
    const { places, freeBytes = systemFreeBytes } = this.#options;
    for (const place of places) {
      const free = await freeBytes(place.directory).catch(() => null);
      if (free !== null) this.#judge(place, free);
    }
  }

  #judge(place: DiskPlace, free_bytes: number): void {
    const { minFreeBytes: min_free_bytes, logger } = this.#options;
    const fields = { place: place.name, folder: place.directory, free_bytes, min_free_bytes };
    const looks = this.#low.get(place) ?? null;
    if (free_bytes >= min_free_bytes) {
      if (looks !== null) logger.info('disk_space_back', fields);
      this.#low.delete(place);
      return;
    }
    if (looks === null || looks + 1 === SAY_EVERY_LOOKS) {
      logger.warn('disk_low', { ...fields, next: 'free space there before it is full' });
    }
    this.#low.set(place, looks === null ? 0 : (looks + 1) % SAY_EVERY_LOOKS);
  }
}
