// An epoch as a host lives it, over a disk in memory: commits with inputs, outputs, reports and blobs, marks of
// releases, decisions in the execution journal, and a spool that drops what it may. The same disk can be had
// as if nothing had ever been dropped, to compare what a recovery makes of both.

import { EpochLog } from '../../host-proxy/epoch-log.ts';
import type { JournalPlace } from '../../host-proxy/execution/journal.ts';
import { findJournal, openJournal } from '../../host-proxy/execution/journal.ts';
import { lateReports } from '../../host-proxy/execution/late.ts';
import { reconcile } from '../../host-proxy/execution/reconcile.ts';
import type { Files } from '../../host-proxy/files.ts';
import { readPrevious } from '../../host-proxy/previous.ts';
import type { HostFolders } from '../../host-proxy/recovery.ts';
import { spoolDirectory } from '../../host-proxy/recovery.ts';
import { ReleaseJournal } from '../../host-proxy/release-journal.ts';
import { journalDirectory, readUnreleased, settleAll } from '../../host-proxy/settle.ts';
import { EpochCommits } from '../../host-proxy/ship/epoch-commits.ts';
import { locateSpool } from '../../host-proxy/ship/unshipped.ts';
import { toHex } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Report } from '../../wire/payloads.ts';
import { clientOrderIdOf, STATUS } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { PLAIN } from '../host-proxy/execution/support.ts';
import { LogWriter } from './log-writer.ts';
import { Crash, MemoryFiles } from './memory-files.ts';

export const LONG_FOLDERS: HostFolders = { state: '/state', log: '/log' };

/** One commit, and what the host does before the next. */
export interface Round {
  readonly inputs: number;
  readonly inputBytes: number;
  /** One of the inputs is so large that it goes to a blob. */
  readonly blob: boolean;
  readonly outputs: number;
  /** How many, of those that wait for it, oldest first. */
  readonly releases: number;
  readonly decisions: number;
  readonly reports: number;
  /** Commits that the store lacks then; null without a store. */
  readonly unshipped: number | null;
  /** Of the event loop, for what is published behind. */
  readonly turns: number;
}

export interface LongEpochOptions {
  readonly segmentBytes: number;
  readonly rounds: readonly Round[];
  /** After each round. */
  readonly look?: (log: EpochLog, writer: LogWriter) => void;
}

export interface LongEpochEnd {
  readonly writer: LogWriter;
  readonly commits: readonly Uint8Array[];
  /** Commits that were acknowledged. */
  readonly acknowledged: number;
  /** Marks that were durable. */
  readonly released: readonly number[];
  /** Of segments of the spool. */
  readonly dropped: number;
}

/** Six marks. */
const RELEASES_SEGMENT_BYTES = 150;
const SEGMENT = /^\/state\/(?:spool|releases)\/\d{10}\/\d{10}$/u;

/** Keeps what is dropped of spool and journal of releases. */
export class KeepingFiles extends MemoryFiles {
  readonly #dropped = new Map<string, Uint8Array>();

  override async removeFile(path: string): Promise<void> {
    const bytes = SEGMENT.test(path) ? this.readFile(path, 1 << 30) : null;
    if (bytes !== null) this.#dropped.set(path, bytes);
    await super.removeFile(path);
  }

  /** A disk that a crash of this one has left, as if nothing had been dropped before. */
  async withAll(disk: MemoryFiles): Promise<MemoryFiles> {
    const whole = disk.afterCrash('everything');
    for (const [path, bytes] of this.#dropped) {
      if (whole.size(path) !== null) continue;
      const file = await whole.create(path);
      await file.write(bytes, 0);
      await file.sync();
    }
    const spool = spoolDirectory(LONG_FOLDERS, 1);
    for (const name of whole.list(spool).filter((other) => other.startsWith('start'))) {
      await whole.removeFile(`${spool}/${name}`);
    }
    return whole.afterCrash('everything');
  }
}

function placeOf(files: Files): JournalPlace {
  return { files, directory: '/state/execution', instruments: [PLAIN], keep: false };
}

