// Reads the records of a spool one after the other while the host still writes it, and after its epoch was
// settled, when the same folder has another name. Holds one piece of a segment, whatever the spool's
// size. The caller asks only for records that are durable; one that is not as it was written is a
// DiskFailure, as anywhere else in the spool.

import { MAX_LOG_OUT_BYTES } from '../../wire/limits.ts';
import { readU32 } from '../../wire/bytes.ts';
import type { Files } from '../files.ts';
import { DiskFailure } from '../files.ts';
import { readRecord, RECORD_HEAD_BYTES } from '../spool-record.ts';
import type { SpoolStart } from '../spool.ts';
import { segmentPath, SPOOL_START } from '../spool.ts';

const PIECE_BYTES: number = 256 * 1024;
const NOTHING: Uint8Array = new Uint8Array(0);

export class SpoolTail {
  readonly #files: Files;
  /** Where the spool is now; null when it is nowhere. */
  readonly #locate: () => string | null;
  #segment: number;
  #offset = 0;
  #records: number;
  #directory: string | null = null;
  /** Bytes of the segment from `#pieceBegin` on, as they were when they were read. */
  #piece: Uint8Array = NOTHING;
  #pieceBegin = 0;

  constructor(files: Files, locate: () => string | null, start: SpoolStart = SPOOL_START) {
    this.#files = files;
    this.#locate = locate;
    this.#segment = start.segment;
    this.#records = start.record;
  }

  /** Records that were read, and those before the start. */
  get records(): number {
    return this.#records;
  }

  /** The next payload, a copy; it must be durable. Throws a DiskFailure when it cannot be read. */
  next(): Uint8Array {
    const payload = this.#take() ?? this.#takeFromNextSegment();
    if (payload === null) {
      const path = segmentPath(this.#directory ?? 'spool', this.#segment);
      throw new DiskFailure('read', path, Object.assign(new Error(), { code: 'EBADMSG' }));
    }
    this.#records++;
    return payload;
  }

  #takeFromNextSegment(): Uint8Array | null {
    if (this.#offset === 0) return null;
    const [segment, offset] = [this.#segment, this.#offset];
    this.#go(segment + 1, 0);
    const payload = this.#take();
    if (payload === null) this.#go(segment, offset);
    return payload;
  }

  #go(segment: number, offset: number): void {
    this.#segment = segment;
    this.#offset = offset;
    this.#piece = NOTHING;
  }

  /** What was read before it was durable may have been written over since: it is read once more. */
  #take(): Uint8Array | null {
    const known = this.#find();
    if (known !== null) return known;
    this.#read(PIECE_BYTES);
    const head = this.#piece.length >= RECORD_HEAD_BYTES ? readU32(this.#piece, 8) : 0;
    const whole = RECORD_HEAD_BYTES + head;
    if (whole > this.#piece.length && head <= MAX_LOG_OUT_BYTES) this.#read(whole);
    return this.#find();
  }

  #find(): Uint8Array | null {
    const at = this.#offset - this.#pieceBegin;
    if (this.#piece.length === 0 || at >= this.#piece.length) return null;
    const record = readRecord(this.#piece, at);
    // A mark says that nothing had followed yet.
    if (record === null || record.number !== this.#records || record.begin === record.end) {
      return null;
    }
    this.#offset = this.#pieceBegin + record.end;
    return this.#piece.slice(record.begin, record.end);
  }

  #read(bytes: number): void {
    this.#pieceBegin = this.#offset;
    this.#piece = this.#readAt(bytes) ?? NOTHING;
    if (this.#piece.length > 0) return;
    // Settled since the last read.
    this.#directory = this.#locate();
    this.#piece = this.#readAt(bytes) ?? NOTHING;
  }

  #readAt(bytes: number): Uint8Array | null {
    this.#directory ??= this.#locate();
    if (this.#directory === null) return null;
    return this.#files.readAt(segmentPath(this.#directory, this.#segment), this.#offset, bytes);
  }
}
