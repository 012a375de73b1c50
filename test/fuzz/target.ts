// What the fuzzer needs of a parser: seeds, a mutator, and a run with oracles. A run answers a short text
// that says how the input was judged; a text that was not seen before is worth keeping, as new coverage is.

import { isRefusalCode } from '../../wire/codes.ts';
import type { Result } from '../../wire/result.ts';
import type { Mutator } from './mutate/bytes.ts';

export interface Target {
  readonly name: string;
  /** Sources whose coverage guides and is reported; paths from the root. */
  readonly files: readonly string[];
  /** Longer inputs are cut. */
  readonly maxBytes: number;
  readonly seeds: readonly Uint8Array[];
  readonly mutate: Mutator;
  /** Throws for whatever is not as it must be. Must not change or keep the input. */
  run(input: Uint8Array): string | Promise<string>;
  /** Steps (executed blocks of our code) that an input may take: this many, and so many for each byte. */
  readonly maxSteps?: { readonly base: number; readonly perByte: number };
  /** Waits until nothing of the last inputs is under way; before memory is measured. */
  settle?(): Promise<void>;
}

/** A parser did not throw, and did something wrong all the same. */
export class OracleFailure extends Error {}

export function expectThat(condition: boolean, what: string): void {
  if (!condition) throw new OracleFailure(what);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function expectSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  expectThat(same(actual, expected), what);
}

/** Facts of a refusal that tell one reason from another; offsets and sizes would make all different. */
const TELLING: readonly string[] = ['field', 'what', 'cause', 'message', 'request'];
/** Names of fields are numbers, too, but not all numbers. */
const MAX_FIELD = 32;
const MAX_DETAIL_CHARACTERS = 200;

/** Checks what every refusal must be: a code of the closed list, and small facts that may be shown. */
export function judge(result: Result<unknown>): string {
  if (result.ok) return 'accepted';
  const { code, detail } = result.refusal;
  expectThat(isRefusalCode(code), `refusal code ${JSON.stringify(code)} is not in the list`);
  for (const [name, value] of Object.entries(detail)) {
    const safe =
      value === null ||
      typeof value === 'boolean' ||
      (typeof value === 'number' && Number.isFinite(value)) ||
      (typeof value === 'string' &&
        value.length <= MAX_DETAIL_CHARACTERS &&
        /^[ -~]*$/u.test(value));
    expectThat(safe, `detail ${name} of ${code} must not be shown`);
  }
  const telling = TELLING.flatMap((name) => {
    const value = detail[name];
    const known = typeof value !== 'number' || Math.abs(value) <= MAX_FIELD;
    return value === undefined || !known ? [] : [String(value)];
  });
  return [code, ...telling].join(' ');
}

/** Deep equality of decoded values, without what JSON cannot say. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return same(a, b);
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    return sameValue(
      new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
      new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
    );
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  }
  if (a instanceof Map && b instanceof Map) {
    return (
      a.size === b.size &&
      [...a].every(([key, value]: [unknown, unknown]) => b.has(key) && sameValue(value, b.get(key)))
    );
  }
  if (!isPlain(a) || !isPlain(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]))
  );
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
