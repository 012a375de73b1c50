// Makes the evidence of one leaf from a log that somebody keeps. It is checked against the checkpoint
// before it is written, so that a damaged copy of a log cannot make a proof that fails elsewhere; whether
// the log itself is worth anything is for `verify log` and `verify proof`.

import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { EpochHeader } from '../../wire/header.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { leafKey, parseLeaf } from '../../wire/leaf.ts';
import { blobOf, openLeaf } from '../../wire/open-leaf.ts';
import { readAttestationLeaf, readHeaderLeaf } from '../../wire/log-verification/boot.ts';
import { encodeEvidence } from '../../wire/log-verification/evidence.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { inclusionProof } from '../../wire/tlog/merkle.ts';
import { encodeProofFile } from '../../wire/tlog/proof-file.ts';
import type { EpochFiles } from './epoch-files.ts';
import { unsafeClaimedSize } from './epoch-files.ts';
import { readTree } from './read-tree.ts';

export interface ProofRequest {
  readonly files: EpochFiles;
  readonly index: number;
  /** Compliance's key discloses a private leaf; null leaves it closed. */
  readonly keys: PrivateKeys | null;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface MadeProof {
  readonly bytes: Uint8Array;
  readonly origin: string;
  readonly size: number;
  readonly disclosed: boolean;
}

export async function makeProof(
  crypto: WireCrypto,
  { files, index, keys, onProgress }: ProofRequest,
): Promise<Result<MadeProof>> {
  const note = await files.checkpoint();
  if (!note.ok) return note;
  if (note.value === null) return refuse('file_unreadable', { what: 'no checkpoint' });
  const claimed = unsafeClaimedSize(note.value);
  if (!claimed.ok) return claimed;
  const size = claimed.value;
  if (index >= size) {
    // While an epoch runs, what is published comes after what is signed.
    return refuse('usage_invalid', { what: 'the log ends before this leaf', index, size });
  }
  const read = await readTree(
    crypto,
    files,
    size,
    [0, 1, index],
    onProgress === undefined ? {} : { onProgress },
  );
  if (!read.ok) return read;
  const { tree, leaves } = read.value;
  const [leafZero, leafOne, leaf] = [leaves.get(0), leaves.get(1), leaves.get(index)];
  if (leafZero === undefined || leafOne === undefined || leaf === undefined) {
    return refuse('leaf_misplaced', { leaves: tree.size });
  }
  const boot = readHeaderLeaf(crypto, leafZero);
  if (!boot.ok) return boot;
  const document = readAttestationLeaf(crypto, leafOne);
  if (!document.ok) return document;
  const { header } = boot.value;
  const checkpoint = verifyCheckpoint(crypto, note.value, header.origin, header.logKey);
  if (!checkpoint.ok) return checkpoint;
  if (!equalBytes(checkpoint.value.root, tree.root())) return refuse('root_mismatch', { size });
  const disclosed = await disclose(crypto, files, header, index, leaf, keys);
  if (!disclosed.ok) return disclosed;
  const { key, blob, opens } = disclosed.value;
  const extra = encodeEvidence({
    leaf,
    leafKey: key,
    leafZero,
    document: document.value,
    blob,
  });
  const proof = inclusionProof(crypto, tree, index, size);
  const bytes = encodeProofFile({ extra, index, proof, note: note.value });
  return accept({ bytes, origin: header.origin, size, disclosed: opens });
}

interface Disclosure {
  readonly key: Uint8Array | null;
  readonly blob: Uint8Array | null;
  readonly opens: boolean;
}

function isPrivate({ body }: Leaf): boolean {
  return body.form === 'private' || body.form === 'private-blob';
}

/** The key of this leaf and the blob it names, checked to open it. */
async function disclose(
  crypto: WireCrypto,
  files: EpochFiles,
  header: EpochHeader,
  index: number,
  bytes: Uint8Array,
  keys: PrivateKeys | null,
): Promise<Result<Disclosure>> {
  const parsed = parseLeaf(bytes);
  if (!parsed.ok) return parsed;
  const leaf = parsed.value;
  if (isPrivate(leaf) && keys === null) return accept({ key: null, blob: null, opens: false });
  const key = isPrivate(leaf) && keys !== null ? keyOf(crypto, header, index, keys) : accept(null);
  if (!key.ok) return key;
  const named = blobOf(leaf);
  const blob = named === null ? accept(null) : await files.blob(toHex(named.hash));
  if (!blob.ok) return blob;
  const opened = openLeaf(crypto, leaf, key.value, blob.value);
  return opened.ok ? accept({ key: key.value, blob: blob.value, opens: true }) : opened;
}

function keyOf(
  crypto: WireCrypto,
  { wrappedDisclosureKey, origin }: EpochHeader,
  index: number,
  keys: PrivateKeys,
): Result<Uint8Array> {
  const disclosureKey = unwrapDisclosureKey(crypto, wrappedDisclosureKey, keys, origin);
  if (!disclosureKey.ok) return disclosureKey;
  return accept(leafKey(crypto, disclosureKey.value, origin, index));
}
