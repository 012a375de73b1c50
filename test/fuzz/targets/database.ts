// What a database answers: enclave/ledger/store/guarded-stream.ts, cut at any place, and the client library behind it. What is
// let through is what came, whatever the cuts, and the library reads it without throwing; a value of a row is read or refused.

import { Parser } from 'pg-protocol/dist/parser.js';
import { MessageCheck } from '../../../enclave/ledger/store/guarded-stream.ts';
import { Row, RowError } from '../../../enclave/ledger/store/row.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes, replaceRange } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat } from '../target.ts';

const MAX_BYTES = 16 * 1024;

function message(type: string, body: string | Uint8Array | readonly number[]): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.from(body);
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function row(values: readonly (string | null)[]): Buffer {
  const parts = values.map((value) => {
    const head = Buffer.alloc(4, 0xff);
    if (value !== null) head.writeInt32BE(value.length);
    return Buffer.concat([head, Buffer.from(value ?? '', 'latin1')]);
  });
  const count = Buffer.alloc(2);
  count.writeInt16BE(values.length);
  return message('D', Buffer.concat([count, ...parts]));
}

const COLUMN = [0x61, 0, ...new Uint8Array(18)];
const LOGIN: readonly Buffer[] = [
  message('R', [0, 0, 0, 10, ...Buffer.from('SCRAM-SHA-256\0\0')]),
  message('R', [0, 0, 0, 11, 1, 2]),
  message('R', [0, 0, 0, 12, 1, 2]),
  message('R', [0, 0, 0, 0]),
  message('S', 'TimeZone\0UTC\0'),
  message('K', [0, 0, 0, 1, 0, 0, 0, 2]),
  message('Z', 'I'),
];
const ANSWER: readonly Buffer[] = [
  message('1', []),
  message('2', []),
  message('t', [0, 1, 0, 0, 0, 17]),
  message('T', [0, 2, ...COLUMN, ...COLUMN]),
  row(['12', '\\x00ff', null]),
  row(['9007199254740993', '\\x0', '-1']),
  message('C', 'SELECT 1\0'),
  message('Z', 'T'),
];
const TROUBLE: readonly Buffer[] = [
  message('E', 'SERROR\0C23505\0Mtext\0\0'),
  message('N', '\0'),
  message('A', [0, 0, 0, 1, 0x61, 0, 0x62, 0]),
  message('n', []),
  message('s', []),
  message('I', []),
];

/** Changes the body of one message, and gives it the length that it has then. */
const mutateMessage: Mutator = (random, input, other) => {
  const all = Buffer.from(input);
  const starts: number[] = [];
  for (let at = 0; at + 5 <= all.length && all.readInt32BE(at + 1) >= 4;) {
    const end = at + 1 + all.readInt32BE(at + 1);
    if (end > all.length) break;
    starts.push(at);
    at = end;
  }
  if (starts.length === 0) return mutateBytes(random, input, other);
  const at = random.pick(starts);
  const end = at + 1 + all.readInt32BE(at + 1);
  const body = mutateBytes(random, Uint8Array.from(all.subarray(at + 5, end)), other);
  const type = random.oneIn(4)
    ? 'RSKZTDC123nsIENAt'.charAt(random.below(17))
    : all.toString('latin1', at, at + 1);
  return replaceRange(input, at, end, message(type, body));
};

/** All that is let through, or what is wrong. */
function through(
  input: Uint8Array,
  step: number,
): { readonly bytes: Buffer; readonly end: string } {
  const check = new MessageCheck();
  const parts: Buffer[] = [];
  for (let at = 0; at < input.length; at += step) {
    const taken = check.take(Buffer.from(input.subarray(at, at + step)));
    if (typeof taken === 'string') return { bytes: Buffer.concat(parts), end: taken };
    parts.push(taken);
  }
  return { bytes: Buffer.concat(parts), end: '' };
}

/** Each value as each kind: given, or refused with the one error that a row has. */
function readRow(values: readonly unknown[]): string {
  const one = new Row(values);
  return values
    .map((value, column) => {
      const reads = [
        () => one.uintOrNull(column),
        () => one.bytesOrNull(column, 0, MAX_BYTES),
        () => (one.isNull(column) ? null : one.text(column, MAX_BYTES)),
      ].map((read) => {
        try {
          return read();
        } catch (error) {
          expectThat(error instanceof RowError, 'a value that throws something else');
          return undefined;
        }
      });
      const [uint, bytes] = reads;
      const isBytes = bytes instanceof Uint8Array;
      if (isBytes) {
        const hex = `\\x${Buffer.from(bytes).toString('hex')}`;
        expectThat(hex === String(value).toLowerCase(), 'bytes that nobody wrote');
      }
      if (typeof uint === 'number')
        expectThat(String(uint) === value, 'a number that nobody wrote');
      return value === null ? 'null' : `${typeof uint} ${String(isBytes)}`;
    })
    .slice(0, 4)
    .join(',');
}

interface DataRow {
  readonly name: string;
  readonly fields?: readonly unknown[];
}

export function databaseAnswersTarget(): Target {
  return {
    name: 'database-answers',
    files: ['enclave/ledger/store/guarded-stream.ts', 'enclave/ledger/store/row.ts'],
    maxBytes: MAX_BYTES,
    seeds: [LOGIN, ANSWER, TROUBLE, [...LOGIN, ...ANSWER, ...TROUBLE]].map((messages) =>
      Uint8Array.from(Buffer.concat(messages)),
    ),
    mutate: mix([3, mutateMessage], [1, mutateBytes]),
    run: (input) => {
      const whole = through(input, Math.max(1, input.length));
      const cut = through(input, 1 + (input.length % 7));
      expectThat(whole.end === cut.end, 'judged otherwise when it is cut');
      // What was whole before the bad message went through; at once nothing did.
      if (whole.end === '')
        expectSameBytes(whole.bytes, cut.bytes, 'let through otherwise when cut');
      expectSameBytes(
        cut.bytes,
        input.subarray(0, cut.bytes.length),
        'let through what did not come',
      );
      const seen: string[] = [];
      new Parser().parse(cut.bytes, (read: DataRow) => {
        const isRow = read.name === 'dataRow' && read.fields !== undefined;
        seen.push(isRow ? readRow(read.fields) : read.name);
      });
      return `${whole.end} ${seen.slice(0, 16).join(' ')}`;
    },
  };
}