/** Runs the epoch until the disk crashes, or to its end; it is not settled. */
export async function runLongEpoch(
  files: Files,
  { segmentBytes, rounds, look }: LongEpochOptions,
): Promise<LongEpochEnd> {
  const writer = new LogWriter();
  const { origin } = writer.header;
  const commits: Uint8Array[] = [];
  const marks: number[] = [];
  let acknowledged = 0;
  let dropped = 0;
  let unshipped: number | null = null;
  try {
    const journals = journalDirectory(LONG_FOLDERS, 1);
    const releases = await ReleaseJournal.create(files, journals, RELEASES_SEGMENT_BYTES);
    const log = await EpochLog.create({
      files,
      crypto: nodeCrypto,
      spoolDirectory: spoolDirectory(LONG_FOLDERS, 1),
      logDirectory: LONG_FOLDERS.log,
      epoch: 1,
      segmentBytes,
      checkpointIntervalMs: 0,
      // What is asked for and not in the folder is read from the spool.
      maxKeptBytes: 1,
      releases,
      shipping: {
        isFull: () => false,
        durable: () => undefined,
        published: () => undefined,
        shippedCommits: () => Math.max(0, acknowledged - (unshipped ?? 0)),
      },
      onFailure: () => undefined,
    });
    const { journal } = assertAccepted(await openJournal(placeOf(files)));
    const receive = async (): Promise<void> => {
      const commit = writer.commit();
      commits.push(commit);
      assertAccepted(await log.receive(commit));
      acknowledged++;
    };
    await receive();
    const waiting: { release: number[]; decide: number[]; report: number[] } = {
      release: [],
      decide: [],
      report: [],
    };
    const idOf = (leaf: number): string =>
      clientOrderIdOf(leafHash(nodeCrypto, writer.leaves[leaf] ?? new Uint8Array()));
    for (const round of rounds) {
      ({ unshipped } = round);
      writer.addInputs(round.inputs, round.inputBytes);
      if (round.blob) writer.add(KIND.input, new Uint8Array(70_000).fill(commits.length));
      for (let at = 0; at < round.outputs; at++) {
        waiting.release.push(writer.add(KIND.output, new Uint8Array(50)));
      }
      const told = waiting.report.splice(0, round.reports);
      for (const leaf of told) writer.add(KIND.report, new Uint8Array(20), [leaf]);
      // A commit without a leaf is none.
      writer.addInputs(1);
      await receive();
      for (const leaf of told) journal.addLazily({ type: 'told', id: idOf(leaf) });
      for (const leaf of waiting.release.splice(0, round.releases)) {
        await releases.record(leaf);
        log.outputs.released(leaf);
        marks.push(leaf);
        waiting.decide.push(leaf);
      }
      for (const leaf of waiting.decide.splice(0, round.decisions)) {
        const order = { instrument: 1, side: 1, quantity: 1, limit: 1, refused: null } as const;
        journal.add({ type: 'decision', origin, leaf, id: idOf(leaf), ...order });
        journal.add({ type: 'end', id: idOf(leaf), status: STATUS.expired, time: '1' });
        await journal.sync();
        waiting.report.push(leaf);
      }
      // Publishing gets its turn.
      for (let turn = 0; turn < round.turns; turn++) await new Promise(setImmediate);
      ({ dropped } = log.counters);
      look?.(log, writer);
    }
    await log.finish();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return { writer, commits, acknowledged, released: marks, dropped };
}

/** All that a recovery leaves for anybody to see, with digests of files. */
export interface Recovered {
  readonly epochs: readonly object[];
  readonly log: ReadonlyMap<string, string>;
  readonly unreleased: readonly number[];
  readonly previous: unknown;
  readonly journal: unknown;
  readonly late: readonly Report[];
  readonly unshipped: readonly string[];
  /** As they would be shipped. */
  readonly commits: readonly string[];
}

/** Settles what is on the disk, as a host does that starts. Throws a Crash when the disk crashes. */
export async function recoverLongEpoch(files: MemoryFiles): Promise<Recovered> {
  const place = placeOf(files);
  const look = (broken: Parameters<typeof reconcile>[1]): ReturnType<typeof reconcile> =>
    reconcile(place, broken);
  const settled = assertAccepted(await settleAll(files, nodeCrypto, LONG_FOLDERS, look, true));
  const { state } = assertAccepted(await findJournal(place));
  const late = [...state.untold.values()].flatMap((untold) =>
    lateReports(untold, 1, untold.end ?? { status: STATUS.cancelled, time: '0' }),
  );
  const epochs = settled.map(
    ({ from: _from, outputs: _outputs, reported: _reported, ...same }) => same,
  );
  return {
    epochs,
    log: new Map([...files.contents('/log')].map(([path, bytes]) => [path, digest(bytes)])),
    unreleased: assertAccepted(readUnreleased(files, LONG_FOLDERS, 1)),
    previous: assertAccepted(readPrevious(files, nodeCrypto, LONG_FOLDERS, [])),
    journal: state.toRecord(),
    late,
    unshipped: files.list('/state/unshipped'),
    commits: settled.flatMap(({ commits, size }) =>
      Array.from({ length: commits }, commitsOf(files, size)).map(digest),
    ),
  };
}

function digest(bytes: Uint8Array): string {
  return toHex(nodeCrypto.sha256(bytes));
}

/** Each call gives the next commit of the settled epoch. */
function commitsOf(files: MemoryFiles, size: number): () => Uint8Array {
  const commits = new EpochCommits({
    files,
    logDirectory: LONG_FOLDERS.log,
    epoch: 1,
    finalSize: () => size,
    locateSpool: () => locateSpool(files, LONG_FOLDERS, 1),
  });
  return () => commits.next();
}
