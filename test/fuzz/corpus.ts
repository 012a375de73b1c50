// What is kept between runs: inputs that together reach what the fuzzer has reached, and the input of every
// bug that was found. `corpus/<parser>.txt` has one input a line, deflated, as base64; the bytes of a
// regression are a file of their own, `regressions/<parser>/<name>.bin`, or `.deflate` for large ones.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

const CORPUS = join(import.meta.dirname, 'corpus');
const REGRESSIONS = join(import.meta.dirname, 'regressions');
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

export function readCorpus(target: string): readonly Uint8Array[] {
  const file = `${target}.txt`;
  if (!namesIn(CORPUS).includes(file)) return [];
  const lines = readFileSync(join(CORPUS, file), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => inflated(Buffer.from(line, 'base64')));
}

function inflated(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(inflateRawSync(bytes, { maxOutputLength: MAX_INPUT_BYTES }));
}

export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const lines = inputs.map((input) => deflateRawSync(input, { level: 9 }).toString('base64'));
  writeFileSync(join(CORPUS, `${target}.txt`), lines.map((line) => `${line}\n`).join(''));
}

export interface Regression {
  readonly name: string;
  readonly input: Uint8Array;
}

export function readRegressions(target: string): readonly Regression[] {
  const folder = join(REGRESSIONS, target);
  return namesIn(folder).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    return { name, input: name.endsWith('.deflate') ? inflated(bytes) : bytes };
  });
}

/** Targets that have regressions, to see that none lies under a wrong name. */
export function regressionFolders(): readonly string[] {
  return namesIn(REGRESSIONS);
}
