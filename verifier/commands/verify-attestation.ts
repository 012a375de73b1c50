// trackseal verify attestation FILE: is this document genuine, and is it what I wanted? Offline.

import type { Purpose } from '../../wire/attestation/user-data.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseHex } from '../../wire/bytes.ts';
import { MAX_DOCUMENT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Instant } from '../attestation-report.ts';
import { evaluateAttestation, exitCodeOf } from '../attestation-report.ts';
import { renderReport } from '../attestation-text.ts';
import { runCommand } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import { readSmallFile } from '../small-file.ts';

const USAGE = `usage: trackseal verify attestation FILE [OPTIONS]

Verifies a raw attestation document (CBOR) offline.

${POLICY_USAGE}
what to demand:
  --nonce HEX            the challenge that the document must answer
  --purpose NAME         boot, challenge, anchor or kms
  --at TIME              judge certificates at: now (default), signing (the document's own
                         timestamp, for archived evidence), or an ISO time such as
                         2026-02-06T09:00:00Z

  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

// Room to tell "too large" from "not readable": the parser has the exact limit.
const MAX_FILE_BYTES = 4 * MAX_DOCUMENT_BYTES;

const OPTIONS = {
  ...POLICY_OPTIONS,
  nonce: { type: 'string' },
  purpose: { type: 'string' },
  at: { type: 'string' },
} as const;

type Values = PolicyOptionValues & {
  readonly nonce?: string | undefined;
  readonly purpose?: string | undefined;
  readonly at?: string | undefined;
};

interface Task {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly trust: TrustOptions;
  readonly demands: Demands;
}

interface Demands {
  readonly at: Instant;
  readonly demands: { readonly nonce?: Uint8Array; readonly purpose?: Purpose };
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: CommandIo,
): Promise<Result<Task>> {
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one FILE' });
  }
  const demands = parseDemands(values);
  if (!demands.ok) return demands;
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const bytes = await readSmallFile(path, MAX_FILE_BYTES);
  if (!bytes.ok) return bytes;
  return accept({ path, bytes: bytes.value, trust: trust.value, demands: demands.value });
}

function perform(
  { path, bytes, trust, demands }: Task,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  const { report } = evaluateAttestation({ bytes, trust, nowMs: Date.now(), ...demands });
  io.stdout(json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, path));
  return Promise.resolve(exitCodeOf(report));
}

function parseDemands(values: Values): Result<Demands> {
  const at = parseInstant(values.at ?? 'now');
  if (at === null)
    return refuse('usage_invalid', { what: '--at: now, signing or an ISO time in UTC' });
  const nonce = values.nonce === undefined ? undefined : parseHex(values.nonce.toLowerCase());
  if (nonce === null || nonce?.length === 0) {
    return refuse('usage_invalid', { what: '--nonce: hex' });
  }
  const purpose = Object.entries(PURPOSE).find(([name]) => name === values.purpose)?.[1];
  if (values.purpose !== undefined && purpose === undefined) {
    return refuse('usage_invalid', { what: '--purpose: boot, challenge, anchor or kms' });
  }
  return accept({
    at,
    demands: {
      ...(nonce === undefined ? {} : { nonce }),
      ...(purpose === undefined ? {} : { purpose }),
    },
  });
}

/** `2026-02-06T09:00:00Z`, seconds and fractions optional; dates that do not exist are refused. */
function parseInstant(text: string): Instant | null {
  if (text === 'now' || text === 'signing') return text;
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(\.\d{1,3})?Z$/u.exec(text);
  if (match === null) return null;
  const [, minute, second = ':00', fraction = '.000'] = match;
  const full = `${minute}${second}${fraction.padEnd(4, '0')}Z`;
  const atMs = Date.parse(full);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString() === full ? { atMs } : null;
}
