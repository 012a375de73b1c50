// trackseal measurements verify FILE --release-key KEY: is this list signed, and what does it say? Compares
// with the newest list that was seen before, and remembers this one.

import { parseBase64 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { refused, runCommand } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import { row } from '../log/verdict-frame.ts';
import type { VerifiedList } from '../measurements/list.ts';
import { MAX_LIST_BYTES, verifyMeasurements } from '../measurements/list.ts';
import { listsPath, rememberList } from '../measurements/memory.ts';
import { MAX_POLICY_BYTES, parsePolicyFile } from '../policy-file.ts';
import { readSmallFile } from '../small-file.ts';

const USAGE = `usage: trackseal measurements verify FILE (--release-key BASE64 | --policy FILE) [OPTIONS]

Verifies a signed list of image measurements and shows it. A list that is older than one seen before is
refused, and so is another one with the same counter ($TRACKSEAL_LISTS, or the user's state folder).

  --release-key BASE64   the release key, a P-256 SubjectPublicKeyInfo
  --policy FILE          a policy that names it
  --json                 the list as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (wrong usage, unreadable files).
`;

const OPTIONS = {
  'release-key': { type: 'string' },
  policy: { type: 'string' },
} as const;

interface Values {
  readonly 'release-key'?: string | undefined;
  readonly policy?: string | undefined;
}

interface Task {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly releaseKey: Uint8Array;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(
  { path, bytes, releaseKey }: Task,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  const verified = verifyMeasurements(nodeCrypto, bytes, releaseKey);
  if (!verified.ok) return refused(io, verified.refusal, json);
  const known = await rememberList(listsPath(io.env), verified.value);
  if (!known.ok) return refused(io, known.refusal, json);
  io.stdout(json ? jsonOf(verified.value) : textOf(path, verified.value));
  return 0;
}

async function prepare(values: Values, positionals: readonly string[]): Promise<Result<Task>> {
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one FILE' });
  }
  const releaseKey = await readReleaseKey(values);
  if (!releaseKey.ok) return releaseKey;
  const bytes = await readSmallFile(path, MAX_LIST_BYTES);
  return bytes.ok ? accept({ path, bytes: bytes.value, releaseKey: releaseKey.value }) : bytes;
}

async function readReleaseKey(values: Values): Promise<Result<Uint8Array>> {
  const { policy, 'release-key': given } = values;
  if ((policy === undefined) === (given === undefined)) {
    return refuse('usage_invalid', { what: 'give one of --release-key and --policy' });
  }
  if (policy === undefined) {
    const key = parseBase64(given ?? '');
    return key === null ? refuse('usage_invalid', { what: '--release-key: base64' }) : accept(key);
  }
  const bytes = await readSmallFile(policy, MAX_POLICY_BYTES);
  if (!bytes.ok) return bytes;
  const file = parsePolicyFile(Buffer.from(bytes.value).toString('utf8'));
  if (!file.ok) return file;
  const { releaseKey } = file.value;
  return releaseKey === undefined
    ? refuse('policy_malformed', { what: 'the policy names no release_key' })
    : accept(releaseKey);
}

function jsonOf({ list, sha256 }: VerifiedList): string {
  return `${JSON.stringify({ verdict: 'verified', sha256, ...list }, null, 2)}\n`;
}

function textOf(path: string, { list, sha256 }: VerifiedList): string {
  const lines = [
    `VERIFIED  ${path}`,
    row('list', `${list.counter}, issued ${list.issued}`),
    row('sha256', sha256),
    ...list.images.flatMap(({ name, status, pcr0, pcr1, pcr2, note }) => [
      row(status === 'revoked' ? 'REVOKED' : 'image', note === '' ? name : `${name}: ${note}`),
      row('  PCR0', pcr0),
      row('  PCR1', pcr1),
      row('  PCR2', pcr2),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}
