// A signed result: its statement counts when the attested key signed it, for this log and this account. Everything else of
// the answer is convenience, and is not used.

import { concatBytes, parseBase64, u64, utf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { AttestedEnclave } from './attested.ts';
import type { Fields } from './channel.ts';
import type { Curves } from './curves.ts';
import type { SavedSession } from './registration.ts';

export interface VerifiedResult {
  /** The leaf of the log that holds the statement. */
  readonly leafIndex: number;
  /** For `trackseal verify result`, and for whoever is shown it: the answer as it came. */
  readonly evidence: Fields;
}

interface Context {
  readonly enclave: AttestedEnclave;
  readonly session: SavedSession;
}

export async function verifyResult(
  curves: Curves,
  answer: Fields,
  { enclave }: Context,
): Promise<Result<VerifiedResult>> {
  const statement = bytesOf(answer['statement']);
  const signature = bytesOf(answer['signature']);
  const leafIndex = answer['leaf_index'];
  if (statement === null || signature === null || !isIndex(leafIndex)) {
    return refuse('result_malformed');
  }
  const signed = resultSignedBytes(leafIndex, statement);
  if (!(await curves.verifyEd25519(enclave.resultKey, signed, signature))) {
    return refuse('result_signature');
  }
  return accept({ leafIndex, evidence: answer });
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function bytesOf(value: unknown): Uint8Array | null {
  return typeof value === 'string' ? parseBase64(value) : null;
}

export function resultSignedBytes(leafIndex: number, statement: Uint8Array): Uint8Array {
  return concatBytes(utf8('trackseal/result/v1'), Uint8Array.of(0), u64(leafIndex), statement);
}
