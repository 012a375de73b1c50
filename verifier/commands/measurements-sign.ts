// trackseal measurements sign LIST --key FILE -o FILE: publishes which images count and which were taken
// back. Whoever holds the release key decides what LPs accept: keep it where the image is signed, not
// where it runs.

import { writeFile } from 'node:fs/promises';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { runCommand, undecided } from '../command-line.ts';
import { refuseWriting } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import type { MeasurementsList, SignedMeasurements } from '../measurements/list.ts';
import { MAX_LIST_BYTES, parseUnsignedList, signMeasurements } from '../measurements/list.ts';
import { readSmallFile } from '../small-file.ts';

const USAGE = `usage: trackseal measurements sign LIST --key FILE -o FILE [OPTIONS]

Signs a list of image measurements with the release key. LIST is JSON:

  { "format": "trackseal/measurements/v1", "counter": 7, "issued": "2026-11-21",
    "images": [ { "name": "1.4.0", "pcr0": HEX, "pcr1": HEX, "pcr2": HEX,
                  "status": "allowed" or "revoked", "note": "why" } ] }

  --key FILE             the release key: a P-256 private key (PEM)
  -o FILE                where to write the signed list
  --json                 what was written, as JSON on stdout
  --help

Give each list a larger counter than the one before: verifiers refuse an older one. Keep revoked images
in the list. The policy of an LP names the key: "release_key", printed here.

Exit codes: 0 signed, 1 never, 2 wrong usage, or unreadable list or key.
`;

const OPTIONS = {
  key: { type: 'string' },
  output: { type: 'string', short: 'o' },
} as const;
const MAX_KEY_BYTES = 16 * 1024;

interface Values {
  readonly key?: string | undefined;
  readonly output?: string | undefined;
}

interface Task {
  readonly list: MeasurementsList;
  readonly signed: SignedMeasurements;
  readonly output: string;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(
  { list, signed, output }: Task,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  const written = await writeFile(output, signed.file).then(() => accept(null), refuseWriting);
  if (!written.ok) return undecided(io, written.refusal, json);
  const { counter, images } = list;
  const revoked = images.filter(({ status }) => status === 'revoked').length;
  const facts = {
    file: output,
    counter,
    images: images.length,
    revoked,
    release_key: signed.releaseKey,
  };
  io.stdout(
    json
      ? `${JSON.stringify(facts, null, 2)}\n`
      : `wrote ${output}: list ${counter}, ${images.length} images, ${revoked} revoked\n` +
          `release_key   ${signed.releaseKey}\n`,
  );
  return 0;
}

async function prepare(values: Values, positionals: readonly string[]): Promise<Result<Task>> {
  const [path] = positionals;
  const { key, output } = values;
  if (path === undefined || positionals.length !== 1 || key === undefined || output === undefined) {
    return refuse('usage_invalid', { what: 'give one LIST, --key FILE and -o FILE' });
  }
  const bytes = await readSmallFile(path, MAX_LIST_BYTES);
  if (!bytes.ok) return bytes;
  const list = parseUnsignedList(bytes.value);
  if (!list.ok) return list;
  const pem = await readSmallFile(key, MAX_KEY_BYTES);
  if (!pem.ok) return pem;
  const signed = signMeasurements(list.value, Buffer.from(pem.value).toString('latin1'));
  return signed === null
    ? refuse('file_unreadable', { path: key, what: 'not a P-256 private key (PEM)' })
    : accept({ list: list.value, signed, output });
}
