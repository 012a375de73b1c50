// A full disk holds the host up and ends nothing: what needs room waits for it, is tried again, and goes
// on, and an alarm says what to do. Who waits for a write acknowledges nothing, so the wait is felt all
// the way back to the feed. Only where a failed attempt leaves nothing behind, or bytes that the next
// one overwrites: a failed sync or any other error is handed on and ends the process (files.ts).

import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Files, OpenFile } from './files.ts';
import { DiskFailure } from './files.ts';
import type { Logger } from './logger.ts';

/** Full disk, full quota, and the process's own limit for the size of a file (RLIMIT_FSIZE). */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Not syncs: after a failed one nobody knows what is on the disk. */
const HOLDS: ReadonlySet<string> = new Set([
  'create',
  'write',
  'chmod',
  'mkdir',
  'rename',
  'unlink',
]);
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;
const ALARM_EVERY_MS = 60_000;

export interface DiskPlace {
  /** What the operator calls it. */
  readonly name: 'state' | 'log';
  readonly directory: string;
}

export interface DiskRoomOptions {
  readonly logger: Logger;
  readonly places: readonly DiskPlace[];
  readonly nowMs?: () => number;
  /** Resolves after about `ms`, earlier when the signal aborts. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A place from its first held operation to its last. */
interface Hold {
  operations: number;
  readonly sinceMs: number;
  alarmedMs: number;
}

async function systemSleep(ms: number, signal: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, { signal }).catch(() => undefined);
}

const WHAT_WAITS: Readonly<Record<DiskPlace['name'], string>> = {
  state: 'free space there: acknowledgements wait, and with them the enclave and its feed',
  log: 'free space there: publishing waits, and acknowledgements once too much is unpublished',
};

export class DiskRoom {
  readonly #options: DiskRoomOptions;
  readonly #giveUp = new AbortController();
  readonly #holds = new Map<DiskPlace, Hold>();

  constructor(options: DiskRoomOptions) {
    this.#options = options;
  }

  /** Operations that wait for room now. */
  get held(): number {
    let sum = 0;
    for (const { operations } of this.#holds.values()) sum += operations;
    return sum;
  }

  /** From now on a full disk fails what needs room, and what waits for it. */
  giveUp(): void {
    this.#giveUp.abort();
  }

  /**
   * Runs `work` until there is room for it. A failed attempt must not be in the way of the next one.
   * Rejects with any other failure, and with the DiskFailure itself once it was given up.
   */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#giveUp;
    let held: DiskPlace | null = null;
    try {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
        try {
          return await work();
        } catch (error) {
          if (signal.aborted || !needsRoom(error)) throw error;
          held ??= this.#begin(error);
          this.#alarm(held, error);
        }
        await (this.#options.sleep ?? systemSleep)(pauseMs, signal);
      }
    } finally {
      if (held !== null) this.#end(held);
    }
  }

  /** The same files, whose operations wait for room. */
  filesOf(files: Files): Files {
    return {
      create: async (path) => this.#openFile(await this.hold(() => files.create(path))),
      readFile: (path, maxBytes) => files.readFile(path, maxBytes),
      readAt: (path, position, bytes) => files.readAt(path, position, bytes),
      size: (path) => files.size(path),
      isDirectory: (path) => files.isDirectory(path),
      list: (directory) => files.list(directory),
      makeDirectory: (path) => this.hold(() => files.makeDirectory(path)),
      rename: (from, to) => this.hold(() => files.rename(from, to)),
      removeFile: (path) => this.hold(() => files.removeFile(path)),
      removeDirectory: (path) => files.removeDirectory(path),
      syncFile: (path) => files.syncFile(path),
      syncDirectory: (path) => files.syncDirectory(path),
    };
  }

  #openFile(file: OpenFile): OpenFile {
    return {
      // The same bytes at the same place: a part that was written is written over.
      write: (bytes, position) => this.hold(() => file.write(bytes, position)),
      datasync: () => file.datasync(),
      sync: () => file.sync(),
      setMode: (mode) => this.hold(() => file.setMode(mode)),
      close: () => file.close(),
    };
  }

  get #nowMs(): number {
    return (this.#options.nowMs ?? (() => performance.now()))();
  }

  #begin({ path }: DiskFailure): DiskPlace {
    const { places } = this.#options;
    const place =
      places.find(({ directory }) => path === directory || path.startsWith(`${directory}/`)) ??
      places[0];
    if (place === undefined) throw new Error('a disk room without a place');
    const hold = this.#holds.get(place);
    if (hold !== undefined) hold.operations++;
    else {
      const alarmedMs = Number.NEGATIVE_INFINITY;
      this.#holds.set(place, { operations: 1, sinceMs: this.#nowMs, alarmedMs });
    }
    return place;
  }

  #alarm(place: DiskPlace, { operation, path, systemCode: error }: DiskFailure): void {
    const hold = this.#holds.get(place);
    const nowMs = this.#nowMs;
    if (hold === undefined || nowMs - hold.alarmedMs < ALARM_EVERY_MS) return;
    hold.alarmedMs = nowMs;
    this.#options.logger.error('disk_full', {
      place: place.name,
      folder: place.directory,
      operation,
      path,
      error,
      waiting_ms: Math.round(nowMs - hold.sinceMs),
      next: WHAT_WAITS[place.name],
    });
  }

  #end(place: DiskPlace): void {
    const hold = this.#holds.get(place);
    if (hold === undefined || --hold.operations > 0) return;
    this.#holds.delete(place);
    // Given up, it still has no room.
    if (this.#giveUp.signal.aborted) return;
    const waited_ms = Math.round(this.#nowMs - hold.sinceMs);
    this.#options.logger.warn('disk_has_room', { place: place.name, waited_ms });
  }
}

function needsRoom(error: unknown): error is DiskFailure {
  return (
    error instanceof DiskFailure && HOLDS.has(error.operation) && NO_ROOM.has(error.systemCode)
  );
}
