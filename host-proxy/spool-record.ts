// Records of the spool and how a damaged one is judged. A group is what one write and one fdatasync
// made durable; the next group is written only after that, so a whole group behind damage proves that
// the damaged bytes had been acknowledged. Where no group follows soon a mark does, a record without a
// payload and with the number of the next one, which a group may later overwrite. Damage in a last group
// without a mark is what a crash leaves.
//
//   u32 magic: "TSG1" first of its group, "TSR1" another | u32 number, from 0 | u32 length
//   | u32 CRC-32 of these twelve bytes and the payload | payload
//   The rest of a segment, which is preallocated, is zeros.

import { crc32 } from 'node:zlib';
import { readU32, writeU32 } from '../wire/bytes.ts';
import { CrcIndex, joinCrcs } from './crc-index.ts';

export const RECORD_HEAD_BYTES = 16;
const FIRST_OF_GROUP = 0x54534731;
const MORE_OF_GROUP = 0x54535231;

export function encodeRecord(
  target: Uint8Array,
  offset: number,
  record: { readonly number: number; readonly first: boolean; readonly payload: Uint8Array },
): void {
  writeU32(target, offset, record.first ? FIRST_OF_GROUP : MORE_OF_GROUP);
  writeU32(target, offset + 4, record.number);
  writeU32(target, offset + 8, record.payload.length);
  const head = target.subarray(offset, offset + 12);
  writeU32(target, offset + 12, crc32(record.payload, crc32(head)));
  target.set(record.payload, offset + RECORD_HEAD_BYTES);
}

export interface RecordHead {
  readonly number: number;
  readonly first: boolean;
  /** Where the payload begins and ends in the segment. */
  readonly begin: number;
  readonly end: number;
}

/** The record at `offset` when all of it is there and intact, else null. */
export function readRecord(segment: Uint8Array, offset: number): RecordHead | null {
  const begin = offset + RECORD_HEAD_BYTES;
  if (begin > segment.length) return null;
  const magic = readU32(segment, offset);
  const end = begin + readU32(segment, offset + 8);
  if (magic !== FIRST_OF_GROUP && magic !== MORE_OF_GROUP) return null;
  if (end > segment.length) return null;
  const head = segment.subarray(offset, offset + 12);
  const expected = readU32(segment, offset + 12);
  if (crc32(segment.subarray(begin, end), crc32(head)) !== expected) return null;
  return { number: readU32(segment, offset + 4), first: magic === FIRST_OF_GROUP, begin, end };
}

/** What follows the last intact record of a segment. */
export type SegmentEnd =
  /** Zeros only: nothing was written there. */
  | 'clean'
  /** Bytes of a group that was never acknowledged. */
  | 'torn'
  /** A later group is intact behind the damage, so acknowledged bytes are lost. */
  | 'corrupt';

const ZEROS: Uint8Array = new Uint8Array(64 * 1024);

/** Bytes up to the last one that is not zero. */
export function usedBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  while (
    end >= ZEROS.length &&
    Buffer.compare(ZEROS, bytes.subarray(end - ZEROS.length, end)) === 0
  )
    end -= ZEROS.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

export function judgeEnd(segment: Uint8Array, offset: number): SegmentEnd {
  const rest = segment.subarray(offset);
  if (usedBytes(rest) === 0) return 'clean';
  const search = Buffer.from(rest.buffer, rest.byteOffset, rest.length);
  const magic = Buffer.alloc(4);
  magic.writeUInt32BE(FIRST_OF_GROUP);
  let index: CrcIndex | null = null;
  // The group that may be torn starts at 0 itself: only one behind it tells.
  for (let at = search.indexOf(magic, 1); at >= 0; at = search.indexOf(magic, at + 1)) {
    index ??= new CrcIndex(rest);
    if (isRecord(rest, at, index)) return 'corrupt';
  }
  return 'torn';
}

/**
 * As `readRecord` sees it. Payloads hold what a venue has sent: one that is full of starts of groups, each
 * of a length up to the end, must not make us read the end for each of them.
 */
function isRecord(segment: Uint8Array, offset: number, index: CrcIndex): boolean {
  const begin = offset + RECORD_HEAD_BYTES;
  if (begin > segment.length) return false;
  const bytes = readU32(segment, offset + 8);
  if (bytes > segment.length - begin) return false;
  const head = crc32(segment.subarray(offset, offset + 12));
  return joinCrcs(head, index.of(begin, begin + bytes), bytes) === readU32(segment, offset + 12);
}
