// The execution journal: what was decided about each signal, and what became of its order. It is synced
// before anything of it is seen outside, so that a restart executes nothing twice and knows what was
// open. Each journal is a spool of its own in `<directory>/<number>` and begins with the state that the
// one before it came to, which then is not needed any more: that is how it stays small. A torn last sync
// is cut; damage before it is refused, because positions would be wrong without anybody knowing.

import type { Instrument } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Files } from '../files.ts';
import { makeDirectories } from '../files.ts';
import { removeAll } from '../recovery.ts';
import type { SpoolEnd } from '../spool.ts';
import { readSpool, Spool, syncSpool } from '../spool.ts';
import type { JournalRecord } from './journal-record.ts';
import { decodeRecords, encodeRecords } from './journal-record.ts';
import { InstrumentMissing, JournalState } from './journal-state.ts';

const SEGMENT_BYTES: number = 1024 * 1024;

/** Where a journal goes; a spool, or what a test puts in its place. */
export interface JournalStore {
  /** Resolves when it is durable. */
  append(bytes: Uint8Array): Promise<unknown>;
  close(): Promise<void>;
}

export class Journal {
  readonly #store: JournalStore;
  #pending: JournalRecord[] = [];
  /** Go with the next sync, and need none. */
  #lazy: JournalRecord[] = [];
  #failed = false;

  constructor(store: JournalStore) {
    this.#store = store;
  }

  add(record: JournalRecord): void {
    this.#pending.push(record);
  }

  /** Nothing depends on it: it is written when something else is, or at the close. */
  addLazily(record: JournalRecord): void {
    this.#lazy.push(record);
  }

  /** True while something was added that no `sync` has taken. */
  get pending(): boolean {
    return this.#pending.length > 0;
  }

  /** Makes all that was added durable. Rejects when it is not: nothing may go out then, nor later. */
  async sync(): Promise<void> {
    if (this.#failed) throw new Error('the journal has failed before');
    if (!this.pending) return;
    const records = [...this.#lazy, ...this.#pending];
    this.#lazy = [];
    this.#pending = [];
    // After a failed write or sync nobody knows what is on the disk.
    this.#failed = true;
    await this.#store.append(encodeRecords(records));
    this.#failed = false;
  }

  async close(): Promise<void> {
    this.#pending.push(...this.#lazy.splice(0));
    await this.sync();
    await this.#store.close();
  }
}

export interface JournalPlace {
  readonly files: Files;
  readonly directory: string;
  readonly instruments: readonly Instrument[];
  /** Journals that are not needed any more stay where they are. */
  readonly keep: boolean;
}

export interface OpenedJournal {
  readonly journal: Journal;
  /** What the journals so far came to. */
  readonly state: JournalState;
}

function pathOf(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(10, '0')}`;
}

/** Numbers of the journals, ascending. */
export function listJournals(files: Files, directory: string): readonly number[] {
  return files
    .list(directory)
    .filter((name) => /^\d{10}$/u.test(name))
    .map(Number);
}

/** Every record of one journal, in order. Refuses `spool_corrupt`. */
export function* readJournal(
  files: Files,
  directory: string,
  number: number,
): Generator<JournalRecord, Result<SpoolEnd>, undefined> {
  const reader = readSpool(files, pathOf(directory, number));
  for (;;) {
    const next = reader.next();
    if (next.done === true) return next.value;
    yield* decodeRecords(next.value);
  }
}

export interface FoundJournal {
  /** Null when there was none. */
  readonly number: number | null;
  readonly state: JournalState;
}

/**
 * The newest journal that was completed; a crash may have left an empty one above it. Refuses
 * `spool_corrupt`, and `config_invalid` when the configuration lacks an instrument that it needs.
 */
export async function findJournal(
  { files, directory, instruments }: JournalPlace,
  onRecord: (record: JournalRecord) => void = () => undefined,
): Promise<Result<FoundJournal>> {
  const numbers = listJournals(files, directory);
  for (const number of numbers.toReversed()) {
    await syncSpool(files, pathOf(directory, number));
    const state = new JournalState(instruments);
    const read = fold(readJournal(files, directory, number), (record) => {
      state.add(record);
      onRecord(record);
    });
    if (!read.ok) return read;
    if (read.value.records > 0) return accept({ number, state });
    // No journal is removed before the one above it has its state: only the first can be the last.
    if (number === numbers[0] && number > 1) return refuse('spool_corrupt', { journal: number });
  }
  return accept({ number: null, state: new JournalState(instruments) });
}

function fold(
  reader: Generator<JournalRecord, Result<SpoolEnd>, undefined>,
  add: (record: JournalRecord) => void,
): Result<SpoolEnd> {
  try {
    for (;;) {
      const next = reader.next();
      if (next.done === true) return next.value;
      add(next.value);
    }
  } catch (error) {
    if (!(error instanceof InstrumentMissing)) throw error;
    const { instrument } = error;
    const detail = { field: 'instruments', instrument, needed_by: 'execution journal' };
    return refuse('config_invalid', detail);
  }
}

/** Begins a journal with what was found; when that is durable the older ones go. */
export async function nextJournal(
  { files, directory, keep }: JournalPlace,
  { number: found, state }: FoundJournal,
): Promise<Journal> {
  await makeDirectories(files, directory);
  const older = listJournals(files, directory);
  if (found === null) for (const number of older) await removeAll(files, pathOf(directory, number));
  const number = found === null ? 1 : (older.at(-1) ?? found) + 1;
  const spool = await Spool.create(files, pathOf(directory, number), SEGMENT_BYTES);
  const journal = new Journal(spool);
  const record = state.toRecord();
  // Twice: the second proves that the first was synced, should it be damaged when the older ones are gone.
  for (let times = 0; times < 2; times++) {
    journal.add(record);
    await journal.sync();
  }
  if (keep || found === null) return journal;
  for (const old of older) await removeAll(files, pathOf(directory, old));
  return journal;
}

/** Opens the next journal. Refuses as `findJournal` does; rejects with a DiskFailure. */
export async function openJournal(place: JournalPlace): Promise<Result<OpenedJournal>> {
  const found = await findJournal(place);
  if (!found.ok) return found;
  const journal = await nextJournal(place, found.value);
  return accept({ journal, state: found.value.state });
}
