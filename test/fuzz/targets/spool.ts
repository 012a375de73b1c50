// The host's spool and its execution journal, as a crash or a bad disk left them. An input is one or two
// segments, cut at the marker; every record that is read is intact and in its place.

import { readSpool } from '../../../host-proxy/spool.ts';
import type { Files } from '../../../host-proxy/files.ts';
import { nodeFiles } from '../../../host-proxy/files.ts';
import {
  encodeRecord,
  readRecord,
  RECORD_HEAD_BYTES,
  usedBytes,
} from '../../../host-proxy/spool-record.ts';
import { findJournal } from '../../../host-proxy/execution/journal.ts';
import type { JournalRecord } from '../../../host-proxy/execution/journal-record.ts';
import { encodeRecords } from '../../../host-proxy/execution/journal-record.ts';
import { PLAIN } from '../../host-proxy/execution/support.ts';
import { JournalState } from '../../../host-proxy/execution/journal-state.ts';
import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { dictionary, mix, mutateBytes } from '../mutate/bytes.ts';
import { interestingLength } from '../mutate/values.ts';
import { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectThat, judge } from '../target.ts';

const MARKER = Buffer.from('----next segment----');
const MAX_BYTES = 256 * 1024;
const JOURNALS = 'journals';

function segmentsOf(input: Uint8Array): readonly Uint8Array[] {
  const at = Buffer.from(input.buffer, input.byteOffset, input.length).indexOf(MARKER);
  return at < 0 ? [input] : [input.subarray(0, at), input.subarray(at + MARKER.length)];
}

/** What reading a spool needs of a disk. */
function filesOf(segments: readonly Uint8Array[]): Files {
  const names = segments.map((_, index) => String(index).padStart(10, '0'));
  return {
    ...nodeFiles,
    list: (directory) => (directory === JOURNALS ? ['0000000001'] : names),
    readFile: (path) => segments[Number(path.slice(-10))]?.slice() ?? null,
    isDirectory: () => true,
    syncFile: () => Promise.resolve(),
    syncDirectory: () => Promise.resolve(),
  };
}

function runSpool(input: Uint8Array): string {
  const segments = segmentsOf(input);
  const reader = readSpool(filesOf(segments), 'spool');
  const payloads: Uint8Array[] = [];
  for (;;) {
    const next = reader.next();
    if (next.done === true) {
      const outcome = judge(next.value);
      if (!next.value.ok) return `${outcome} ${segments.length}`;
      const { records, cutBytes } = next.value.value;
      expectThat(records === payloads.length, 'another number of records');
      checkRecords(segments, payloads, cutBytes);
      return `${outcome} ${Math.min(records, 3)} ${cutBytes > 0} ${segments.length}`;
    }
    payloads.push(next.value);
  }
}

/** The segments are these records, what was cut, and zeros. */
function checkRecords(
  segments: readonly Uint8Array[],
  payloads: readonly Uint8Array[],
  cutBytes: number,
): void {
  let number = 0;
  let used = 0;
  for (const segment of segments) {
    let offset = 0;
    for (let payload = payloads[number]; payload !== undefined; payload = payloads[number]) {
      const record = new Uint8Array(RECORD_HEAD_BYTES + payload.length);
      encodeRecord(record, 0, { number, first: segment[offset + 2] === 0x47, payload });
      const there = segment.subarray(offset, offset + record.length);
      if (Buffer.compare(record, there) !== 0) break;
      offset += record.length;
      number++;
    }
    const mark = readRecord(segment, offset);
    if (mark !== null && mark.begin === mark.end && mark.number === number) offset = mark.end;
    used += usedBytes(segment.subarray(offset));
  }
  expectThat(number === payloads.length, 'a record that is not in the files');
  expectThat(used === cutBytes, 'bytes that are neither records nor cut');
}

function encoded(number: number, first: boolean, payload: Uint8Array): Uint8Array {
  const record = new Uint8Array(RECORD_HEAD_BYTES + payload.length);
  encodeRecord(record, 0, { number, first, payload });
  return record;
}

/** Groups of these payloads, one to three in each, and a mark at the end, now and then. */
function groupsOf(random: Random, payloads: readonly Uint8Array[], from: number): Uint8Array {
  let inGroup = 0;
  const records = payloads.map((payload, index) => {
    const first = inGroup === 0;
    inGroup = first ? random.below(3) : inGroup - 1;
    return encoded(from + index, first, payload);
  });
  if (random.oneIn(3)) records.push(encoded(from + payloads.length, true, new Uint8Array(0)));
  return concatBytes(...records);
}

function spoolOf(random: Random): Uint8Array {
  const payloads = Array.from({ length: random.between(1, 8) }, () =>
    random.bytes(Math.min(random.length(3000), interestingLength(random, 3000))),
  );
  return groupsOf(random, payloads, random.oneIn(8) ? 1 : 0);
}

