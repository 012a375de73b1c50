// Parsers with a bug each, for the tests of the fuzzer. Each bug is behind four bytes in a row, which nobody
// guesses at once: only who sees that one more of them was right gets there.

import { mutateBytes } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';

const WORD = 'BUG!';

/** Each right byte is a branch of its own. */
function holdsWord(input: Uint8Array): boolean {
  if (input[0] !== WORD.charCodeAt(0)) return false;
  if (input[1] !== WORD.charCodeAt(1)) return false;
  if (input[2] !== WORD.charCodeAt(2)) return false;
  return input[3] === WORD.charCodeAt(3);
}

function planted(name: string, run: Target['run']): Target {
  return {
    name,
    files: ['test/fuzz/targets/planted.ts'],
    maxBytes: 64,
    seeds: [new Uint8Array(8)],
    mutate: mutateBytes,
    run,
    maxSteps: { base: 1000, perByte: 10 },
  };
}

const kept: Uint8Array[] = [];

const RUNS: Readonly<Record<string, Target['run']>> = {
  'planted-nothing': (input) => String(holdsWord(input)),
  'planted-throw': (input) => {
    if (holdsWord(input)) throw new TypeError(`undefined is not a function at ${input.length}`);
    return '';
  },
  'planted-oracle': (input) => {
    expectThat(!holdsWord(input), 'accepted what is wrong');
    return '';
  },
  'planted-later': (input) => {
    if (holdsWord(input)) {
      queueMicrotask(() => {
        throw new Error('in a handler of nobody');
      });
    }
    return '';
  },
  'planted-steps': (input) => {
    let sum = 0;
    const rounds = holdsWord(input) ? 20_000 : 1;
    for (let round = 0; round < rounds; round++) if (round % 2 === 0) sum++;
    return String(sum > 0);
  },
  'planted-hang': (input) => {
    while (holdsWord(input));
    return '';
  },
  'planted-crash': (input) => {
    const lists: number[][] = [];
    while (holdsWord(input)) lists.push(Array.from<number>({ length: 1e6 }).fill(0.5));
    return '';
  },
  'planted-growth': (input) => {
    kept.push(input.slice());
    return '';
  },
};

export function plantedTarget(name: string): Target | null {
  const run = RUNS[name];
  return run === undefined ? null : planted(name, run);
}
