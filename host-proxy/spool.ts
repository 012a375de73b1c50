// The host's write-ahead store: an acknowledgement leaves only after the record's bytes were synced. What
// arrives while a sync runs shares the next one (group commit). Segments are written with zeros and
// synced before their first use, so that a sync moves data and no file-system metadata. When nothing
// more comes, a mark behind the last group says that it was synced (spool-record.ts).
// Whole segments at its begin can be dropped while it is written; whoever does that keeps where it then
// begins. Trusts the disk (files.ts). After any failure it is dead: nothing is retried, nothing more is taken.

import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Files, OpenFile } from './files.ts';
import { DiskFailure, makeDirectories } from './files.ts';
import {
  encodeRecord,
  judgeEnd,
  readRecord,
  RECORD_HEAD_BYTES,
  usedBytes,
} from './spool-record.ts';

export const DEFAULT_SEGMENT_BYTES: number = 16 * 1024 * 1024;
/** One write: enough for the largest commit, small enough to keep the wait for it short. */
const MAX_GROUP_BYTES: number = 8 * 1024 * 1024;
/** A segment and the largest group that may have been written beyond its end. */
const MAX_SEGMENT_BYTES: number = 1024 * 1024 * 1024;
const NOTHING: Uint8Array = new Uint8Array(0);
const ZEROS: Uint8Array = new Uint8Array(1024 * 1024);
/** A group after which nothing came for this long is marked; under load the next group says the same. */
export const MARK_AFTER_MS = 50;

/** Where a payload lies. */
export interface SpoolPosition {
  readonly segment: number;
  readonly begin: number;
  readonly bytes: number;
}

/** Where a spool begins, or may begin: a segment, and the number of its first record. */
export interface SpoolStart {
  readonly segment: number;
  readonly record: number;
}

export const SPOOL_START: SpoolStart = { segment: 0, record: 0 };

export interface SpoolCounters {
  records: number;
  groups: number;
  bytes: number;
  segments: number;
  writeMs: number;
  syncMs: number;
  /** Segments that were dropped. */
  dropped: number;
  /** What its files take, the prepared one among them. */
  keptBytes: number;
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly resolve: (position: SpoolPosition) => void;
  readonly reject: (error: unknown) => void;
}

interface Segment {
  readonly number: number;
  readonly file: OpenFile;
}

/** A segment that was begun. */
interface Begun extends SpoolStart {
  bytes: number;
}

export function segmentPath(directory: string, segment: number): string {
  return `${directory}/${String(segment).padStart(10, '0')}`;
}

export class Spool {
  readonly counters: SpoolCounters = {
    records: 0,
    groups: 0,
    bytes: 0,
    segments: 0,
    writeMs: 0,
    syncMs: 0,
    dropped: 0,
    keptBytes: 0,
  };
  readonly #files: Files;
  readonly #directory: string;
  readonly #segmentBytes: number;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running = false;
  #failure: unknown = null;
  #current: Segment;
  #offset = 0;
  #next: Promise<Segment> | null = null;
  #idle: (() => void)[] = [];
  /** Of one group; used again, because one is written at a time. */
  #joined = new Uint8Array(0);
  /** Those that were not dropped, oldest first; the last one is written. */
  #begun: Begun[];
  /** The last group has neither a mark nor another group behind it. */
  #unproven = false;
  #markTimer: NodeJS.Timeout | null = null;

  private constructor(files: Files, directory: string, segmentBytes: number, first: Segment) {
    this.#files = files;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#current = first;
    this.#begun = [{ ...SPOOL_START, bytes: segmentBytes }];
    this.counters.keptBytes = segmentBytes;
  }

  /** `directory` must not exist: a spool is written by one process only, and only read after it. */
  static async create(
    files: Files,
    directory: string,
    segmentBytes: number = DEFAULT_SEGMENT_BYTES,
  ): Promise<Spool> {
    if (files.isDirectory(directory)) throw new Error(`spool exists: ${directory}`);
    await makeDirectories(files, directory);
    const first = await prepareSegment(files, directory, 0, segmentBytes);
    return new Spool(files, directory, segmentBytes, first);
  }

  /** Bytes of payloads that are not durable yet; whoever appends bounds them. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The oldest segment that is there. */
  get start(): SpoolStart {
    return this.#begun[0] ?? SPOOL_START;
  }

  /** The segment of a record that was not dropped, or that is the next to come. */
  startOf(record: number): SpoolStart {
    return this.#begun.findLast((begun) => begun.record <= record) ?? this.start;
  }

  /** The oldest segment from this one on. */
  startIn(segment: number): SpoolStart {
    return this.#begun.find((begun) => begun.segment >= segment) ?? this.start;
  }

