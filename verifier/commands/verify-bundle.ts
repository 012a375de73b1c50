// trackseal verify bundle FILE: an evidence file, offline: container, attestation, signed head, every leaf's
// place in the tree, what is shown and what is withheld.

import { runCommand } from '../command-line.ts';
import { refusedBundle, renderBundle, verifiedBundle } from '../evidence/bundle-verdict.ts';
import type { BundleVerdict } from '../evidence/bundle-verdict.ts';
import { verifyBundle } from '../evidence/verify-bundle.ts';
import { ZIP_LIMITS } from '../evidence/zip.ts';
import type { CommandIo } from '../io.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { OfflineFile } from '../offline-file.ts';
import {
  checkKnownHead,
  OFFLINE_OPTIONS,
  OFFLINE_USAGE,
  readOfflineFile,
} from '../offline-file.ts';

const USAGE = `usage: trackseal verify bundle FILE [OPTIONS]

Verifies an evidence file that \`trackseal log pull\` has made, offline: what is shown is in the log under
its signed head, nothing of the range is missing but what is withheld by its hash, and tables say what
the leaves say.

${OFFLINE_USAGE}`;

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: OFFLINE_OPTIONS,
    prepare: (values, positionals, { env }) =>
      readOfflineFile(values, positionals, env, ZIP_LIMITS.fileBytes),
    perform: (file, _, json) => {
      const verdict = judge(file);
      io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderBundle(verdict));
      return Promise.resolve(exitCodeOf(verdict));
    },
  });
}

function judge({ path, bytes, trust, memory }: OfflineFile): BundleVerdict {
  const crypto = verifierCrypto();
  const verified = verifyBundle(crypto, bytes, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  if (!verified.ok) return refusedBundle(path, trust, verified.refusal);
  const known = checkKnownHead(crypto, memory, verified.value);
  return known.ok
    ? verifiedBundle(path, trust, verified.value, memory !== null)
    : refusedBundle(path, trust, known.refusal);
}
