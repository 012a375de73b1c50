// Messages with one encoding: a target for any number of them. The first byte of an input picks the message.
// What is accepted, encoded again, has the same bytes; the parser may keep views into the input, but must
// not change it.

import type { Result } from '../../../wire/result.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, judge } from '../target.ts';

export interface Codec {
  readonly name: string;
  /** Valid messages. */
  readonly seeds: readonly Uint8Array[];
  /** How the bytes were judged. */
  readonly run: (bytes: Uint8Array) => string;
}

/** `check` sees what was accepted, and may look further. */
export function codec<T>(
  name: string,
  parse: (bytes: Uint8Array) => Result<T>,
  encode: (value: T) => Uint8Array,
  values: readonly NoInfer<T>[],
  check: (value: T, bytes: Uint8Array) => string = () => '',
): Codec {
  return {
    name,
    seeds: values.map((value) => encode(value)),
    run: (bytes) => {
      const before = bytes.slice();
      const parsed = parse(bytes);
      expectSameBytes(bytes, before, `${name}: the parser changes its input`);
      const outcome = judge(parsed);
      if (!parsed.ok) return outcome;
      expectSameBytes(encode(parsed.value), bytes, `${name}: accepted bytes are not canonical`);
      return `${outcome} ${check(parsed.value, bytes)}`;
    },
  };
}

export interface CanonicalOptions {
  readonly name: string;
  readonly files: readonly string[];
  readonly maxBytes: number;
  readonly words?: readonly string[];
  readonly codecs: readonly Codec[];
}

export function canonicalTarget(options: CanonicalOptions): Target {
  const { name, files, maxBytes, words = [], codecs } = options;
  const { length: count } = codecs;
  return {
    name,
    files,
    maxBytes: maxBytes + 2,
    seeds: codecs.flatMap(({ seeds }, index) =>
      seeds.map((seed) => new Uint8Array([index, ...seed])),
    ),
    mutate: withSelector(count, mix([5, mutateCbor({ words, maxBytes })], [1, mutateBytes])),
    run: (input) => {
      const chosen = codecs[(input[0] ?? 0) % count];
      return chosen === undefined ? '' : `${chosen.name} ${chosen.run(input.subarray(1))}`;
    },
  };
}
