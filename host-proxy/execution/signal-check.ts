// What a released signal must pass before anything is done with it: it is in the host's own durable log,
// word for word, under a head that the enclave has signed. Without this check a broken enclave, or a bug
// between the log and here, could trade something that no auditor would ever find in the log.

import { equalBytes } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import type { Release } from '../../wire/messages.ts';
import type { Signal } from '../../wire/payloads.ts';
import { clientOrderIdOf, parseSignal } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { leafHash, verifyInclusion } from '../../wire/tlog/merkle.ts';
import type { LogReader } from '../epoch-log.ts';

/** Only `checkRelease` makes one. */
export interface LoggedSignal {
  readonly leafIndex: number;
  /** `ts` ‖ hex of the first 8 bytes of the leaf's hash. */
  readonly clientOrderId: string;
  readonly signal: Signal;
}

/**
 * Refuses `signal_not_logged`, `leaf_digest_mismatch`, `inclusion_invalid`, and `signal_malformed` for a
 * logged output that is no signal or names other causes than its leaf.
 */
export function checkRelease(
  crypto: WireCrypto,
  log: LogReader,
  release: Release,
): Result<LoggedSignal> {
  const { leafIndex, salt, plaintext } = release;
  const bytes = log.leaf(leafIndex);
  if (bytes === null) return refuse('signal_not_logged', { leaf: leafIndex });
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) return leaf;
  if (leaf.value.kind !== KIND.output) {
    return refuse('signal_not_logged', { leaf: leafIndex, kind: leaf.value.kind });
  }
  if (!equalBytes(crypto.sha256(salt, plaintext), leaf.value.digest)) {
    return refuse('leaf_digest_mismatch', { leaf: leafIndex });
  }
  const hash = leafHash(crypto, bytes);
  const inclusion = log.inclusion(leafIndex);
  if (inclusion === null) return refuse('signal_not_logged', { leaf: leafIndex });
  const included = verifyInclusion(crypto, { index: leafIndex, leafHash: hash, ...inclusion });
  if (!included.ok) return included;
  const signal = parseSignal(plaintext);
  if (!signal.ok) return refuse('signal_malformed', { leaf: leafIndex });
  if (!sameCauses(signal.value.causes, leaf.value.causes)) {
    return refuse('signal_malformed', { leaf: leafIndex, field: 8 });
  }
  const clientOrderId = clientOrderIdOf(hash);
  return accept({ leafIndex, clientOrderId, signal: signal.value });
}

function sameCauses(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((cause, index) => cause === b[index]);
}
