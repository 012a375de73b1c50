// trackseal log prove DIR --index N -o FILE: the evidence of one leaf, for somebody who does not get the
// log. With compliance's key it discloses that leaf and no other.

import { writeFile } from 'node:fs/promises';
import { refused, runCommand } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import type { CommandIo } from '../io.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import { makeProof } from '../log/make-proof.ts';
import type { ProofRequest } from '../log/make-proof.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const USAGE = `usage: trackseal log prove SOURCE --index N -o FILE [OPTIONS]

Writes a c2sp.org/tlog-proof@v1 file for leaf N of an epoch, with all that \`trackseal verify proof\`
needs to check it offline. The copy of the log is compared with its checkpoint first.

  --index N              the leaf
  -o FILE                where to write the proof
  --epoch N              which epoch; the newest by default
  --key FILE             compliance's private key (PEM): discloses the leaf when it is private
${STORE_USAGE}
  --json                 what was written, as JSON on stdout
  --help

Exit codes: 0 written, 1 the log is damaged, 2 wrong usage or unreadable files.
`;

const OPTIONS = {
  ...STORE_OPTIONS,
  index: { type: 'string' },
  output: { type: 'string', short: 'o' },
  epoch: { type: 'string' },
  key: { type: 'string' },
} as const;

interface Values extends StoreOptionValues {
  readonly index?: string | undefined;
  readonly output?: string | undefined;
  readonly epoch?: string | undefined;
  readonly key?: string | undefined;
}

interface Task {
  readonly request: ProofRequest;
  readonly output: string;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform({ request, output }: Task, io: CommandIo, json: boolean): Promise<number> {
  const progress = new ProgressBar(io, 'leaves');
  const onProgress = (done: number, total: number): void => {
    progress.update(done, total);
  };
  const made = await makeProof(verifierCrypto(), { ...request, onProgress });
  progress.clear();
  if (!made.ok) return refused(io, made.refusal, json);
  const { bytes, origin, size, disclosed } = made.value;
  await writeFile(output, bytes);
  const { index } = request;
  const facts = { file: output, origin, index, size, disclosed };
  const how = disclosed ? 'disclosed' : 'closed: give --key to disclose it';
  io.stdout(
    json
      ? `${JSON.stringify(facts, null, 2)}\n`
      : `wrote ${output}: leaf ${index} of ${size} of ${origin}, ${how}\n`,
  );
  return 0;
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: CommandIo,
): Promise<Result<Task>> {
  const [address] = positionals;
  const { index, output } = values;
  if (address === undefined || positionals.length !== 1 || output === undefined) {
    return refuse('usage_invalid', { what: 'give one DIR or URL, --index N and -o FILE' });
  }
  if (index === undefined || !/^\d{1,15}$/u.test(index)) {
    return refuse('usage_invalid', { what: '--index: a number from 0' });
  }
  const keys = values.key === undefined ? accept(null) : await readComplianceKey(values.key);
  if (!keys.ok) return keys;
  const selected = await selectEpoch(address, values.epoch, values, env);
  if (!selected.ok) return selected;
  const { files } = selected.value;
  return accept({ request: { files, index: Number(index), keys: keys.value }, output });
}
