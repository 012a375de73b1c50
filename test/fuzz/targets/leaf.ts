// wire/leaf.ts: the layout, then opening it with the right key, a wrong one and none, with the blob that it
// names and others. Private leaves are sealed anew now and then, so that padding and digest are reached.

import { concatBytes, equalBytes, writeU32 } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../../wire/cbor.ts';
import type { Leaf, LeafBody, LeafHeader } from '../../../wire/leaf.ts';
import { encodePublicLeaf, KIND, LABEL, parseLeaf, sealLeaf, STREAM } from '../../../wire/leaf.ts';
import { blobOf, openLeaf } from '../../../wire/open-leaf.ts';
import { BLOB_SIZE_CLASSES, INLINE_SIZE_CLASSES, MAX_LEAF_BYTES } from '../../../wire/limits.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, OracleFailure } from '../target.ts';

const KEY = new Uint8Array(32).fill(0x42);
const WRONG_KEY = new Uint8Array(32).fill(0x43);
const SALT = new Uint8Array(16).fill(0xa0);
const BLOB = new Uint8Array(70_000).fill(0x61);
const HEADER: LeafHeader = {
  kind: KIND.output,
  timeNs: 1_723_161_254_206_652_067n,
  stream: STREAM.firstStrategy,
  label: LABEL.strategy,
  sequence: 2,
  causes: [3, 96],
};
const SEALED_BLOB = sealLeaf(nodeCrypto, HEADER, SALT, BLOB.subarray(0, 60_000), KEY);
const BLOBS = [null, BLOB, SEALED_BLOB.blob];

function bodyValue(body: LeafBody): CborValue {
  switch (body.form) {
    case 'public':
      return [0, body.salt, body.plaintext];
    case 'private':
      return [1, body.sealed];
    case 'public-blob':
      return [2, body.salt, body.blobHash, body.blobBytes];
    case 'private-blob':
      return [3, body.blobHash, body.blobBytes];
    default:
      throw new OracleFailure('a body of no form');
  }
}

function encodeAgain(leaf: Leaf): Uint8Array {
  return encodeCbor(
    new Map<number, CborValue>([
      [1, 1],
      [2, leaf.kind],
      [3, leaf.timeNs],
      [4, leaf.stream],
      [5, leaf.label],
      [6, leaf.sequence],
      [7, leaf.causes],
      [8, leaf.digest],
      [9, bodyValue(leaf.body)],
    ]),
  );
}

function run(bytes: Uint8Array): string {
  const parsed = parseLeaf(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const leaf = parsed.value;
  expectSameBytes(encodeAgain(leaf), bytes, 'accepted bytes are not canonical');
  const isPrivate = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
  const namesBlob = blobOf(leaf) !== null;
  const opened: string[] = [];
  for (const key of [KEY, WRONG_KEY, null, KEY.subarray(1)]) {
    for (const blob of namesBlob ? BLOBS : [null]) {
      const result = openLeaf(nodeCrypto, leaf, key, blob);
      opened.push(judge(result));
      if (!result.ok) continue;
      expectThat(!isPrivate || key === KEY, 'a private leaf opens without its key');
      const digest = nodeCrypto.sha256(result.value.salt, result.value.plaintext);
      expectThat(equalBytes(digest, leaf.digest), 'an opened leaf has another digest');
      checkSealing(leaf, result.value, bytes, isPrivate);
    }
  }
  return [outcome, leaf.body.form, ...opened].join(' ');
}

/** A plaintext under a key has one leaf only. */
function checkSealing(
  leaf: Leaf,
  opened: { readonly salt: Uint8Array; readonly plaintext: Uint8Array },
  bytes: Uint8Array,
  isPrivate: boolean,
): void {
  const { salt, plaintext } = opened;
  if (isPrivate) {
    const again = sealLeaf(nodeCrypto, leaf, salt, plaintext, KEY);
    expectSameBytes(again.bytes, bytes, 'another leaf says the same');
  } else if (leaf.body.form === 'public' && plaintext.length <= MAX_LEAF_BYTES - 1024) {
    const again = encodePublicLeaf(nodeCrypto, leaf, salt, plaintext);
    expectSameBytes(again.bytes, bytes, 'another leaf says the same');
  }
}

/** A private leaf whose padding is made here, right or wrong. */
function seal(random: Random, padded: Uint8Array, header: LeafHeader): Uint8Array {
  const digest = random.oneIn(8)
    ? random.bytes(32)
    : nodeCrypto.sha256(padded.subarray(0, 16), padded.subarray(20, 20 + 40));
  const pairs: [number, CborValue][] = [
    [1, 1],
    [2, header.kind],
    [3, header.timeNs],
    [4, header.stream],
    [5, header.label],
    [6, header.sequence],
    [7, header.causes],
    [8, digest],
  ];
  const associated = encodeCbor(new Map(pairs));
  const sealed = nodeCrypto.aes256GcmSeal(KEY, new Uint8Array(12), padded, associated);
  return encodeCbor(new Map([...pairs, [9, [1, sealed]] as [number, CborValue]]));
}

const mutateSealed: Mutator = (random) => {
  const padded = new Uint8Array(
    random.pick([...INLINE_SIZE_CLASSES.slice(0, 3), BLOB_SIZE_CLASSES[0] ?? 0]),
  );
  padded.set(SALT);
  padded.fill(0x61, 20, 60);
  writeU32(
    padded,
    16,
    random.oneIn(2)
      ? 40
      : random.pick([0, 39, 41, padded.length - 20, padded.length - 19, 0xffff_ffff]),
  );
  if (random.oneIn(3)) padded[random.below(padded.length)] = 1;
  return seal(random, padded, { ...HEADER, sequence: random.below(1000) });
};

/** A public leaf whose digest is right again. */
const mutateOpen: Mutator = (random, input, other) => {
  const decoded = parseCbor(input, { maxBytes: MAX_LEAF_BYTES });
  if (!decoded.ok || !(decoded.value instanceof Map)) return mutateBytes(random, input, other);
  const plaintext = mutateBytes(random, other.subarray(0, 2000), input);
  const map = new Map(decoded.value as ReadonlyMap<number, CborValue>);
  map.set(8, nodeCrypto.sha256(SALT, plaintext));
  map.set(9, [0, SALT, plaintext]);
  return encodeCbor(map);
};

export function leafTarget(): Target {
  const publicHeader = { ...HEADER, kind: KIND.input, stream: 1, label: LABEL.host, causes: [] };
  const leaves = [
    encodePublicLeaf(nodeCrypto, publicHeader, SALT, new Uint8Array(300)),
    encodePublicLeaf(nodeCrypto, publicHeader, SALT, BLOB),
    sealLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(100), KEY),
    sealLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(5000), KEY),
    SEALED_BLOB,
  ];
  return {
    name: 'leaf',
    files: ['wire/leaf.ts', 'wire/open-leaf.ts', 'wire/fields.ts'],
    maxBytes: MAX_LEAF_BYTES + 1,
    seeds: leaves.map(({ bytes }) => concatBytes(bytes)),
    mutate: mix(
      [12, mutateCbor({ maxBytes: MAX_LEAF_BYTES })],
      [2, mutateBytes],
      [1, mutateSealed],
      [1, mutateOpen],
    ),
    run,
  };
}
