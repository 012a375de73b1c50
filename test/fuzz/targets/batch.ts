// wire/batch.ts and the enclave's peek at batches that were refused. An independent reading with cborg and
// the rules of docs/PROTOCOL.md 3 written anew has to agree on what is accepted, and on the columns.

import { peekBatch } from '../../../enclave/batch-head.ts';
import { parseBatch } from '../../../wire/batch.ts';
import type { Batch } from '../../../wire/batch.ts';
import { MAX_FEED_IN_BYTES } from '../../../wire/limits.ts';
import { encodeAgain, fields, forge, TIME_NS } from '../../wire/batch-forge.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import { changedUint, interestingLength } from '../mutate/values.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, sameValue } from '../target.ts';
import { readBatchPlainly } from './batch-peer.ts';

const KNOWN: ReadonlySet<number> = new Set([1, 2, 7]);

function run(bytes: Uint8Array): string {
  const parsed = parseBatch(bytes);
  const outcome = judge(parsed);
  const known = judge(parseBatch(bytes, KNOWN));
  const peeked = peekBatch(bytes);
  const plain = bytes.length > MAX_FEED_IN_BYTES ? null : readBatchPlainly(bytes);
  expectThat(
    parsed.ok === (plain !== null),
    `an independent reading ${plain === null ? 'refuses' : 'accepts'} it`,
  );
  if (!parsed.ok) return `${outcome} ${peeked === null}`;
  const batch = parsed.value;
  expectThat(sameValue(plain, asPlain(batch)), 'an independent reading has other columns');
  expectThat(
    peeked?.stream === batch.stream && peeked.sequence === batch.sequence,
    'the head is another',
  );
  expectSameBytes(new Uint8Array(encodeAgain(batch)), bytes, 'another encoding of the same batch');
  return `${outcome} ${known} ${Math.min(batch.groups, 3)} ${Math.min(batch.rows, 3)}`;
}

function asPlain(batch: Batch): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(batch).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'number' || typeof value === 'bigint'
        ? BigInt(value)
        : Array.from(value as ArrayLike<number | bigint>, BigInt),
    ]),
  );
}

const ROW_KEYS = [6, 7, 8, 9, 10, 11, 12, 13, 14];
const GROUP_KEYS = [15, 16, 17, 18, 19, 20, 21];

type Column = Uint8Array | Uint16Array | BigInt64Array;

function resize(column: Column, length: number): Column {
  if (column instanceof BigInt64Array) {
    return BigInt64Array.from({ length }, (_, index) => column[index % column.length] ?? 0n);
  }
  const from = (_: unknown, index: number): number => column[index % column.length] ?? 0;
  return column instanceof Uint16Array
    ? Uint16Array.from({ length }, from)
    : Uint8Array.from({ length }, from);
}

/** A batch with its columns changed one way or another, the rest as it should be. */
const mutateColumns: Mutator = (random) => {
  const all = fields();
  const changes: Record<number, unknown> = {};
  for (let times = random.between(1, 4); times > 0; times--) change(random, all, changes);
  return forge(changes);
};

function columnOf(
  all: Map<number, unknown>,
  changes: Record<number, unknown>,
  key: number,
): Column {
  return (changes[key] ?? all.get(key)) as Column;
}

function change(random: Random, all: Map<number, unknown>, changes: Record<number, unknown>): void {
  const choice = random.below(10);
  if (choice === 0) {
    const rows = interestingLength(random, 1025);
    changes[5] = rows;
    for (const key of ROW_KEYS) changes[key] = resize(columnOf(all, changes, key), rows);
    // Trades need no groups.
    changes[7] = new Uint8Array(rows).fill(1);
    for (const key of GROUP_KEYS) changes[key] = resize(columnOf(all, changes, key), 0);
  } else if (choice === 1) {
    const groups = interestingLength(random, 1025);
    for (const key of GROUP_KEYS) changes[key] = resize(columnOf(all, changes, key), groups);
    changes[17] = new Uint16Array(groups);
    if (random.oneIn(2)) changes[16] = new Uint16Array(groups).fill(6);
  } else if (choice === 2) {
    changes[random.between(1, 5)] = changedUint(random, 5n);
  } else if (choice === 3) {
    changes[4] = random.pick([TIME_NS - 1n, TIME_NS + 1n, 2n ** 63n - 1n, 2n ** 63n, 0]);
  } else {
    const key = random.between(6, 21);
    const column = columnOf(all, changes, key).slice();
    const at = random.below(Math.max(1, column.length));
    if (column instanceof BigInt64Array) {
      const value = random.pick([
        BigInt.asIntN(64, changedUint(random, BigInt.asUintN(64, column[at] ?? 0n))),
        2n ** 53n - 1n,
        2n ** 53n,
        -(2n ** 53n) + 1n,
        -(2n ** 53n),
        -1n,
        -2n,
        TIME_NS,
        TIME_NS + 2n ** 32n,
      ]);
      column[at] = value;
    } else column[at] = random.oneIn(2) ? random.below(9) : random.below(65_536);
    changes[key] = column;
  }
}

export function batchTarget(): Target {
  return {
    name: 'batch',
    files: ['wire/batch.ts', 'enclave/batch-head.ts'],
    maxBytes: MAX_FEED_IN_BYTES + 1,
    seeds: [forge(), forge({ 21: BigInt64Array.of(-1n, -1n, -1n) })],
    mutate: mix(
      [4, mutateColumns],
      [3, mutateCbor({ maxBytes: MAX_FEED_IN_BYTES })],
      [3, mutateBytes],
    ),
    run,
  };
}
