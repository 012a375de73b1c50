// trackseal image sign FILE: puts the release key's signature over PCR0 into an image.

import { readFile, writeFile } from 'node:fs/promises';
import type { CommandIo } from '../../verifier/io.ts';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import type { Result } from '../../wire/result.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';
import { describeEif } from '../description.ts';
import { readImage } from '../image-file.ts';
import { signEif } from '../sign.ts';
import { descriptionJson, renderDescription } from './describe.ts';

const USAGE = `usage: trackseal image sign FILE --key FILE --certificate FILE --output FILE [--json]

Signs PCR0 (ES384 with a P-384 key; P-256 and P-521 are taken too) and writes the signed image. PCR0, PCR1
and PCR2 do not change; PCR8 is the certificate's. The signature is random, so two signed files differ.

  --key FILE          private key, PEM
  --certificate FILE  its certificate, PEM; its digest becomes PCR8
  -o, --output FILE   the signed image

Exit codes: 0 signed, 1 refused, 2 a file could not be read or written.
`;

const OPTIONS = {
  key: { type: 'string' },
  certificate: { type: 'string' },
  output: { type: 'string', short: 'o' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

async function readText(path: string): Promise<Result<string>> {
  try {
    return accept(await readFile(path, 'utf8'));
  } catch {
    return refuse('file_unreadable', { path });
  }
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  const { key: keyPath, certificate: certificatePath, output } = values;
  const [path] = positionals;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  if (
    path === undefined ||
    positionals.length > 1 ||
    keyPath === undefined ||
    certificatePath === undefined ||
    output === undefined
  ) {
    io.stderr(USAGE);
    return 2;
  }
  const file = await readImage(path);
  if (!file.ok) return refused(io, file.refusal, json);
  const key = await readText(keyPath);
  if (!key.ok) return refused(io, key.refusal, json);
  const certificate = await readText(certificatePath);
  if (!certificate.ok) return refused(io, certificate.refusal, json);
  const signed = signEif(file.value, key.value, certificate.value);
  if (!signed.ok) return refused(io, signed.refusal, json);
  try {
    await writeFile(output, signed.value);
  } catch {
    return refused(io, { code: 'file_unreadable', detail: { path: output } }, json);
  }
  const description = assertAccepted(describeEif(signed.value));
  io.stdout(
    json
      ? `${JSON.stringify(descriptionJson(description), null, 2)}\n`
      : renderDescription(description),
  );
  return 0;
}
