// trackseal image describe FILE: what an image is and measures, without trusting whoever built it.

import type { CommandIo } from '../../verifier/io.ts';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import type { EifDescription } from '../description.ts';
import { crcHex, describeEif } from '../description.ts';
import { readImage } from '../image-file.ts';
import { measurementsJson } from '../measurements.ts';

const USAGE = `usage: trackseal image describe FILE [--json]

Shows the sections of an enclave image file (EIF), its CRC, SHA-256, measurements (PCR0, 1, 2, 8),
metadata and signer.

Exit codes: 0 sound, 1 malformed or damaged, 2 could not be read.
`;

export function descriptionJson(description: EifDescription): object {
  const { bytes, sha256, architecture, crc, sections, cmdline, metadata, signer } = description;
  return {
    bytes,
    sha256,
    version: 4,
    architecture,
    crc: { stored: crcHex(crc.stored), computed: crcHex(crc.computed), matches: crc.matches },
    sections,
    cmdline,
    ...measurementsJson(description.measurements),
    metadata,
    signer,
    faults: description.faults,
  };
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(14)}${value}`;
}

function count(bytes: number): string {
  return bytes.toLocaleString('en-US').padStart(13);
}

export function renderDescription(description: EifDescription): string {
  const { bytes, sha256, architecture, crc, sections, cmdline, metadata, signer } = description;
  const { pcr0, pcr1, pcr2, pcr8 } = description.measurements;
  const { ImageName, ImageVersion, BuildMetadata: build } = metadata;
  return [
    `EIF version 4, ${architecture}, ${bytes.toLocaleString('en-US')} bytes`,
    row('sha256', sha256),
    row(
      'crc',
      `${crcHex(crc.stored)} ${crc.matches ? 'matches' : `should be ${crcHex(crc.computed)}`}`,
    ),
    row('name', `${ImageName} ${ImageVersion}`),
    row(
      'built',
      `${build.BuildTool} ${build.BuildToolVersion}, ${build.OperatingSystem} ${build.KernelVersion}`,
    ),
    row('command line', cmdline),
    ...sections.map((one) => row(one.type, `${count(one.bytes)} bytes  sha256 ${one.sha256}`)),
    row('PCR0', pcr0),
    row('PCR1', pcr1),
    row('PCR2', pcr2),
    ...(pcr8 === null ? [] : [row('PCR8', pcr8)]),
    row('signer', signer === null ? 'none: not signed' : `${signer.subject} (${signer.algorithm})`),
    ...(signer === null ? [] : [row('', `certificate sha256 ${signer.certificateSha256}`)]),
    ...(signer === null ? [] : [row('', `valid ${signer.notBefore} to ${signer.notAfter}`)]),
    ...description.faults.map((code) => `FAULT  ${code}: ${REFUSAL_CODES[code]}`),
    '',
  ].join('\n');
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const options = { json: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  const [path] = positionals;
  if (values.help === true || path === undefined || positionals.length > 1) {
    (values.help === true ? io.stdout : io.stderr)(USAGE);
    return values.help === true ? 0 : 2;
  }
  const file = await readImage(path);
  if (!file.ok) return refused(io, file.refusal, json);
  const description = describeEif(file.value);
  if (!description.ok) return refused(io, description.refusal, json);
  io.stdout(
    json
      ? `${JSON.stringify(descriptionJson(description.value), null, 2)}\n`
      : renderDescription(description.value),
  );
  return description.value.faults.length === 0 ? 0 : 1;
}
