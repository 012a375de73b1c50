// wire/cbor.ts in its three uses: the deterministic form, documents of AWS, and their envelope. What is
// accepted means the same to cborg, and in the deterministic form has exactly these bytes.

import { decode } from 'cborg';
import type { CborOptions, CborValue } from '../../../wire/cbor.ts';
import { CborTag, encodeCbor, parseCbor } from '../../../wire/cbor.ts';
import { wireVectors } from '../../vectors/wire.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, sameValue } from '../target.ts';

const MAX_BYTES = 64 * 1024;

const USES: readonly CborOptions[] = [
  { maxBytes: MAX_BYTES },
  { maxBytes: MAX_BYTES, deterministic: false, maxItems: 64 },
  { maxBytes: MAX_BYTES, maxDepth: 3, maxItems: 8, tags: [18] },
  { maxBytes: 300, maxDepth: 2, maxItems: 16, deterministic: false, tags: [18, 24] },
];

class Tagged {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

const tagged = (inner: () => unknown): unknown => new Tagged(inner());
const OPTIONS = {
  useMaps: true,
  allowIndefinite: true,
  allowUndefined: true,
  rejectDuplicateMapKeys: true,
  tags: { 18: tagged, 24: tagged },
};

/** Our values as cborg has them: it takes a byte order mark off the start of a text. */
function asPeer(value: CborValue): unknown {
  if (typeof value === 'string') return value.replace(/^\uFEFF/u, '');
  if (value instanceof CborTag) return new Tagged(asPeer(value.value));
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [asPeer(key), asPeer(item as CborValue)]));
  }
  return Array.isArray(value) ? value.map((item: CborValue) => asPeer(item)) : value;
}

function checkPeer(bytes: Uint8Array, value: CborValue): void {
  let peer: unknown;
  try {
    peer = decode(bytes, OPTIONS);
  } catch (error) {
    // It cannot represent negative integers below -2^63.
    if (error instanceof Error && /integers/u.test(error.message)) return;
    expectThat(false, `cborg refuses: ${error instanceof Error ? error.message : 'nothing'}`);
  }
  expectThat(sameValue(peer, asPeer(value)), 'cborg reads another value');
}

function run(input: Uint8Array): string {
  const use = USES[(input[0] ?? 0) % USES.length] ?? { maxBytes: 0 };
  const bytes = input.subarray(1);
  const parsed = parseCbor(bytes, use);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const encoded = encodeCbor(parsed.value);
  if (use.deterministic ?? true)
    expectSameBytes(encoded, bytes, 'accepted bytes are not canonical');
  else {
    const again = parseCbor(encoded, { ...use, maxBytes: 2 * MAX_BYTES, deterministic: true });
    expectThat(again.ok && sameValue(again.value, parsed.value), 'another value when encoded');
  }
  checkPeer(bytes, parsed.value);
  return `${outcome} ${(bytes[0] ?? 0) >> 5}`;
}

export function cborTarget(): Target {
  const samples = Object.values(wireVectors()).map((hex) => Buffer.from(hex, 'hex'));
  const more = [
    encodeCbor(
      new Map<string | bigint | number, CborValue>([
        ['a', -1],
        [2n ** 64n - 1n, null],
        [-1, true],
      ]),
    ),
    encodeCbor([-(2n ** 63n), 2n ** 53n, [], new Map(), 'é', new CborTag(18, [1])]),
    Uint8Array.of(0xbf, 0x61, 0x61, 0x9f, 0x01, 0xff, 0xff),
  ];
  const seeds = [...samples, ...more].flatMap((bytes) =>
    USES.map((_, selector) => new Uint8Array([selector, ...bytes])),
  );
  return {
    name: 'cbor',
    files: ['wire/cbor.ts', 'wire/bytes.ts'],
    maxBytes: MAX_BYTES + 2,
    seeds,
    mutate: withSelector(
      USES.length,
      mix([3, mutateCbor({ maxBytes: MAX_BYTES })], [1, mutateBytes]),
    ),
    run,
  };
}
