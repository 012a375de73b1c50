// trackseal verify proof FILE: one leaf of a log, offline: attestation, key, signed head, place in the
// tree, and what the leaf says when the file opens it.

import { runCommand } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import { describePayload } from '../log/payload.ts';
import { refusedProof, renderProof, verifiedProof } from '../log/proof-verdict.ts';
import type { ProofVerdict } from '../log/proof-verdict.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { OfflineFile } from '../offline-file.ts';
import {
  checkKnownHead,
  OFFLINE_OPTIONS,
  OFFLINE_USAGE,
  readOfflineFile,
} from '../offline-file.ts';
import { verifyEvidence } from '../../wire/log-verification/evidence.ts';
import { accept } from '../../wire/result.ts';
import { MAX_PROOF_FILE_BYTES, parseProofFile } from '../../wire/tlog/proof-file.ts';

const USAGE = `usage: trackseal verify proof FILE [OPTIONS]

Verifies one leaf offline, from a proof file that \`trackseal log prove\` has made
(c2sp.org/tlog-proof@v1), and shows what it says when the file discloses it.

${OFFLINE_USAGE}`;

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: OFFLINE_OPTIONS,
    prepare: (values, positionals, { env }) =>
      readOfflineFile(values, positionals, env, MAX_PROOF_FILE_BYTES),
    perform: (file, _, json) => {
      const verdict = judge(file);
      io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderProof(verdict));
      return Promise.resolve(exitCodeOf(verdict));
    },
  });
}

function judge({ path, bytes, trust, memory }: OfflineFile): ProofVerdict {
  const file = parseProofFile(bytes);
  if (!file.ok) return refusedProof(path, trust, file.refusal);
  const crypto = verifierCrypto();
  const verified = verifyEvidence(crypto, file.value, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  if (!verified.ok) return refusedProof(path, trust, verified.refusal);
  const evidence = verified.value;
  const known = checkKnownHead(crypto, memory, evidence);
  if (!known.ok) return refusedProof(path, trust, known.refusal);
  const { leaf, plaintext, boot } = evidence;
  const payload =
    plaintext === null ? accept(null) : describePayload(leaf.kind, plaintext, boot.configuration);
  if (!payload.ok) return refusedProof(path, trust, payload.refusal);
  return verifiedProof(path, trust, evidence, payload.value, memory !== null);
}
