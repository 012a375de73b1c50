// One leaf as evidence, in a file that can be checked offline: the leaf, the header and the attestation
// document that bind the key of the log, and whatever opens the leaf (docs/PROTOCOL.md 7). Everything in
// the file is hostile until it verifies. It proves that the leaf is in the log under this head; it says
// nothing about the leaves around it.
//
//   extra of the tlog-proof file = CBOR {1: leaf, 2: leaf key or null, 3: leaf 0, 4: boot document, 5: blob or null}

import { encodeMap } from '../cbor.ts';
import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { parseFields } from '../fields.ts';
import type { Leaf } from '../leaf.ts';
import { KIND, parseLeaf } from '../leaf.ts';
import { checkBlob, openLeaf } from '../open-leaf.ts';
import { MAX_BLOB_BYTES, MAX_DOCUMENT_BYTES, MAX_LEAF_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { verifyCheckpoint } from '../tlog/checkpoint.ts';
import { leafHash, verifyInclusion } from '../tlog/edge.ts';
import type { ProofFile } from '../tlog/proof-file.ts';
import { MAX_PROOF_EXTRA_BYTES } from '../tlog/proof-file.ts';
import type { LogTrust, VerifiedBoot } from './boot.ts';
import { verifyBoot } from './boot.ts';

const LEAF_KEY_BYTES = 32;

export interface Evidence {
  readonly leaf: Uint8Array;
  /** Opens this private leaf and no other; null leaves it closed. */
  readonly leafKey: Uint8Array | null;
  readonly leafZero: Uint8Array;
  readonly document: Uint8Array;
  /** The blob that the leaf names, when it is disclosed. */
  readonly blob: Uint8Array | null;
}

export function encodeEvidence(evidence: Evidence): Uint8Array {
  return encodeMap(
    [1, evidence.leaf],
    [2, evidence.leafKey],
    [3, evidence.leafZero],
    [4, evidence.document],
    [5, evidence.blob],
  );
}

export function parseEvidence(bytes: Uint8Array): Result<Evidence> {
  return parseFields('evidence', bytes, MAX_PROOF_EXTRA_BYTES, (fields) => ({
    leaf: fields.bytes(1, 1, MAX_LEAF_BYTES),
    leafKey: fields.bytesOrNull(2, LEAF_KEY_BYTES),
    leafZero: fields.bytes(3, 1, MAX_LEAF_BYTES),
    document: fields.bytes(4, 1, MAX_DOCUMENT_BYTES),
    blob: fields.bytesOrNull(5, 1, MAX_BLOB_BYTES),
  }));
}

export interface VerifiedEvidence {
  readonly boot: VerifiedBoot;
  readonly checkpoint: Checkpoint;
  readonly index: number;
  readonly leaf: Leaf;
  readonly leafHash: Uint8Array;
  /** Null when the file does not open the leaf. */
  readonly plaintext: Uint8Array | null;
}

/** Attestation, key, signed head, place in the tree, leaf; refuses the first that fails. */
export function verifyEvidence(
  crypto: WireCrypto,
  file: ProofFile,
  trust: LogTrust,
): Result<VerifiedEvidence> {
  if (file.extra === null) return refuse('proof_malformed', { what: 'extra' });
  const parsed = parseEvidence(file.extra);
  if (!parsed.ok) return refuse('proof_malformed', { what: 'extra', cause: parsed.refusal.code });
  const evidence = parsed.value;
  const verifiedBoot = verifyBoot(crypto, evidence.leafZero, evidence.document, trust);
  if (!verifiedBoot.ok) return verifiedBoot;
  const boot = verifiedBoot.value;
  const { origin, logKey } = boot.header;
  const signed = verifyCheckpoint(crypto, file.note, origin, logKey);
  if (!signed.ok) return signed;
  const { size, root } = signed.value;
  const { index, proof } = file;
  const hash = leafHash(crypto, evidence.leaf);
  const included = verifyInclusion(crypto, { index, size, leafHash: hash, root, proof });
  if (!included.ok) return included;
  const leaf = parseLeaf(evidence.leaf);
  if (!leaf.ok) return leaf;
  const { kind } = leaf.value;
  const place = kind === KIND.header ? 0 : kind === KIND.attestation ? 1 : null;
  const placed = place === null ? index > 1 : index === place;
  // The attestation names leaf 0 too: two headers of one log are impossible.
  if (!placed || (index === 0 && !equalBytes(hash, boot.leafZeroHash))) {
    return refuse('leaf_misplaced', { index, kind });
  }
  const plaintext = openEvidence(crypto, leaf.value, evidence);
  if (!plaintext.ok) return plaintext;
  return accept({
    boot,
    checkpoint: signed.value,
    index,
    leaf: leaf.value,
    leafHash: hash,
    plaintext: plaintext.value,
  });
}

function openEvidence(
  crypto: WireCrypto,
  leaf: Leaf,
  { leafKey, blob }: Evidence,
): Result<Uint8Array | null> {
  const { form } = leaf.body;
  const isPrivate = form === 'private' || form === 'private-blob';
  const namesBlob = form === 'public-blob' || form === 'private-blob';
  // What the leaf does not use must not look as if it had been checked.
  if ((leafKey !== null && !isPrivate) || (blob !== null && !namesBlob)) {
    return refuse('proof_malformed', { what: 'key or blob without use' });
  }
  if ((isPrivate && leafKey === null) || (namesBlob && blob === null)) {
    const there = blob === null ? accept(null) : checkBlob(crypto, leaf, blob);
    return there.ok ? accept(null) : there;
  }
  const opened = openLeaf(crypto, leaf, leafKey, blob);
  return opened.ok ? accept(opened.value.plaintext) : opened;
}
