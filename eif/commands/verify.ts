// trackseal image verify FILE: is this the image that was announced? Compares what the file measures with
// measurements that come from elsewhere: a reproduced build, a release page, an LP's policy.

import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { CommandIo } from '../../verifier/io.ts';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { EifDescription } from '../description.ts';
import { describeEif } from '../description.ts';
import { readImage } from '../image-file.ts';
import { descriptionJson, renderDescription } from './describe.ts';

const USAGE = `usage: trackseal image verify FILE --measurements FILE [--sha256 HEX] [--certificate-sha256 HEX] [--json]

Verifies an enclave image file (EIF): its structure, CRC and signature, and that it measures what it should.

  --measurements FILE        PCR0, PCR1, PCR2 (and PCR8), as nitro-cli and trackseal image build print them
  --sha256 HEX               of the whole file: PCRs do not fix where one measured section ends
  --certificate-sha256 HEX   of the signing certificate (DER): the image must be signed with it
  --json                     the verdict as JSON

Exit codes: 0 verified, 1 refused, 2 could not decide (nothing to compare with, wrong usage).
`;

const OPTIONS = {
  measurements: { type: 'string' },
  sha256: { type: 'string' },
  'certificate-sha256': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const pcr = z
  .string()
  .regex(/^[0-9a-f]{96}$/iu)
  .transform((text) => text.toLowerCase());

const measurementsSchema = z.object({
  Measurements: z.object({ PCR0: pcr, PCR1: pcr, PCR2: pcr, PCR8: pcr.optional() }),
});

interface Expected {
  readonly measurements: Readonly<Record<'PCR0' | 'PCR1' | 'PCR2', string>> & {
    readonly PCR8?: string | undefined;
  };
  readonly sha256: string | undefined;
  readonly certificateSha256: string | undefined;
}

async function readMeasurements(path: string): Promise<Result<Expected['measurements']>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return refuse('file_unreadable', { path });
  }
  try {
    return accept(measurementsSchema.parse(JSON.parse(text)).Measurements);
  } catch {
    return refuse('policy_malformed', { path });
  }
}

/** The first thing that is not as it should be, or null. */
function judge(description: EifDescription, expected: Expected): Refusal | null {
  const { measurements, sha256, signer, faults } = description;
  const [fault] = faults;
  if (fault !== undefined) return { code: fault, detail: {} };
  const { pcr0: PCR0, pcr1: PCR1, pcr2: PCR2, pcr8: PCR8 } = measurements;
  for (const [name, value] of Object.entries({ PCR0, PCR1, PCR2 })) {
    if (expected.measurements[name as 'PCR0'] !== value) {
      return { code: 'eif_measurements', detail: { register: name, image: value } };
    }
  }
  const { PCR8: wanted } = expected.measurements;
  if (wanted !== undefined && wanted !== PCR8) {
    return { code: 'eif_measurements', detail: { register: 'PCR8', image: PCR8 } };
  }
  if (expected.sha256 !== undefined && expected.sha256 !== sha256) {
    return { code: 'eif_digest', detail: { image: sha256 } };
  }
  if (expected.certificateSha256 === undefined) return null;
  if (signer === null) return { code: 'eif_signature_missing', detail: {} };
  return signer.certificateSha256 === expected.certificateSha256
    ? null
    : { code: 'eif_certificate', detail: { image: signer.certificateSha256 } };
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  const [path] = positionals;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  if (path === undefined || positionals.length > 1 || values.measurements === undefined) {
    io.stderr(USAGE);
    return 2;
  }
  const measurements = await readMeasurements(values.measurements);
  if (!measurements.ok) return undecided(io, measurements.refusal, json);
  const file = await readImage(path);
  if (!file.ok) return refused(io, file.refusal, json);
  const description = describeEif(file.value);
  if (!description.ok) return refused(io, description.refusal, json);
  const refusal = judge(description.value, {
    measurements: measurements.value,
    sha256: values.sha256?.toLowerCase(),
    certificateSha256: values['certificate-sha256']?.toLowerCase(),
  });
  if (refusal !== null) return refused(io, refusal, json);
  io.stdout(
    json
      ? `${JSON.stringify({ verdict: 'verified', ...descriptionJson(description.value) }, null, 2)}\n`
      : `VERIFIED  the image measures what ${values.measurements} says\n${renderDescription(description.value)}`,
  );
  return 0;
}
