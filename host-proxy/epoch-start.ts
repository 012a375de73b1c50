// Where the spool of a running epoch begins when segments of it were dropped, and all that a recovery needs of
// the commits before: `<spool>/start`, replaced whole and durable before anything is dropped. Leaves, blobs and
// older notes are in the log folder, under the head that is kept here and that the enclave has signed. The
// host's own file, checksummed: what is damaged in it is `spool_corrupt`.

import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { parseUtf8, utf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { writeDurably } from './durable-file.ts';
import type { Files } from './files.ts';
import type { OpenOutput } from './open-outputs.ts';
import type { PublishedPart } from './publisher.ts';
import type { SpoolStart } from './spool.ts';

const NAME = 'start';
/** 1,023 notes of 4 KiB and 65,536 outputs of 64 bytes. */
export const MAX_START_BYTES: number = 8 * 1024 * 1024;
/** An enclave that logs outputs and does not release them comes to this: then nothing more is dropped. */
export const MAX_START_OUTPUTS = 65_536;

export interface EpochStart {
  /** The first segment that counts, and its first record. */
  readonly spool: SpoolStart;
  /** As of this many commits; those that are in the spool all the same are read over. */
  readonly commits: number;
  /** Of those commits. */
  readonly bytes: number;
  readonly published: PublishedPart;
  /** Not released, or without a report; also some of later commits. */
  readonly outputs: readonly OpenOutput[];
  /** Leaf of the last output that was released and reported on before; null without one. */
  readonly lastClosed: number | null;
  /** Where the journal of releases begins. */
  readonly releases: SpoolStart;
}

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const start = z.strictObject({ segment: count, record: count });
const schema = z.strictObject({
  version: z.literal(1),
  epoch: count,
  spool: start,
  commits: count.min(1),
  bytes: count,
  size: count.min(1),
  note: z.string(),
  notes: z.array(z.string()),
  first_note_index: count,
  outputs: z.array(z.tuple([count, z.string(), z.boolean(), z.boolean()])),
  last_closed: count.nullable(),
  releases: start,
});

/** Null when it would be too large. */
export function encodeEpochStart(epoch: number, value: EpochStart): Uint8Array | null {
  const { spool, commits, bytes, published, outputs, lastClosed, releases } = value;
  if (outputs.length > MAX_START_OUTPUTS) return null;
  const text = JSON.stringify({
    version: 1,
    epoch,
    spool: { segment: spool.segment, record: spool.record },
    commits,
    bytes,
    size: published.size,
    note: textOf(published.note),
    notes: published.notes.map(textOf),
    first_note_index: published.firstNoteIndex,
    outputs: outputs.map(({ index, clientOrderId, released, reported }) => [
      index,
      clientOrderId,
      released,
      reported,
    ]),
    last_closed: lastClosed,
    releases: { segment: releases.segment, record: releases.record },
  });
  const encoded = utf8(`${crc32(text)} ${text}\n`);
  return encoded.length > MAX_START_BYTES ? null : encoded;
}

/** Refuses `spool_corrupt`. */
export function parseEpochStart(epoch: number, bytes: Uint8Array): Result<EpochStart> {
  const corrupt = refuse('spool_corrupt', { epoch, file: NAME });
  const [, checksum, text] = /^(\d{1,10}) ([^\n]*)\n$/u.exec(parseUtf8(bytes) ?? '') ?? [];
  if (text === undefined || Number(checksum) !== crc32(text)) return corrupt;
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.epoch !== epoch) return corrupt;
  const { spool, commits, size, outputs, releases, ...rest } = parsed.data;
  return accept({
    spool,
    commits,
    bytes: rest.bytes,
    published: {
      size,
      note: utf8(rest.note),
      notes: rest.notes.map(utf8),
      firstNoteIndex: rest.first_note_index,
    },
    outputs: outputs.map(([index, clientOrderId, released, reported]) => ({
      index,
      clientOrderId,
      released,
      reported,
    })),
    lastClosed: rest.last_closed,
    releases,
  });
}

/** Replaces the start of the spool in `directory`. Rejects with a DiskFailure. */
export function writeEpochStart(files: Files, directory: string, bytes: Uint8Array): Promise<void> {
  return writeDurably(files, directory, NAME, bytes);
}

/** Null where the spool has all of its epoch. Refuses `spool_corrupt`. */
export function readEpochStart(
  files: Files,
  directory: string,
  epoch: number,
): Result<EpochStart | null> {
  const bytes = files.readFile(`${directory}/${NAME}`, MAX_START_BYTES);
  return bytes === null ? accept(null) : parseEpochStart(epoch, bytes);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Notes were verified, so that they are text. */
function textOf(note: Uint8Array): string {
  const text = parseUtf8(note);
  if (text === null) throw new Error('a note that is no text');
  return text;
}
