// What the commands share that verify one file, offline: its options, the file, the policy, and the head in it
// against remembered ones.

import type { WireCrypto } from '../wire/crypto.ts';
import type { VerifiedEvidence } from '../wire/log-verification/evidence.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { HeadsOptionValues } from './heads-options.ts';
import { HEADS_OPTIONS, HEADS_USAGE, optionalHeadsPath } from './heads-options.ts';
import { HeadMemory } from './heads.ts';
import type { CommandIo } from './io.ts';
import type { PolicyOptionValues, TrustOptions } from './policy-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from './policy-options.ts';
import { readSmallFile } from './small-file.ts';

export const OFFLINE_OPTIONS: typeof POLICY_OPTIONS & typeof HEADS_OPTIONS = {
  ...POLICY_OPTIONS,
  ...HEADS_OPTIONS,
};

export const OFFLINE_USAGE: string = `${POLICY_USAGE}
${HEADS_USAGE}
  --no-heads             do not compare with remembered heads
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

export type OfflineValues = PolicyOptionValues & HeadsOptionValues;

export interface OfflineFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly trust: TrustOptions;
  /** Null: no head is compared. */
  readonly memory: HeadMemory | null;
}

/** Refuses what cannot be used or read. */
export async function readOfflineFile(
  values: OfflineValues,
  positionals: readonly string[],
  env: CommandIo['env'],
  maxBytes: number,
): Promise<Result<OfflineFile>> {
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one FILE' });
  }
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const heads = optionalHeadsPath(values, env, trust.value.unsafe);
  const memory = heads === null ? accept(null) : await HeadMemory.load(heads);
  if (!memory.ok) return memory;
  const bytes = await readSmallFile(path, maxBytes);
  if (!bytes.ok) return bytes;
  return accept({ path, bytes: bytes.value, trust: trust.value, memory: memory.value });
}

/** An old head is no rollback here; another key or another root of the same size is a fork. */
export function checkKnownHead(
  crypto: WireCrypto,
  memory: HeadMemory | null,
  { boot, checkpoint }: Pick<VerifiedEvidence, 'boot' | 'checkpoint'>,
): Result<null> {
  if (memory === null) return accept(null);
  const { origin, logKey } = boot.header;
  const { size, root } = checkpoint;
  return memory.checkFork({ origin, logKeyHash: crypto.sha256(logKey), size, root });
}
