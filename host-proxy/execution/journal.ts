// The execution journal: what was decided about each signal, and what became of its order. It is synced
// before an order goes out, so that a restart executes nothing twice and knows what was open. A torn last
// line is cut; damage before it is refused, because positions would be wrong without anybody knowing.
//
//   8 hex digits of SHA-256 of the JSON | space | JSON | newline

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { RefusalCode } from '../../wire/codes.ts';
import type { OrderStatus, Side } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { attempt } from '../files.ts';

/** 64-bit times and amounts are decimal text. */
export type JournalRecord =
  | {
      readonly type: 'decision';
      readonly origin: string;
      readonly leaf: number;
      readonly id: string;
      readonly instrument: number;
      readonly side: Side;
      readonly quantity: number;
      readonly limit: number;
      /** Null when the order was accepted. */
      readonly refused: RefusalCode | null;
    }
  | {
      readonly type: 'fill';
      readonly id: string;
      readonly number: number;
      readonly price: number;
      readonly quantity: number;
      readonly fee: number;
      readonly time: string;
    }
  | {
      readonly type: 'end';
      readonly id: string;
      readonly status: OrderStatus;
      readonly time: string;
    }
  | { readonly type: 'day'; readonly day: string; readonly equity: string };

/** The file operations of a journal; tests inject faults here. */
export interface JournalFile {
  /** Appends, or rejects; then the next one starts where this one did. Not durable before `sync`. */
  append(text: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const MAX_JOURNAL_BYTES = 1024 * 1024 * 1024;
const CHECKSUM_DIGITS = 8;

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, CHECKSUM_DIGITS);
}

function encodeLine(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksum(json)} ${json}\n`;
}

/** Null when the line is damaged. A line with its checksum was written by us. */
function parseLine(line: string): JournalRecord | null {
  const json = line.slice(CHECKSUM_DIGITS + 1);
  if (line[CHECKSUM_DIGITS] !== ' ' || checksum(json) !== line.slice(0, CHECKSUM_DIGITS)) {
    return null;
  }
  return JSON.parse(json) as JournalRecord;
}

export interface ReadJournal {
  readonly records: readonly JournalRecord[];
  /** Bytes up to the end of the last whole record. */
  readonly bytes: number;
}

/** Refuses `spool_corrupt` {line} for damage that is not the last line's. */
export function parseJournal(text: string): Result<ReadJournal> {
  const lines = text.split('\n');
  const records: JournalRecord[] = [];
  let bytes = 0;
  for (const [index, line] of lines.entries()) {
    const record = index === lines.length - 1 ? null : parseLine(line);
    if (record === null) {
      const rest = lines.slice(index + 1);
      if (rest.some((later) => parseLine(later) !== null)) {
        return refuse('spool_corrupt', { line: index + 1 });
      }
      break;
    }
    records.push(record);
    bytes += Buffer.byteLength(line) + 1;
  }
  return accept({ records, bytes });
}

export class Journal {
  readonly #file: JournalFile;
  #pending = '';
  #failed = false;

  constructor(file: JournalFile) {
    this.#file = file;
  }

  add(record: JournalRecord): void {
    this.#pending += encodeLine(record);
  }

  /** True while something was added that no `sync` has taken. */
  get pending(): boolean {
    return this.#pending !== '';
  }

  /** Makes all that was added durable. Rejects when it is not: nothing may go out then, nor later. */
  async sync(): Promise<void> {
    if (this.#failed) throw new Error('the journal has failed before');
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    // After a failed write or sync nobody knows what is on the disk.
    this.#failed = true;
    await this.#file.append(text);
    await this.#file.sync();
    this.#failed = false;
  }

  async close(): Promise<void> {
    await this.sync();
    await this.#file.close();
  }
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly records: readonly JournalRecord[];
}

/** Runs something, again if need be, until there is room for it. */
export type HoldForRoom = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Opens or creates the journal, and cuts a torn tail. Refuses `spool_corrupt`, `file_unreadable`. Its
 * writes reject with a DiskFailure, or wait as `hold` says.
 */
export async function openJournal(
  path: string,
  hold: HoldForRoom = (work) => work(),
): Promise<Result<OpenedJournal>> {
  const flags = constants.O_RDWR | constants.O_CREAT;
  const file = await hold(() => attempt('create', path, () => open(path, flags, 0o600))).catch(
    () => null,
  );
  if (file === null) return refuse('file_unreadable');
  const { size } = await file.stat();
  if (size > MAX_JOURNAL_BYTES) {
    await file.close();
    return refuse('file_unreadable', { bytes: size, maximum: MAX_JOURNAL_BYTES });
  }
  const parsed = parseJournal(await readAll(file, size));
  if (!parsed.ok) {
    await file.close();
    return parsed;
  }
  const { bytes, records } = parsed.value;
  if (bytes < size) await file.truncate(bytes);
  await file.sync();
  const journal = new Journal(journalFile(file, { path, bytes, hold }));
  return accept({ journal, records });
}

async function readAll(file: FileHandle, size: number): Promise<string> {
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, 0);
  if (bytesRead !== size) throw new Error('the journal changed while it was read');
  return bytes.toString('utf8');
}

interface Placed {
  readonly path: string;
  /** Bytes in the file. */
  readonly bytes: number;
  readonly hold: HoldForRoom;
}

function journalFile(file: FileHandle, { path, bytes, hold }: Placed): JournalFile {
  let end = bytes;
  return {
    append: async (text) => {
      const lines = Buffer.from(text);
      // At the same place each time: of an attempt that found no room nothing is left but what this one
      // writes over.
      await hold(() => attempt('write', path, () => writeAll(file, lines, end)));
      end += lines.length;
    },
    sync: () => attempt('fdatasync', path, () => file.datasync()),
    close: () => attempt('close', path, () => file.close()),
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const left = bytes.length - done;
    const { bytesWritten } = await file.write(bytes, done, left, position + done);
    if (bytesWritten === 0) throw new Error('write of no bytes');
    done += bytesWritten;
  }
}
