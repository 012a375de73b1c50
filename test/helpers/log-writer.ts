// Makes commits as an enclave would, with a key of its own, for tests of the host's log.

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { utf8 } from '../../wire/bytes.ts';
import type { Commit } from '../../wire/commit.ts';
import { encodeCommit } from '../../wire/messages.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { encodeHeader, originOf } from '../../wire/header.ts';
import type { EncodedLeaf, Kind } from '../../wire/leaf.ts';
import { encodePublicLeaf, KIND, LABEL, sealLeaf, STREAM } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { encodeCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, TreeEdge } from '../../wire/tlog/merkle.ts';
import { encodeNote, noteKeyId } from '../../wire/tlog/note.ts';

export interface LogKey {
  readonly spki: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export function newLogKey(): LogKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
    publicKeyEncoding: { format: 'pem', type: 'spki' },
  });
  const key = createPrivateKey(privateKey);
  return {
    spki: new Uint8Array(createPublicKey(publicKey).export({ format: 'der', type: 'spki' })),
    sign: (message) => new Uint8Array(sign('sha256', message, { key, dsaEncoding: 'der' })),
  };
}

export function testHeader(epoch: number, key: LogKey): EpochHeader {
  return {
    origin: originOf('trackseal.test/log', epoch),
    epoch,
    logKey: key.spki,
    tlsKeyHash: new Uint8Array(32).fill(1),
    x25519Key: new Uint8Array(32).fill(4),
    ed25519Key: new Uint8Array(32).fill(5),
    configurationDigest: new Uint8Array(32).fill(2),
    configuration: utf8('{}\n'),
    version: 3,
    commitPolicy: 'spool',
    sealed: [],
    dataKeys: [],
    feedMode: 'replay',
    streams: [],
    strategies: [],
    wrappedDisclosureKey: new Uint8Array(80).fill(3),
    previous: null,
    clock: { wallNs: 1n, nsmTimestampMs: 1, errorBoundNs: 1 },
    moduleId: 'i-test-enc0000000000000001',
  };
}

/** The enclave's side of one epoch. Salts and keys are fixed: nothing here is secret. */
export class LogWriter {
  readonly key: LogKey;
  readonly header: EpochHeader;
  readonly #edge = new TreeEdge(nodeCrypto);
  readonly #salt = new Uint8Array(16).fill(9);
  readonly leaves: Uint8Array[] = [];
  #sequence = 0;
  #waiting: EncodedLeaf[] = [];

  constructor(epoch = 1, key: LogKey = newLogKey(), change: Partial<EpochHeader> = {}) {
    this.key = key;
    this.header = { ...testHeader(epoch, key), ...change };
    this.add(KIND.header, encodeHeader(this.header));
  }

  get size(): number {
    return this.#edge.size;
  }

  root(): Uint8Array {
    return this.#edge.root();
  }

  /** Adds a leaf to the next commit; answers its index. */
  add(kind: Kind, plaintext: Uint8Array, causes: readonly number[] = []): number {
    const header = {
      kind,
      timeNs: BigInt(this.leaves.length + 1),
      stream: kind === KIND.output ? STREAM.firstStrategy : kind === KIND.input ? 1 : 0,
      label: kind === KIND.output ? LABEL.strategy : LABEL.enclave,
      sequence: this.#sequence++,
      causes,
    };
    const leaf =
      kind === KIND.output
        ? sealLeaf(nodeCrypto, header, this.#salt, plaintext, new Uint8Array(32).fill(7))
        : encodePublicLeaf(nodeCrypto, header, this.#salt, plaintext);
    this.#waiting.push(leaf);
    this.leaves.push(leaf.bytes);
    return this.leaves.length - 1;
  }

  /** Adds `count` small input leaves. */
  addInputs(count: number, bytes = 40): void {
    for (let index = 0; index < count; index++) this.add(KIND.input, new Uint8Array(bytes));
  }

  /** Signs the tree with what was added since the last commit. */
  commitValue(change: Partial<Commit> = {}): Commit {
    const firstIndex = this.#edge.size;
    const leaves = this.#waiting.map(({ bytes }) => bytes);
    const blobs = this.#waiting.flatMap(({ blob }) => (blob === null ? [] : [blob]));
    for (const leaf of leaves) this.#edge.append(leafHash(nodeCrypto, leaf));
    this.#waiting = [];
    const note = signCheckpoint(this.header.origin, this.#edge.size, this.#edge.root(), this.key);
    return { epoch: this.header.epoch, firstIndex, leaves, blobs, note, ...change };
  }

  commit(change: Partial<Commit> = {}): Uint8Array {
    return encodeCommit(this.commitValue(change));
  }
}

export function signCheckpoint(
  origin: string,
  size: number,
  root: Uint8Array,
  key: LogKey,
): Uint8Array {
  const text = encodeCheckpoint({ origin, size, root });
  return encodeNote(text, origin, noteKeyId(nodeCrypto, key.spki), key.sign(utf8(text)));
}
