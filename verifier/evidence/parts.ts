// The parts of an evidence file that follow from others: tables for people, the header and the document as
// files of their own, proof files, keys for other people's tools. The maker writes them, the verifier makes
// them again and compares the bytes, so that no part can say something else than the leaves.

import { toHex, utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { KIND } from '../../wire/leaf.ts';
import { blobOf } from '../../wire/open-leaf.ts';
import type { VerifiedBoot } from '../../wire/log-verification/boot.ts';
import { encodeEvidence } from '../../wire/log-verification/evidence.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { inclusionProof } from '../../wire/tlog/merkle.ts';
import { verifierKey } from '../../wire/tlog/verifier-key.ts';
import { encodeProofFile } from '../../wire/tlog/proof-file.ts';
import type { Selection, WithheldReason } from './manifest.ts';
import { PART, proofPart } from './manifest.ts';
import type { RecordEntry } from './records.ts';
import { makeRecords } from './records.ts';
import type { TileHashes } from './tile-hashes.ts';
import type { ZipFiles } from './zip.ts';

export interface ShownLeaf {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly leaf: Leaf;
  /** Of a private leaf that is disclosed. */
  readonly key: Uint8Array | null;
  /** Where the leaf names one and it is in the file. */
  readonly blob: Uint8Array | null;
  /** Null while it is closed. */
  readonly plaintext: Uint8Array | null;
}

export interface WithheldLeaf {
  readonly index: number;
  readonly hash: Uint8Array;
  readonly why: WithheldReason;
}

/** All that the derived parts are made of; every field of it is verified before the parts are believed. */
export interface Contents {
  readonly boot: Pick<VerifiedBoot, 'header' | 'configuration'>;
  readonly leafZero: Uint8Array;
  /** Plaintext of leaf 0. */
  readonly header: Uint8Array;
  /** Plaintext of leaf 1. */
  readonly document: Uint8Array;
  readonly note: Uint8Array;
  readonly size: number;
  readonly hashes: TileHashes;
  readonly selection: Selection;
  /** The range, ascending. */
  readonly leaves: readonly (ShownLeaf | WithheldLeaf)[];
}

/** A blob that the leaf names goes along where the leaf can be read. */
export function wantsBlob(leaf: Leaf, disclosed: boolean): boolean {
  return blobOf(leaf) !== null && (leaf.body.form === 'public-blob' || disclosed);
}

/** Outputs and reports are proved one by one, and whatever was asked for by its index. */
export function wantsProof({ index, leaf }: ShownLeaf, selection: Selection): boolean {
  const isTrade = leaf.kind === KIND.output || leaf.kind === KIND.report;
  return isTrade || (selection.by === 'index' && selection.index === index);
}

/** Refuses where a leaf does not say what its kind says. */
export function derivedParts(crypto: WireCrypto, contents: Contents): Result<ZipFiles> {
  const { boot, header, document, leaves, note } = contents;
  const { origin, logKey, configuration } = boot.header;
  const records = makeRecords(leaves.map(recordOf), boot.configuration);
  if (!records.ok) return records;
  const vkey = verifierKey(crypto, origin, logKey);
  const parts = new Map<string, Uint8Array>([
    [PART.readme, utf8(README)],
    [PART.attestation, document],
    [PART.header, header],
    [PART.configuration, configuration],
    [PART.checkpoint, note],
    [PART.policy, utf8(`log ${vkey}\nquorum none\n`)],
    [PART.key, utf8(`${vkey}\n`)],
    [PART.withheld, utf8(records.value.withheld)],
    [PART.csv, utf8(records.value.csv)],
    [PART.jsonLines, utf8(records.value.jsonLines)],
    [PART.keys, encodeKeys(leaves)],
  ]);
  for (const leaf of leaves) {
    if ('why' in leaf || !wantsProof(leaf, contents.selection)) continue;
    parts.set(proofPart(leaf.index), proofOf(crypto, contents, leaf));
  }
  return accept(parts);
}

function recordOf(leaf: ShownLeaf | WithheldLeaf): RecordEntry {
  const { index, hash } = leaf;
  if ('why' in leaf) return { index, hash, withheld: leaf.why };
  return { index, hash, leaf: leaf.leaf, plaintext: leaf.plaintext };
}

/** Keys of single leaves; each opens its leaf and no other. */
function encodeKeys(leaves: Contents['leaves']): Uint8Array {
  const keys: Record<string, string> = {};
  for (const leaf of leaves) {
    if (!('why' in leaf) && leaf.key !== null) keys[`leaf ${leaf.index}`] = toHex(leaf.key);
  }
  return canonicalJson(keys);
}

/** The same file as `trackseal log prove` writes. */
function proofOf(crypto: WireCrypto, contents: Contents, leaf: ShownLeaf): Uint8Array {
  const { leafZero, document, hashes, size, note } = contents;
  const { index, bytes, key, blob } = leaf;
  const extra = encodeEvidence({ leaf: bytes, leafKey: key, leafZero, document, blob });
  const proof = inclusionProof(crypto, hashes, index, size);
  return encodeProofFile({ extra, index, proof, note });
}

const README = `Evidence out of a Trackseal log.

Check it, offline:      trackseal verify bundle THIS-FILE.zip --policy POLICY.json
What each part is, and how to check it with other tools: docs/EVIDENCE.md of Trackseal.

records.csv             the leaves of the range, for a spreadsheet
records.jsonl           the same, one JSON object a line
withheld.csv            leaves that were left out: index, leaf hash, why
manifest.json           what was asked for, why, and the SHA-256 of every part
attestation.cbor        the document that AWS's hardware has signed for this enclave and its log key
epoch-header.cbor       leaf 0: keys, configuration, strategies, the epoch before
configuration.json      the configuration of the epoch
checkpoint              the signed head of the log (c2sp.org/tlog-checkpoint)
log.vkey, policy.txt    the key of the log for other tools (c2sp.org/signed-note, tlog-policy)
tile/                   hashes that lead from the leaves to the head (c2sp.org/tlog-tiles)
leaves/                 leaves as they were logged
leaf-keys.json          keys that open single private leaves, and no others
blobs/                  payloads that were too large for a leaf
proofs/                 one proof file for each order and report (c2sp.org/tlog-proof)
s3-versions.json        version ids and locks as the store told them; nothing here proves them
`;
