// Objects of a bucket that are not tiles, notes or blobs: groups of commits, the close, and the text by which
// a later epoch takes over. What is accepted has one form, so it must come out again as it went in.

import { utf8 } from '../../../wire/bytes.ts';
import { encodeCommitGroup, parseCommitGroup } from '../../../wire/objects.ts';
import { encodeEpochClose, parseEpochClose } from '../../../wire/epoch-close.ts';
import { encodeSuperseded } from '../../../wire/superseded.ts';
import { parseSuperseded } from '../../../wire/parse-superseded.ts';
import type { Superseded } from '../../../wire/superseded.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import { mutateLines } from '../mutate/lines.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';

const HASH = new Uint8Array(32).fill(7);
const MAX_GROUP_BYTES = 64 * 1024;
const MAX_CLOSE_BYTES = 128 * 1024;
const MAX_TEXT_BYTES = 8192;

function runGroup(bytes: Uint8Array): string {
  const parsed = parseCommitGroup(bytes);
  if (!parsed.ok) return judge(parsed);
  const commits = parsed.value;
  expectThat(
    commits.every(({ length }) => length > 0),
    'a commit of no bytes',
  );
  expectSameBytes(encodeCommitGroup(commits), bytes, 'the group has bytes beside its commits');
  return `${judge(parsed)} ${Math.min(commits.length, 3)}`;
}

export function commitGroupTarget(): Target {
  const groups = [
    [Uint8Array.of(1)],
    [Uint8Array.of(1, 2, 3), Uint8Array.of(4), new Uint8Array(300).fill(5)],
    [new Uint8Array(70), new Uint8Array(1)],
  ];
  return {
    name: 'commit-group',
    files: ['wire/objects.ts'],
    maxBytes: MAX_GROUP_BYTES,
    seeds: groups.map((group) => encodeCommitGroup(group)),
    mutate: mutateBytes,
    run: runGroup,
    maxSteps: { base: 1000, perByte: 20 },
  };
}

function runClose(bytes: Uint8Array): string {
  const parsed = parseEpochClose(bytes);
  if (!parsed.ok) return judge(parsed);
  const { note, lastLeaf, proof } = parsed.value;
  expectThat(note.length > 0 && lastLeaf.length > 0, 'a close of nothing');
  expectThat(
    proof.every(({ length }) => length === HASH.length),
    'a hash of another length',
  );
  expectThat(proof.length <= 63, 'a proof of no tree');
  expectSameBytes(encodeEpochClose(parsed.value), bytes, 'another close says the same');
  return `${judge(parsed)} ${Math.min(proof.length, 2)}`;
}

export function epochCloseTarget(): Target {
  const closes = [0, 1, 2, 63].map((hashes) => ({
    note: utf8('note'),
    lastLeaf: new Uint8Array(40).fill(1),
    proof: Array.from({ length: hashes }, () => HASH),
  }));
  return {
    name: 'epoch-close',
    files: ['wire/epoch-close.ts', 'wire/fields.ts', 'wire/cbor.ts'],
    maxBytes: MAX_CLOSE_BYTES,
    seeds: closes.map((close) => encodeEpochClose(close)),
    mutate: mix([4, mutateCbor({ maxBytes: MAX_CLOSE_BYTES })], [1, mutateBytes]),
    run: runClose,
  };
}

function runSuperseded(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const parsed = parseSuperseded(text);
  if (!parsed.ok) return judge(parsed);
  const { number, size, root } = parsed.value;
  expectThat(
    [number, size].every((value) => Number.isSafeInteger(value) && value > 0),
    'a number of no place',
  );
  expectThat(root.length === HASH.length, 'a root of another length');
  expectThat(encodeSuperseded(parsed.value) === text, 'not the only form');
  return judge(parsed);
}

const SUPERSEDED: Superseded = {
  origin: 'trackseal.test/log/e0000000003',
  number: 17,
  size: 4711,
  root: HASH,
  successor: 'trackseal.test/log/e0000000004',
};

const WORDS: readonly string[] = [
  'trackseal/superseded/v1',
  'trackseal/superseded/v2',
  '0',
  '017',
  '9007199254740991',
  '9007199254740992',
  '1e3',
  '',
  ' 17',
  '+17',
];

export function supersededTarget(): Target {
  const seeds = [
    SUPERSEDED,
    { ...SUPERSEDED, number: 1, size: 1 },
    { ...SUPERSEDED, number: Number.MAX_SAFE_INTEGER, size: Number.MAX_SAFE_INTEGER },
  ];
  return {
    name: 'superseded',
    files: ['wire/parse-superseded.ts', 'wire/bytes.ts'],
    maxBytes: MAX_TEXT_BYTES,
    seeds: seeds.map((seed) => utf8(encodeSuperseded(seed))),
    mutate: mix([4, mutateLines(WORDS)], [1, mutateBytes]),
    run: runSuperseded,
  };
}
