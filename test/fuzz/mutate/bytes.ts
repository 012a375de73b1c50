// Mutations that know nothing of the format: bits, bytes, lengths, pieces of other inputs, words of a
// dictionary.

import { concatBytes } from '../../../wire/bytes.ts';
import type { Random } from '../random.ts';
import { interestingUint } from './values.ts';

/** `other` is another input of the corpus. Never changes its arguments. */
export type Mutator = (random: Random, input: Uint8Array, other: Uint8Array) => Uint8Array;

function flipBit(random: Random, input: Uint8Array): Uint8Array {
  const changed = input.slice();
  const at = random.below(changed.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
  return changed;
}

function setByte(random: Random, input: Uint8Array): Uint8Array {
  const changed = input.slice();
  changed[random.below(changed.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
  return changed;
}

function writeInteger(random: Random, input: Uint8Array): Uint8Array {
  const width = random.pick([1, 2, 4, 8]);
  if (input.length < width) return setByte(random, input);
  const changed = input.slice();
  const at = random.below(input.length - width + 1);
  const littleEndian = random.oneIn(3);
  let value = interestingUint(random);
  for (let step = 0; step < width; step++) {
    changed[littleEndian ? at + step : at + width - 1 - step] = Number(value & 255n);
    value >>= 8n;
  }
  return changed;
}

/** Replaces [start, end) of `input`. */
export function replaceRange(
  input: Uint8Array,
  start: number,
  end: number,
  piece: Uint8Array,
): Uint8Array {
  return concatBytes(input.subarray(0, start), piece, input.subarray(end));
}

function range(random: Random, input: Uint8Array): readonly [number, number] {
  const start = random.below(input.length + 1);
  return [start, start + random.length(input.length - start)];
}

function remove(random: Random, input: Uint8Array): Uint8Array {
  const [start, end] = range(random, input);
  return replaceRange(input, start, end, new Uint8Array(0));
}

function insert(random: Random, input: Uint8Array): Uint8Array {
  const at = random.below(input.length + 1);
  const piece = random.oneIn(2)
    ? random.bytes(1 + random.length(32))
    : new Uint8Array(1 + random.length(1024)).fill(random.pick([0, 0x20, 0x30, 0xff]));
  return replaceRange(input, at, at, piece);
}

function duplicate(random: Random, input: Uint8Array): Uint8Array {
  const [start, end] = range(random, input);
  const copies = random.oneIn(16) ? 1 + random.below(64) : 1;
  const piece = input.subarray(start, end);
  const pieces = Array.from({ length: copies }, () => piece);
  return replaceRange(input, end, end, Buffer.concat(pieces));
}

function swap(random: Random, input: Uint8Array): Uint8Array {
  const [start, end] = range(random, input);
  const piece = input.slice(start, end);
  return insertAt(random, replaceRange(input, start, end, new Uint8Array(0)), piece);
}

function insertAt(random: Random, input: Uint8Array, piece: Uint8Array): Uint8Array {
  const at = random.below(input.length + 1);
  return replaceRange(input, at, at, piece);
}

function splice(random: Random, input: Uint8Array, other: Uint8Array): Uint8Array {
  const [start, end] = range(random, other);
  const piece = other.subarray(start, end);
  if (random.oneIn(2)) return insertAt(random, input, piece);
  const at = random.below(input.length + 1);
  return replaceRange(input, at, Math.min(input.length, at + piece.length), piece);
}

function crossOver(random: Random, input: Uint8Array, other: Uint8Array): Uint8Array {
  return concatBytes(
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  );
}

function cut(random: Random, input: Uint8Array): Uint8Array {
  return input.slice(0, random.below(input.length + 1));
}

const GENERAL: readonly Mutator[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  writeInteger,
  remove,
  insert,
  duplicate,
  swap,
  splice,
  crossOver,
  cut,
];

/** One random change that knows nothing of the format. */
export const mutateBytes: Mutator = (random, input, other) => {
  if (input.length === 0)
    return random.oneIn(2) ? other.slice() : random.bytes(1 + random.below(16));
  return random.pick(GENERAL)(random, input, other);
};

/** Puts words in, over or beside what is there. */
export function dictionary(words: readonly Uint8Array[]): Mutator {
  return (random, input) => {
    const word = random.pick(words);
    if (random.oneIn(2)) return insertAt(random, input, word);
    const at = random.below(input.length + 1);
    return replaceRange(input, at, Math.min(input.length, at + word.length), word);
  };
}

/** One of several mutators by weight, one to four of them one after the other. */
export function mix(...parts: readonly (readonly [weight: number, mutator: Mutator])[]): Mutator {
  const wheel = parts.flatMap(([weight, mutator]) => Array.from({ length: weight }, () => mutator));
  return (random, input, other) => {
    let changed = input;
    let times = random.pick([1, 1, 1, 2, 2, 3, 4]);
    while (times-- > 0) changed = random.pick(wheel)(random, changed, other);
    return changed;
  };
}

/** The first byte of an input picks one of `count` parsers; the rest is theirs. */
export function withSelector(count: number, mutator: Mutator): Mutator {
  return (random, input, other) => {
    const selector = random.oneIn(32) ? random.below(count) : (input[0] ?? 0);
    return concatBytes(
      Uint8Array.of(selector),
      mutator(random, input.subarray(1), other.subarray(1)),
    );
  };
}