/** The start of what was written, or all of it, damaged or not, and the zeros behind. */
function asCrashed(random: Random, written: Uint8Array, other: Uint8Array): Uint8Array {
  const zeros = new Uint8Array(random.pick([0, 1, 16, 100, 70_000]));
  const choice = random.below(3);
  if (choice === 0) return concatBytes(written, zeros);
  if (choice === 1) return concatBytes(written.subarray(0, random.below(written.length)), zeros);
  return concatBytes(mutateBytes(random, written, other), zeros);
}

const mutateSpool: Mutator = (random, input, other) => {
  const segment = asCrashed(random, spoolOf(random), other);
  const choice = random.below(4);
  if (choice === 0) return concatBytes(input, MARKER, segment);
  return choice === 1 ? concatBytes(segment, MARKER, other.subarray(0, 5000)) : segment;
};

/** As many starts of groups as fit, each of a length up to the end. */
const mutateStarts: Mutator = (random) => {
  const bytes = Buffer.alloc(random.pick([64, 4096, 65_536, MAX_BYTES]));
  for (let at = 1; at + RECORD_HEAD_BYTES <= bytes.length; at += RECORD_HEAD_BYTES) {
    bytes.write('TSG1', at, 'latin1');
    bytes.writeUInt32BE(Math.max(0, bytes.length - at - RECORD_HEAD_BYTES), at + 8);
  }
  return new Uint8Array(bytes);
};

export function spoolTarget(): Target {
  const record = encoded(0, true, new Uint8Array(20).fill(6));
  return {
    name: 'spool',
    files: ['host-proxy/spool-record.ts', 'host-proxy/spool.ts'],
    maxBytes: MAX_BYTES,
    seeds: [record, concatBytes(record, new Uint8Array(100)), concatBytes(record, MARKER, record)],
    mutate: mix(
      [200, mutateSpool],
      [200, mutateBytes],
      [50, dictionary([MARKER, utf8('TSG1'), utf8('TSR1'), new Uint8Array(16)])],
      [1, mutateStarts],
    ),
    run: runSpool,
  };
}

const ORIGIN = 'trackseal.test/log/e0000000001';

/** What a host writes for some orders, in this order. */
function recordsOf(random: Random): readonly (readonly JournalRecord[])[] {
  const groups: JournalRecord[][] = [];
  for (let order = 0, count = random.between(1, 4); order < count; order++) {
    const id = `ts${order}`;
    const head = { type: 'decision', origin: ORIGIN, leaf: order, id, instrument: 1 } as const;
    groups.push([{ ...head, side: 1, quantity: 10, limit: 5, refused: null }]);
    const fill = { type: 'fill', id, price: 5, quantity: 4, fee: -1, time: '8' } as const;
    if (random.oneIn(2))
      groups.push([
        { ...fill, number: 0 },
        { ...fill, number: 1 },
      ]);
    if (random.oneIn(2)) groups.push([{ type: 'end', id, status: 3, time: '9' }]);
    if (random.oneIn(3))
      groups.push([
        { type: 'told', id },
        { type: 'day', day: '1', equity: '-5' },
      ]);
    if (random.oneIn(5))
      groups.push([{ type: 'missed', origin: ORIGIN, leaf: 9, id: `m${order}` }]);
  }
  return groups;
}

async function runJournal(input: Uint8Array): Promise<string> {
  const files = filesOf(segmentsOf(input));
  const records: JournalRecord[] = [];
  const place = { files, directory: JOURNALS, instruments: [PLAIN], keep: false };
  const found = await findJournal(place, (record) => records.push(record));
  const outcome = judge(found);
  if (!found.ok) return outcome;
  // The state that is written to the next journal comes to itself.
  const { state } = found.value;
  const again = new JournalState([PLAIN]);
  again.add(state.toRecord());
  expectThat(
    JSON.stringify(again.toRecord()) === JSON.stringify(state.toRecord()),
    'a state that is not the same when it is read again',
  );
  return `${outcome} ${Math.min(records.length, 4)} ${state.untold.size > 0}`;
}

const mutateJournal: Mutator = (random, _, other) => {
  const payloads = recordsOf(random).map((records) => encodeRecords(records));
  return asCrashed(random, groupsOf(random, payloads, 0), other);
};

export function journalTarget(): Target {
  const random = new Random(1);
  const payloads = recordsOf(random).map((records) => encodeRecords(records));
  return {
    name: 'journal',
    files: [
      'host-proxy/execution/journal.ts',
      'host-proxy/execution/journal-record.ts',
      'host-proxy/execution/journal-state.ts',
    ],
    maxBytes: MAX_BYTES,
    seeds: [groupsOf(random, payloads, 0), new Uint8Array(100)],
    mutate: mix([2, mutateJournal], [1, mutateBytes]),
    run: runJournal,
  };
}
