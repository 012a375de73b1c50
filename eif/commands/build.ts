// trackseal image build: the enclave image of this checkout, and what it measures.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CommandIo } from '../../verifier/io.ts';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import type { Result } from '../../wire/result.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';
import { ROOT } from '../build/bundles.ts';
import type { BuiltImage, ImageOptions } from '../build/image.ts';
import { buildImage, exampleFiles } from '../build/image.ts';
import { encodeTar } from '../build/tar.ts';
import { describeEif } from '../description.ts';
import { measurementsJson } from '../measurements.ts';
import { renderDescription } from './describe.ts';

export const BUILD_USAGE = `  --commitment FILE  what \`trackseal strategy pack\` wrote as commitment.json; once per strategy.
                     Default: the example strategy's
  --owner FILE       public key (P-256, PEM) of whoever may bring sealed items
  --hosts FILE       JSON {hosts: [{host, port, tls_name?}], roots: [names of Debian's certificates]}
  --blobs DIR        kernel, command line, init and module of nitro-cli instead of our own
`;

const USAGE = `usage: trackseal image build [OPTIONS]

Builds the enclave image from the inputs that eif/image.lock pins. The network is used for nothing but
pinned inputs that are not in the cache (TRACKSEAL_CACHE, default ~/.cache/trackseal).

${BUILD_USAGE}  --out FILE         default: build/trackseal.eif; measurements.json and the measured manifest,
                     measured.json, go beside it
  --rootfs FILE      the application's file system as a tar archive too, for Dockerfile.enclave
  --json

Exit codes: 0 built, 1 an input is not the pinned one, 2 could not build.
`;

export const BUILD_OPTIONS = {
  commitment: { type: 'string', multiple: true },
  owner: { type: 'string' },
  hosts: { type: 'string' },
  blobs: { type: 'string' },
} as const;

export interface BuildValues {
  readonly commitment?: readonly string[] | undefined;
  readonly owner?: string | undefined;
  readonly hosts?: string | undefined;
  readonly blobs?: string | undefined;
}

export function imageOptions(values: BuildValues, io: CommandIo): ImageOptions {
  const { commitments } = exampleFiles();
  return {
    commitments: values.commitment ?? commitments,
    owner: values.owner ?? null,
    hosts: values.hosts ?? null,
    blobs: values.blobs ?? null,
    env: io.env,
    onProgress: (text) => {
      io.stderr(`${text}\n`);
    },
  };
}

function contents({ rootFiles }: BuiltImage): readonly object[] {
  return rootFiles
    .toSorted((a, b) => b.data.length - a.data.length)
    .map(({ path, mode, data, why }) => {
      return { path: `/${path}`, bytes: data.length, executable: mode === 0o755, why };
    });
}

function size(bytes: number): string {
  return bytes.toLocaleString('en-US').padStart(13);
}

function renderContents({ rootFiles, ramdisks }: BuiltImage): string {
  const files = rootFiles.toSorted((a, b) => b.data.length - a.data.length);
  return [
    ...ramdisks.map(({ name, bytes, compressed }) => {
      return `${size(bytes)} bytes  ramdisk ${name}, compressed ${compressed.toLocaleString('en-US')}`;
    }),
    ...files.map(({ path, mode, data, why }) => {
      return `${size(data.length)} ${mode === 0o755 ? 'x' : ' '} /${path.padEnd(44)}${why}`;
    }),
    '',
  ].join('\n');
}

/** What `trackseal seal --manifest` compares the owner's key with. */
function manifestOf({ rootFiles }: BuiltImage): Uint8Array {
  const manifest = rootFiles.find(({ path }) => path === 'trackseal/measured.json');
  if (manifest === undefined) throw new Error('an image has a measured manifest');
  return manifest.data;
}

async function writeOutput(path: string, data: Uint8Array | string): Promise<Result<null>> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
    return accept(null);
  } catch {
    return refuse('file_unreadable', { path, what: 'cannot be written' });
  }
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({
    args: [...args],
    options: {
      ...BUILD_OPTIONS,
      out: { type: 'string' },
      rootfs: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const started = performance.now();
  const built = await buildImage(imageOptions(values, io));
  if (!built.ok) return refused(io, built.refusal, json);
  const seconds = Math.round((performance.now() - started) / 1000);
  const description = assertAccepted(describeEif(built.value.eif));
  const out = values.out ?? join(ROOT, 'build/trackseal.eif');
  const measurements = measurementsJson(description.measurements);
  const outputs: readonly (readonly [string, Uint8Array | string])[] = [
    [out, built.value.eif],
    [join(dirname(out), 'measurements.json'), `${JSON.stringify(measurements, null, 2)}\n`],
    [join(dirname(out), 'measured.json'), manifestOf(built.value)],
    ...(values.rootfs === undefined
      ? []
      : [[values.rootfs, encodeTar(built.value.rootFiles)] as const]),
  ];
  for (const [path, data] of outputs) {
    const written = await writeOutput(path, data);
    if (!written.ok) return refused(io, written.refusal, json);
  }
  const { bytes, sha256 } = description;
  const files = outputs.map(([path]) => path);
  const { ramdisks } = built.value;
  const result = {
    files,
    bytes,
    sha256,
    ...measurements,
    ramdisks,
    contents: contents(built.value),
  };
  const text = `${renderDescription(description)}\n${renderContents(built.value)}\nwritten after ${String(seconds)} s:\n${files.map((path) => `  ${path}\n`).join('')}`;
  io.stdout(json ? `${JSON.stringify(result, null, 2)}\n` : text);
  return 0;
}
