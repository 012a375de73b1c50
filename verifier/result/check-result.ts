// Is a result what the attested enclave signed? Against an attestation document of its epoch, and, when the log is there,
// against the leaf that it names: the salt in the file shows that the leaf is about this statement without a key
// that opens it. "Bad proof" and "wrong policy" are told apart as for documents.

import { isDeepStrictEqual } from 'node:util';
import type { UserData } from '../../wire/attestation/user-data.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import type { VerifiedEvidence } from '../../wire/log-verification/evidence.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import { parseResultStatement, resultSignedBytes } from '../../wire/result-statement.ts';
import { hoursOf, summaryOf } from '../../wire/result-summary.ts';
import { ed25519Verifier } from '../../wire/node/ed25519.ts';
import type { ResultFile } from './result-file.ts';

/** Refuses `result_malformed`, `result_mismatch`: what needs no attestation. */
export function readStatement(file: ResultFile): Result<ResultStatement> {
  const parsed = parseResultStatement(file.statement);
  if (!parsed.ok)
    return refuse('result_malformed', { cause: parsed.refusal.code, ...parsed.refusal.detail });
  const statement = parsed.value;
  const { summary, metrics } = file;
  if (summary !== undefined && !isDeepStrictEqual(summary, plain(summaryOf(statement)))) {
    return refuse('result_mismatch', { what: 'summary' });
  }
  if (metrics !== undefined && !isDeepStrictEqual(metrics, plain(hoursOf(statement)))) {
    return refuse('result_mismatch', { what: 'metrics' });
  }
  return accept(statement);
}

/** As it is after its way through JSON. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}

/**
 * Refuses `purpose_mismatch`, `origin_mismatch`, `result_signature`. `userData` is of a document that verified, of
 * purpose boot or challenge: both name the keys of the epoch.
 */
export function checkSignature(
  file: ResultFile,
  statement: ResultStatement,
  userData: UserData | null,
): Result<null> {
  if (userData === null) return refuse('user_data_malformed');
  const { purpose, origin, ed25519Key } = userData;
  if (purpose !== PURPOSE.boot && purpose !== PURPOSE.challenge) {
    return refuse('purpose_mismatch', { expected: 'boot or challenge' });
  }
  if (origin !== statement.origin) {
    return refuse('origin_mismatch', { expected: statement.origin, actual: origin });
  }
  const signed = resultSignedBytes(file.leafIndex, file.statement);
  if (ed25519Key === null || !ed25519Verifier(ed25519Key)(signed, file.signature)) {
    return refuse('result_signature');
  }
  return accept(null);
}

/** `evidence` is of a proof of the leaf that the result names. Refuses `origin_mismatch`, `result_mismatch`. */
export function checkLeaf(
  file: ResultFile,
  statement: ResultStatement,
  { boot, index, leaf }: VerifiedEvidence,
): Result<null> {
  const { origin } = boot.header;
  if (origin !== statement.origin) {
    return refuse('origin_mismatch', { expected: statement.origin, actual: origin });
  }
  if (index !== file.leafIndex) {
    return refuse('result_mismatch', { what: 'leaf', expected: file.leafIndex, actual: index });
  }
  const digest = nodeCrypto.sha256(file.leafSalt, file.statement);
  if (leaf.kind !== KIND.result || !equalBytes(leaf.digest, digest)) {
    return refuse('result_mismatch', { what: 'digest of the leaf' });
  }
  return accept(null);
}
