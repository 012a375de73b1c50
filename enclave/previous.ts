// The epoch before this one, as the host offers it: its last signed head and its last leaf. The enclave
// can check that the log key of that epoch signed that head, not that there is no later one: an older
// head than the last becomes signed evidence of a rollback as soon as the longer log shows up.

import { equalBytes } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { EpochHeader, PreviousEpoch } from '../wire/header.ts';
import { parseHeader, parseOrigin } from '../wire/header.ts';
import { KIND, parseLeaf } from '../wire/leaf.ts';
import type { Previous } from '../wire/enclave-messages.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Checkpoint } from '../wire/tlog/checkpoint.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { leafHash, verifyInclusion } from '../wire/tlog/edge.ts';

const MAX_EPOCH = 9_999_999_999;

export interface VerifiedPrevious {
  readonly entry: PreviousEpoch;
  /** Its outputs that were logged and never released, as the host says. */
  readonly unreleased: readonly number[];
  /** Its leaf 0. */
  readonly header: EpochHeader;
}

/** The header in leaf 0 of the tree with this root, which the epoch's own key signed. */
function readLeafZero(
  crypto: WireCrypto,
  { origin, logKey, leafZero, leafZeroProof: proof }: Previous,
  { size, root }: Checkpoint,
): Result<EpochHeader> {
  const hash = leafHash(crypto, leafZero);
  const included = verifyInclusion(crypto, { index: 0, size, leafHash: hash, root, proof });
  if (!included.ok) return included;
  const leaf = parseLeaf(leafZero);
  if (!leaf.ok) return leaf;
  const { body, digest, kind } = leaf.value;
  // Sealed, or a blob beside its leaf: the host brings leaf 0 and nothing else.
  if (body.form !== 'public') return refuse('header_mismatch');
  if (!equalBytes(crypto.sha256(body.salt, body.plaintext), digest)) {
    return refuse('leaf_digest_mismatch');
  }
  const header = parseHeader(body.plaintext);
  if (!header.ok) return header;
  return kind === KIND.header &&
    header.value.origin === origin &&
    equalBytes(header.value.logKey, logKey)
    ? header
    : refuse('header_mismatch');
}

/** Refuses `previous_invalid` with the code of the check that failed. */
export function verifyPrevious(
  crypto: WireCrypto,
  previous: Previous,
  logId: string,
): Result<VerifiedPrevious> {
  const origin = parseOrigin(previous.origin);
  if (origin === null || origin.logId !== logId || origin.epoch >= MAX_EPOCH) {
    return refuse('previous_invalid', { cause: 'origin_mismatch' });
  }
  const { note, logKey, lastLeaf, proof, unreleased } = previous;
  const head = verifyCheckpoint(crypto, note, previous.origin, logKey);
  if (!head.ok) return refuse('previous_invalid', { cause: head.refusal.code });
  const { size, root } = head.value;
  const hash = leafHash(crypto, lastLeaf);
  const included = verifyInclusion(crypto, { index: size - 1, size, leafHash: hash, root, proof });
  if (!included.ok) return refuse('previous_invalid', { cause: included.refusal.code });
  const header = readLeafZero(crypto, previous, head.value);
  if (!header.ok) return refuse('previous_invalid', { cause: header.refusal.code });
  const leaf = parseLeaf(lastLeaf);
  if (!leaf.ok) return refuse('previous_invalid', { cause: leaf.refusal.code });
  if (!unreleased.every((index, at) => index > (unreleased[at - 1] ?? -1) && index < size)) {
    return refuse('previous_invalid', { cause: 'cause_invalid' });
  }
  const clean = leaf.value.kind === KIND.close;
  const logKeyHash = crypto.sha256(logKey);
  const entry = { epoch: origin.epoch, size, root, logKeyHash, clean };
  return accept({ entry, unreleased, header: header.value });
}
