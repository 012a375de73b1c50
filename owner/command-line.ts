// What the commands of owners share at the edge: options, files, and the answer when something was refused
// or could not be done. Nothing that comes from a service reaches a terminal unless it is printable ASCII.

import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { REFUSAL_CODES } from '../wire/codes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { Refusal, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

/** What a command may touch of the terminal: handed in, so that tests can listen. */
export interface CommandIo {
  /** The result; nothing else goes there. */
  readonly stdout: (text: string) => void;
  /** Progress, hints and errors for people. */
  readonly stderr: (text: string) => void;
  /** Whether stderr is a terminal: progress bars are for terminals only. */
  readonly isTerminal?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Unknown options and missing values are refused: `usage_invalid`. */
export function parseOptions<T extends ParseArgsConfig>(
  config: T,
): Result<ReturnType<typeof parseArgs<T>>> {
  try {
    return accept(parseArgs(config));
  } catch (error) {
    return refuse('usage_invalid', { what: error instanceof Error ? error.message : 'options' });
  }
}

/** Refuses `file_unreadable` for what is not there or has more than `maxBytes`. */
export async function readBounded(path: string, maxBytes: number): Promise<Result<Uint8Array>> {
  try {
    const data = await readFile(path);
    if (data.length <= maxBytes) return accept(new Uint8Array(data));
    return refuse('file_unreadable', { path, bytes: data.length, maximum: maxBytes });
  } catch {
    return refuse('file_unreadable', { path });
  }
}

/** Codes that mean "I could not look" rather than "it does not hold". */
const UNDECIDED: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'usage_invalid',
  'source_unreachable',
  'file_unreadable',
  'kms_unreachable',
  'tls_untrusted',
  'credentials_missing',
  'credentials_expired',
]);

const HINTS: Partial<Readonly<Record<RefusalCode, string>>> = {
  usage_invalid: '--help lists the options',
  file_unreadable: 'check the path and its permissions',
  source_unreachable: 'check address, network and --ca, and try again',
  kms_unreachable: 'check region, network, --endpoint and --ca, and try again',
  kms_denied:
    'the key policy does not let these credentials: compare `aws sts get-caller-identity` with the policy',
  tls_untrusted: 'somebody else answers at this address, or --ca is of another simulator',
  credentials_missing:
    'set AWS_PROFILE, or give --profile; `aws sts get-caller-identity` shows who you are',
  credentials_expired: 'sign in again',
  commitment_mismatch: 'pack the strategy again with its salt, or configure the new commitment',
  seal_missing: 'the configuration wants this item sealed: name a file for it',
  seal_unexpected: 'the configuration does not want this item sealed',
  seal_rolled_back: 'leave --version away: the next one is taken',
  debug_mode:
    'these are measurements of an enclave in debug mode: build the image and take its own',
};

/** Where the code's own text speaks of the enclave's host. */
const TEXTS: Partial<Readonly<Record<RefusalCode, string>>> = {
  credentials_missing: 'no AWS credentials were found',
  credentials_expired: 'the AWS credentials have expired',
};

/** Text of a service or a file, as a terminal may show it. */
export function printable(text: string, maxCharacters = 300): string {
  return text.slice(0, maxCharacters).replaceAll(/[^ -~]/gu, '?');
}

/**
 * Says what was refused on stderr (and on stdout with --json) and answers the exit code: 1 refused,
 * 2 could not decide.
 */
export function refused(io: CommandIo, refusal: Refusal, json: boolean, hint?: string): number {
  const { code, detail } = refusal;
  const verdict = UNDECIDED.has(code) ? 'undecided' : 'refused';
  if (json) io.stdout(`${JSON.stringify({ verdict, code, detail }, null, 2)}\n`);
  const next = hint ?? HINTS[code];
  const lines = [
    `${verdict.toUpperCase()}  ${code}: ${TEXTS[code] ?? REFUSAL_CODES[code]}`,
    ...Object.entries(detail).map(([name, value]) => {
      return `  ${name.padEnd(14)}${value === null ? 'none' : printable(String(value))}`;
    }),
    ...(next === undefined ? [] : [`  next          ${next}`]),
  ];
  io.stderr(`${lines.join('\n')}\n`);
  return verdict === 'undecided' ? 2 : 1;
}
