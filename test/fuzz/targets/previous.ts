// enclave/previous.ts: the epoch before, as a hostile host offers it. The note is signed by the model for half
// of the mutants, over a tree in which the last leaf is where the proof says.

import { verifyPrevious } from '../../../enclave/previous.ts';
import { MAX_BOOT_BYTES } from '../../../wire/limits.ts';
import { encodePrevious, parsePrevious } from '../../../wire/messages.ts';
import type { Previous } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodeCheckpoint } from '../../../wire/tlog/checkpoint.ts';
import { inclusionProof, leafHash, MemoryTree } from '../../../wire/tlog/merkle.ts';
import { encodeHeader } from '../../../wire/header.ts';
import { testHeader } from '../../helpers/log-writer.ts';
import { encodePublicLeaf, KIND, LABEL, STREAM } from '../../../wire/leaf.ts';
import { encodeClose, encodeHeartbeat } from '../../../wire/payloads.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';
import { modelCrypto } from './model-crypto.ts';
import { signText } from './notes.ts';

const LOG_ID = 'trackseal.test/log';
const SPKI = new Uint8Array(91).fill(4);
const SALT = new Uint8Array(16);

function lastLeaf(close: boolean): Uint8Array {
  const header = {
    kind: close ? KIND.close : KIND.heartbeat,
    timeNs: 5n,
    stream: STREAM.enclave,
    label: LABEL.enclave,
    sequence: 3,
    causes: [],
  };
  const plaintext = close ? encodeClose(1) : encodeHeartbeat({ acknowledgedSize: 3 });
  return encodePublicLeaf(nodeCrypto, header, SALT, plaintext).bytes;
}

function leafZeroOf(origin: string): Uint8Array {
  const { enclave: stream } = STREAM;
  const header = { kind: KIND.header, timeNs: 1n, stream, label: LABEL.enclave, sequence: 0 };
  const base = testHeader(1, { spki: SPKI, sign: () => SALT });
  const epoch = Math.max(Number(/\d+$/u.exec(origin)?.[0]), 1);
  const plaintext = encodeHeader({ ...base, origin, epoch });
  return encodePublicLeaf(nodeCrypto, { ...header, causes: [] }, SALT, plaintext).bytes;
}

function previousOf(size: number, leaf: Uint8Array, changes: Partial<Previous> = {}): Previous {
  const tree = new MemoryTree(nodeCrypto);
  const origin = changes.origin ?? `${LOG_ID}/e0000000004`;
  const leafZero = size === 1 ? leaf : leafZeroOf(origin);
  if (size > 1) tree.append(leafHash(nodeCrypto, leafZero));
  for (let index = 1; index < size - 1; index++) tree.append(new Uint8Array(32).fill(index));
  tree.append(leafHash(nodeCrypto, leaf));
  return {
    origin,
    note: signText(encodeCheckpoint({ origin, size, root: tree.root() }), SPKI, origin),
    logKey: SPKI,
    lastLeaf: leaf,
    proof: inclusionProof(nodeCrypto, tree, size - 1, size),
    unreleased: [],
    leafZero,
    leafZeroProof: inclusionProof(nodeCrypto, tree, 0, size),
    nextCommit: null,
    ...changes,
  };
}

function run(bytes: Uint8Array): string {
  const parsed = parsePrevious(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  expectSameBytes(encodePrevious(parsed.value), bytes, 'accepted bytes are not canonical');
  const verified = verifyPrevious(modelCrypto, parsed.value, LOG_ID);
  if (verified.ok) {
    const { entry, unreleased } = verified.value;
    expectThat(
      parsed.value.origin === `${LOG_ID}/e${String(entry.epoch).padStart(10, '0')}`,
      'another epoch',
    );
    expectThat(
      unreleased.every((index) => index < entry.size),
      'an output beyond the log',
    );
    return `accepted ${entry.clean}`;
  }
  return judge(verified);
}

const mutateLeaf = mutateCbor({ maxBytes: MAX_BOOT_BYTES });

function somePrevious(random: Random, other: Uint8Array): Previous {
  const leaf = lastLeaf(random.oneIn(2));
  const size = random.pick([1, 2, 3, 4, 5, 8, 9, 33]);
  const changed = random.oneIn(2) ? mutateLeaf(random, leaf, other) : leaf;
  const epoch = random.pick(['0000000001', '9999999998', '9999999999', '0000000000', '1']);
  const origin = `${random.pick([LOG_ID, LOG_ID, 'other'])}/e${epoch}`;
  const unreleased = random.pick([[], [0], [size - 1], [size], [1, 0], [0, 1, 2]]);
  return previousOf(size, changed.slice(0, 60_000), { origin, unreleased });
}

const mutatePrevious: Mutator = (random, _, other) => encodePrevious(somePrevious(random, other));

export function previousTarget(): Target {
  const seeds = [
    previousOf(5, lastLeaf(true)),
    previousOf(1, lastLeaf(false)),
    previousOf(6, lastLeaf(true), { unreleased: [2, 3] }),
  ];
  return {
    name: 'previous',
    files: [
      'enclave/previous.ts',
      'wire/tlog/note.ts',
      'wire/tlog/checkpoint.ts',
      'wire/leaf.ts',
      'wire/header.ts',
    ],
    maxBytes: MAX_BOOT_BYTES + 1,
    seeds: seeds.map((seed) => encodePrevious(seed)),
    mutate: mix(
      [3, mutatePrevious],
      [3, mutateCbor({ maxBytes: MAX_BOOT_BYTES })],
      [1, mutateBytes],
    ),
    run,
  };
}
