// wire/tlog/tile.ts: hash tiles and entry bundles of a width that is known. The first byte picks which, the
// second is the width less one.

import { concatBytes } from '../../../wire/bytes.ts';
import { MAX_LEAF_BYTES } from '../../../wire/limits.ts';
import { encodeEntryBundle, parseEntryBundle, parseTile } from '../../../wire/tlog/tile.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { interestingLength } from '../mutate/values.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';

function run(input: Uint8Array): string {
  const width = 1 + (input[1] ?? 0);
  const bytes = input.subarray(2);
  const isTile = (input[0] ?? 0) % 2 === 0;
  const parsed = isTile ? parseTile(bytes, width) : parseEntryBundle(bytes, width);
  const outcome = judge(parsed);
  if (!parsed.ok) return `${isTile} ${outcome}`;
  expectThat(parsed.value.length === width, 'another number of items');
  const again = isTile ? concatBytes(...parsed.value) : encodeEntryBundle(parsed.value);
  expectSameBytes(again, bytes, 'other bytes say the same');
  return `${isTile} ${outcome} ${width === 1} ${width === 256}`;
}

const mutateBundle: Mutator = (random) => {
  const width = random.pick([1, 2, 3, 7, 255, 256]);
  const entries = Array.from({ length: width }, () => {
    const length = width > 8 ? random.below(20) : interestingLength(random, MAX_LEAF_BYTES);
    return new Uint8Array(length).fill(width);
  });
  const said = random.oneIn(4) ? random.below(256) : width - 1;
  if (random.oneIn(3)) {
    const hashes = new Uint8Array(32 * width + random.pick([0, 0, 1, -1, 32]));
    return new Uint8Array([0, said, ...hashes]);
  }
  return concatBytes(Uint8Array.of(1, said), encodeEntryBundle(entries));
};

export function tilesTarget(): Target {
  return {
    name: 'tiles',
    files: ['wire/tlog/tile.ts'],
    maxBytes: 256 * 1024,
    seeds: [
      new Uint8Array([0, 1, ...new Uint8Array(64)]),
      concatBytes(Uint8Array.of(1, 1), encodeEntryBundle([new Uint8Array(9), new Uint8Array(0)])),
    ],
    mutate: mix([1, mutateBundle], [1, mutateBytes]),
    run,
  };
}