  /**
   * Removes the segments before `start`, which nobody reads any more. A crash may leave any of them: where
   * the spool begins is durable elsewhere before. Rejects with a DiskFailure.
   */
  async drop(start: SpoolStart): Promise<void> {
    for (let oldest = this.#begun[0]; oldest !== undefined; oldest = this.#begun[0]) {
      if (oldest.segment >= start.segment || this.#begun.length === 1) return;
      await this.#files.removeFile(segmentPath(this.#directory, oldest.segment));
      this.#begun.shift();
      this.counters.dropped++;
      this.counters.keptBytes -= oldest.bytes;
    }
  }

  /** Resolves when the payload, of a byte at least, is durable. Rejects with the failure that ended the spool. */
  append(payload: Uint8Array): Promise<SpoolPosition> {
    if (payload.length === 0) throw new RangeError('a record without a payload is a mark');
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payload, resolve, reject });
      this.#waitingBytes += payload.length;
      void this.#run();
    });
  }

  /** A payload that was appended and is durable. Throws a DiskFailure when it is not as it was written. */
  read({ segment, begin, bytes }: SpoolPosition): Uint8Array {
    const path = segmentPath(this.#directory, segment);
    const whole = RECORD_HEAD_BYTES + bytes;
    const record = this.#files.readAt(path, begin - RECORD_HEAD_BYTES, whole) ?? NOTHING;
    if (readRecord(record, 0)?.end !== whole) {
      throw new DiskFailure('read', path, Object.assign(new Error(), { code: 'EBADMSG' }));
    }
    return record.subarray(RECORD_HEAD_BYTES);
  }

  /** Waits for what was appended; rejects when the spool has failed. The files stay. */
  async close(): Promise<void> {
    if (this.#markTimer !== null) clearTimeout(this.#markTimer);
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#mark();
    const next = this.#next === null ? null : await this.#next;
    if (this.#failure !== null) throw this.#failure;
    this.#failure = new Error('the spool is closed');
    await this.#current.file.close();
    await next?.file.close();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0 && this.#failure === null) {
      const group = this.#takeGroup();
      try {
        const positions = await this.#writeGroup(group);
        for (const { payload } of group) this.#waitingBytes -= payload.length;
        group.forEach(({ resolve }, index) => {
          const position = positions[index];
          if (position !== undefined) resolve(position);
        });
      } catch (error) {
        this.#failure = error;
        for (const { reject } of [...group, ...this.#waiting.splice(0)]) reject(error);
      }
    }
    this.#running = false;
    if (this.#unproven) this.#markLater();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #markLater(): void {
    if (this.#markTimer === null) {
      this.#markTimer = setTimeout(() => void this.#mark(), MARK_AFTER_MS);
      this.#markTimer.unref();
    } else this.#markTimer.refresh();
  }

  /** Never rejects: a failure ends the spool, and the next append or the close says it. */
  async #mark(): Promise<void> {
    const fits = this.#offset + RECORD_HEAD_BYTES <= this.#segmentBytes;
    if (this.#running || this.#failure !== null || !this.#unproven || !fits) return;
    this.#running = true;
    this.#unproven = false;
    const mark = new Uint8Array(RECORD_HEAD_BYTES);
    encodeRecord(mark, 0, { number: this.counters.records, first: true, payload: NOTHING });
    try {
      // The next group goes over it.
      await this.#current.file.write(mark, this.#offset);
      await this.#current.file.datasync();
    } catch (error) {
      this.#failure = error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
    this.#running = false;
    await this.#run();
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#waiting) {
      bytes += RECORD_HEAD_BYTES + payload.length;
      if (count > 0 && bytes > MAX_GROUP_BYTES) break;
      count++;
    }
    const group = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return group;
  }

  #memory(bytes: number): Uint8Array {
    const { length } = this.#joined;
    if (bytes > length) this.#joined = new Uint8Array(Math.max(bytes, 2 * length));
    return this.#joined.subarray(0, bytes);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<readonly SpoolPosition[]> {
    const bytes = group.reduce((sum, { payload }) => sum + RECORD_HEAD_BYTES + payload.length, 0);
    if (this.#offset > 0 && this.#offset + bytes > this.#segmentBytes) await this.#rotate();
    const joined = this.#memory(bytes);
    const positions: SpoolPosition[] = [];
    let at = 0;
    for (const [index, { payload }] of group.entries()) {
      const number = this.counters.records + index;
      encodeRecord(joined, at, { number, first: index === 0, payload });
      const begin = this.#offset + at + RECORD_HEAD_BYTES;
      positions.push({ segment: this.#current.number, begin, bytes: payload.length });
      at += RECORD_HEAD_BYTES + payload.length;
    }
    const start = performance.now();
    await this.#current.file.write(joined, this.#offset);
    const written = performance.now();
    await this.#current.file.datasync();
    this.counters.writeMs += written - start;
    this.counters.syncMs += performance.now() - written;
    this.counters.records += group.length;
    this.counters.groups++;
    this.counters.bytes += bytes;
    this.#offset += bytes;
    this.#grown();
    this.#unproven = true;
    if (this.#offset > this.#segmentBytes / 2) this.#prepareNext();
    return positions;
  }

  /** A group that is larger than a segment makes its segment larger. */
  #grown(): void {
    const segment = this.#begun.at(-1);
    const more = this.#offset - (segment?.bytes ?? this.#offset);
    if (segment === undefined || more <= 0) return;
    segment.bytes += more;
    this.counters.keptBytes += more;
  }

  #prepareNext(): void {
    const { number } = this.#current;
    if (this.#next !== null) return;
    this.counters.keptBytes += this.#segmentBytes;
    this.#next = prepareSegment(this.#files, this.#directory, number + 1, this.#segmentBytes);
    // Whoever needs the segment sees the failure; until then it is no unhandled rejection.
    this.#next.catch(() => undefined);
  }

  async #rotate(): Promise<void> {
    this.#prepareNext();
    const next = await this.#next;
    if (next === null) throw new Error('no next segment');
    await this.#current.file.close();
    this.#current = next;
    this.#next = null;
    this.#offset = 0;
    const { records: record } = this.counters;
    this.#begun.push({ segment: next.number, record, bytes: this.#segmentBytes });
    this.counters.segments++;
  }
}

async function prepareSegment(
  files: Files,
  directory: string,
  number: number,
  bytes: number,
): Promise<Segment> {
  const file = await files.create(segmentPath(directory, number));
  for (let offset = 0; offset < bytes; offset += ZEROS.length) {
    await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, bytes - offset)), offset);
  }
  await file.sync();
  await files.syncDirectory(directory);
  return { number, file };
}

export interface SpoolEnd {
  /** Up to the last one, those before the start among them. */
  readonly records: number;
  /** Bytes of an unacknowledged group that the crash tore; they are left out. */
  readonly cutBytes: number;
}

/** Before a spool is read: what a killed process has written would be read, and lost with the power. */
export async function syncSpool(files: Files, directory: string): Promise<void> {
  for (const name of files.list(directory)) await files.syncFile(`${directory}/${name}`);
  if (files.isDirectory(directory)) await files.syncDirectory(directory);
}

function corrupt(segment: number, offset: number): Result<never> {
  return refuse('spool_corrupt', { segment, offset });
}

/** One more than the last segment that is there, or than the one it begins with, which must be. */
function segmentsEnd(files: Files, directory: string, { segment }: SpoolStart): number {
  const numbers = files.list(directory).filter((name) => /^\d{10}$/u.test(name));
  return Math.max(Number(numbers.at(-1) ?? -1) + 1, segment === 0 ? 0 : segment + 1);
}

/**
 * Every whole record of a spool that a stopped process has left, in order and from `start` on. A torn group
 * at the end is cut; the end says so. Anything else that is not as it was written refuses with
 * `spool_corrupt`. What a dropping that was interrupted has left before `start` is not looked at.
 */
export function* readSpool(
  files: Files,
  directory: string,
  start: SpoolStart = SPOOL_START,
): Generator<Uint8Array, Result<SpoolEnd>, undefined> {
  const end = segmentsEnd(files, directory, start);
  let records = start.record;
  let cutBytes = 0;
  for (let { segment } = start; segment < end; segment++) {
    const path = segmentPath(directory, segment);
    const bytes = files.readFile(path, MAX_SEGMENT_BYTES);
    if (bytes === null) return corrupt(segment, 0);
    // The tear was in the last group, and no segment is used before the one in front of it was synced.
    if (cutBytes > 0 && usedBytes(bytes) > 0) return corrupt(segment, 0);
    let offset = 0;
    for (let next = readRecord(bytes, 0); next !== null; next = readRecord(bytes, offset)) {
      if (next.number !== records) return corrupt(segment, offset);
      offset = next.end;
      if (next.begin === next.end) break;
      records++;
      yield bytes.subarray(next.begin, next.end);
    }
    const rest = judgeEnd(bytes, offset);
    if (rest === 'corrupt') return corrupt(segment, offset);
    if (rest === 'torn') cutBytes = usedBytes(bytes.subarray(offset));
  }
  return accept({ records, cutBytes });
}
