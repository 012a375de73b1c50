// trackseal kms canary: asks KMS for what only the enclave may have, as somebody who is no enclave. It should be
// refused. Run it often, with the credentials of the host: they are what an intruder there would have.

import { refuse } from '../../wire/result.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { MAX_BOOT_BYTES } from '../../wire/limits.ts';
import type { SealedItem, SealStatement } from '../../wire/sealed.ts';
import {
  dataKeyContext,
  parseKeyArn,
  parseSealed,
  parseStatement,
  sealContext,
} from '../../wire/sealed.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, readBounded, refused } from '../command-line.ts';
import type { Probe } from '../kms-client.ts';
import { KMS_OPTIONS, KMS_USAGE, openKms, probeDataKey, probeDecrypt } from '../kms-client.ts';

const USAGE = `usage: trackseal kms canary --sealed FILE [OPTIONS]

For each sealed item, tries kms:Decrypt of its key and kms:GenerateDataKey with the right
key, context and image, but without an attestation document. What KMS gives away is wiped and never shown.

  --sealed FILE      what \`trackseal seal\` wrote; may be repeated
${KMS_USAGE}  --json             {verdict: denied | alarm | undecided, attempts: [{file, operation, outcome, error}]}

Exit codes: 0 all denied, 1 ALARM: the policy lets somebody in who is no enclave, 2 could not tell.
`;

interface Target {
  readonly file: string;
  readonly item: SealedItem;
  readonly statement: SealStatement;
}

interface Attempt {
  readonly file: string;
  readonly operation: 'Decrypt' | 'GenerateDataKey';
  readonly outcome: 'denied' | 'gave_plaintext' | 'undecided';
  /** AWS's name of another error than the denial. */
  readonly error: string | null;
}

async function readTarget(file: string): Promise<Result<Target>> {
  const bytes = await readBounded(file, MAX_BOOT_BYTES);
  if (!bytes.ok) return bytes;
  const item = parseSealed(bytes.value);
  const statement = item.ok ? parseStatement(item.value.statement) : item;
  if (!item.ok || !statement.ok) return refuse('file_unreadable', { file, what: 'not sealed' });
  return accept({ file, item: item.value, statement: statement.value });
}

function attemptOf(file: string, operation: Attempt['operation'], probe: Probe): Attempt {
  if (typeof probe === 'string') return { file, operation, outcome: probe, error: null };
  return { file, operation, outcome: 'undecided', error: probe.name };
}

async function probeTarget(
  { file, item, statement }: Target,
  values: { readonly [name in keyof typeof KMS_OPTIONS]?: string | undefined },
): Promise<Result<readonly Attempt[]>> {
  const { keyArn, image } = statement;
  const kms = await openKms({ region: parseKeyArn(keyArn)?.region ?? '', ...values });
  if (!kms.ok) return kms;
  const dataKey = dataKeyContext({ name: 'canary', version: 1, image });
  const decrypt = await probeDecrypt(kms.value, keyArn, sealContext(statement), item.wrappedKey);
  const generate = await probeDataKey(kms.value, keyArn, dataKey);
  kms.value.destroy();
  return accept([
    attemptOf(file, 'Decrypt', decrypt),
    attemptOf(file, 'GenerateDataKey', generate),
  ]);
}

function verdictOf(attempts: readonly Attempt[]): 'denied' | 'alarm' | 'undecided' {
  if (attempts.some(({ outcome }) => outcome === 'gave_plaintext')) return 'alarm';
  return attempts.every(({ outcome }) => outcome === 'denied') ? 'denied' : 'undecided';
}

const EXIT_CODES = { denied: 0, alarm: 1, undecided: 2 } as const;
const NEXT = {
  denied: '',
  alarm:
    '  next          put the policy of `trackseal kms policy`, then seal again under a new key: this one may be known\n',
  undecided: '  next          see the errors; credentials, region and network must be right\n',
} as const;

/** Exit codes: 0 denied, 1 alarm, 2 could not tell. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    options: {
      sealed: { type: 'string', multiple: true },
      ...KMS_OPTIONS,
      json: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const { sealed = [], ...values } = parsed.value.values;
  if (sealed.length === 0) {
    return refused(io, { code: 'usage_invalid', detail: { what: '--sealed is needed' } }, json);
  }
  const attempts: Attempt[] = [];
  for (const file of sealed) {
    const target = await readTarget(file);
    const probed = target.ok ? await probeTarget(target.value, values) : target;
    if (!probed.ok) return refused(io, probed.refusal, json);
    attempts.push(...probed.value);
  }
  const verdict = verdictOf(attempts);
  const lines = attempts.map(({ file, operation, outcome, error }) => {
    return `  ${operation.padEnd(16)} ${error ?? outcome}  ${file}\n`;
  });
  const text = `${verdict.toUpperCase()}\n${lines.join('')}${NEXT[verdict]}`;
  if (json) io.stdout(`${JSON.stringify({ verdict, attempts }, null, 2)}\n`);
  else if (verdict === 'denied') io.stdout(text);
  if (verdict !== 'denied') io.stderr(text);
  return EXIT_CODES[verdict];
}
