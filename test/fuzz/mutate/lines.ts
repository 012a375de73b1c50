// Mutations of text formats by line and by word: lines twice, missing or swapped, numbers at the limits,
// base64 of other bytes and of other lengths.

import { concatBytes, parseBase64, toBase64, utf8 } from '../../../wire/bytes.ts';
import type { Random } from '../random.ts';
import type { Mutator } from './bytes.ts';
import { mutateBytes } from './bytes.ts';
import { changedUint, interestingLength } from './values.ts';

const MAX_COPIED: number = 1024 * 1024;

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function changeWord(random: Random, word: string, words: readonly string[]): string {
  if (/^-?[0-9]{1,19}$/u.test(word) && !random.oneIn(4)) {
    const value = changedUint(random, BigInt(word.replace('-', '')));
    return random.pick([String(value), `0${value}`, `-${value}`, `${value}.0`, `+${value}`]);
  }
  const bytes = word.length >= 8 ? parseBase64(word) : null;
  if (bytes !== null && !random.oneIn(4)) {
    const longer = new Uint8Array(interestingLength(random, 8192));
    longer.set(bytes.subarray(0, longer.length));
    return toBase64(random.oneIn(2) ? longer : mutateBytes(random, bytes, longer));
  }
  const choice = random.below(4);
  if (choice === 0) return random.pick(words);
  if (choice === 1) return `${word}${random.pick(['=', '==', 'A', ' ', '\t', '\r', '\u0000'])}`;
  if (choice === 2) return 'A'.repeat(interestingLength(random, 300_000));
  return toText(mutateBytes(random, Buffer.from(word, 'latin1'), utf8(random.pick(words))));
}

function changeLine(random: Random, line: string, words: readonly string[]): string {
  const parts = line.split(' ');
  const at = random.below(parts.length);
  const choice = random.below(8);
  if (choice === 0) parts.splice(at, 1);
  else if (choice === 1) parts.splice(at, 0, random.pick(words));
  else if (choice === 2) parts.push('');
  else parts[at] = changeWord(random, parts[at] ?? '', words);
  return parts.join(' ');
}

/** `words`: words and whole lines that mean something to the parser, latin1. */
export function mutateLines(words: readonly string[]): Mutator {
  return (random, input, other) => {
    const lines = toText(input).split('\n');
    const otherLines = toText(other).split('\n');
    const at = random.below(lines.length);
    const choice = random.below(10);
    if (choice === 0) lines.splice(at, 1);
    else if (choice === 1) {
      const line = lines[at] ?? '';
      // Of a long line fewer: copies of copies would fill the memory before anybody cuts them.
      const most = Math.max(1, Math.min(5000, Math.floor(MAX_COPIED / (line.length + 1))));
      const copies = random.oneIn(8) ? interestingLength(random, most) : 1;
      lines.splice(at, 0, ...Array.from({ length: copies }, () => line));
    } else if (choice === 2) lines.splice(at, 0, random.pick(otherLines));
    else if (choice === 3) lines.splice(at, 0, random.pick(words));
    else if (choice === 4) {
      const [line = ''] = lines.splice(at, 1);
      lines.splice(random.below(lines.length + 1), 0, line);
    } else if (choice === 5) return mutateBytes(random, input, other);
    else lines[at] = changeLine(random, lines[at] ?? '', words);
    return new Uint8Array(concatBytes(Buffer.from(lines.join('\n'), 'latin1')));
  };
}
