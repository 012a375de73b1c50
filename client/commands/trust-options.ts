// What the commands of traders have in common: whom to trust, how long to wait, and how a refusal is told.

import { refused, undecided } from '../../verifier/command-line.ts';
import type { CommandIo } from '../../verifier/io.ts';
import type { PolicyOptionValues } from '../../verifier/policy-options.ts';
import { readTrustOptions } from '../../verifier/policy-options.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { SecureClientError } from '../error.ts';
import type { ClientTrust } from '../secure-client.ts';

const DEFAULT_TIMEOUT_MS = 30_000;

/** The options of `trackseal attest`, with signed lists of images. There is no default that passes. */
export async function readClientTrust(
  values: PolicyOptionValues & { readonly 'timeout-ms'?: string | undefined },
  env: CommandIo['env'],
): Promise<Result<ClientTrust>> {
  const timeoutMs = Number(values['timeout-ms'] ?? DEFAULT_TIMEOUT_MS);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1000 || timeoutMs > 120_000) {
    return refuse('usage_invalid', { what: '--timeout-ms: 1000 to 120000' });
  }
  const read = await readTrustOptions(values, env);
  if (!read.ok) return read;
  const { root, policy, unsafe } = read.value;
  if (policy === null) return refuse('policy_missing');
  return accept({ trust: { rootDer: root.der, policy, unsafe }, timeoutMs });
}

/** 1 when the enclave or its proof said no, 2 when nobody could say. */
export function tellFailure(io: CommandIo, error: unknown, json: boolean): number {
  if (!(error instanceof SecureClientError)) throw error;
  const { code, detail } = error;
  const couldNot = code === 'policy_missing' || code === 'not_registered';
  return (couldNot ? undecided : refused)(io, { code, detail }, json);
}
