// Which result key signed for which epoch, by attestation documents that come with a record. Each is judged at its own
// time under the caller's policy; it has to be of purpose boot or challenge, which name the keys of the epoch. What is
// wrong with one of them refuses the record: nobody has to guess which of them was meant.

import type { UserData } from '../../wire/attestation/user-data.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { AttestationReport } from '../attestation-report.ts';
import { evaluateAttestation } from '../attestation-report.ts';
import type { TrustOptions } from '../policy-options.ts';

export interface AttestedEpoch {
  readonly origin: string;
  /** Raw Ed25519 key, 32 bytes. */
  readonly key: Uint8Array;
  readonly documentSha256: string;
  readonly moduleId: string;
  readonly timestampMs: number;
  readonly pcr0: string;
  readonly configDigest: string | null;
}

function epochOf(
  document: Uint8Array,
  report: AttestationReport,
  userData: UserData | null,
): Result<AttestedEpoch> {
  if (userData === null) return refuse('user_data_malformed');
  const { purpose, origin, ed25519Key, configDigest } = userData;
  if (purpose !== PURPOSE.boot && purpose !== PURPOSE.challenge) {
    return refuse('purpose_mismatch', { expected: 'boot or challenge' });
  }
  if (ed25519Key === null) return refuse('record_unattested', { origin, what: 'result key' });
  return accept({
    origin,
    key: ed25519Key,
    documentSha256: toHex(nodeCrypto.sha256(document)),
    moduleId: report.module_id ?? '',
    timestampMs: report.timestamp ?? 0,
    pcr0: report.pcrs?.['0'] ?? '',
    configDigest: configDigest === null ? null : toHex(configDigest),
  });
}

function judge(document: Uint8Array, trust: TrustOptions): Result<AttestedEpoch> {
  let bound: UserData | null = null;
  const { report } = evaluateAttestation({
    bytes: document,
    trust,
    at: 'signing',
    nowMs: Date.now(),
    demands: {},
    checkBinding: (_, userData) => {
      bound = userData;
      return accept(null);
    },
  });
  // Without a policy all the rest was checked, and the verdict says so.
  if (report.code !== null && report.code !== 'policy_missing') {
    return refuse(report.code, report.detail);
  }
  return epochOf(document, report, bound);
}

/** By origin; of several documents of one epoch the first. Refuses what a document is refused for. */
export function attestedEpochs(
  documents: readonly Uint8Array[],
  trust: TrustOptions,
): Result<ReadonlyMap<string, AttestedEpoch>> {
  const epochs = new Map<string, AttestedEpoch>();
  for (const document of documents) {
    const judged = judge(document, trust);
    if (!judged.ok) return judged;
    const { origin, key } = judged.value;
    const known = epochs.get(origin);
    if (known === undefined) epochs.set(origin, judged.value);
    // Two enclaves that claim to be one epoch.
    else if (!equalBytes(known.key, key)) return refuse('chain_fork', { origin });
  }
  return accept(epochs);
}
