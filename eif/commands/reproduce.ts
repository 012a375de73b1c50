// trackseal image reproduce: builds twice under circumstances that differ in everything that could leak into
// an image, and compares the bytes. Whoever announces measurements runs it before anybody else has to.

import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { CommandIo } from '../../verifier/io.ts';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import { compareImages } from '../build/compare.ts';
import type { Circumstances, Place } from '../build/elsewhere.ts';
import { elsewhere, here } from '../build/elsewhere.ts';
import { describeEif, sha256Hex } from '../description.ts';
import { cacheFolder } from '../lock/files.ts';
import { measurementsJson } from '../measurements.ts';
import type { BuildValues } from './build.ts';
import { BUILD_OPTIONS, BUILD_USAGE } from './build.ts';

const USAGE = `usage: trackseal image reproduce [OPTIONS]

Builds the image twice, in different folders, with different users (as root), umasks, locales, time zones,
times of files and numbers of processors, and compares every byte. The kernel is built once and shared, unless
--kernel is given: that takes minutes.

${BUILD_USAGE}  --kernel           build the kernel a second time too
  --json

Exit codes: 0 the same, 1 different: the first differing file is named, 2 could not tell.
`;

export interface Places {
  readonly first: Place;
  /** Prepared when the first build has filled the cache. */
  readonly second: () => Promise<Place>;
}

interface Prepare {
  readonly folder: string;
  readonly withKernel: boolean;
  readonly io: CommandIo;
}

function machinePlaces({ folder, withKernel, io }: Prepare): Places {
  const onProgress = (text: string): void => {
    io.stderr(text.replaceAll(/^(?=.)/gmu, '  '));
  };
  const cache = cacheFolder(io.env);
  const path = io.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin';
  const env = { PATH: path, TRACKSEAL_CACHE: cache };
  const first = here(folder, env, onProgress);
  const options = { folder: join(folder, 'elsewhere'), cache, withKernel, env, onProgress };
  return { first, second: () => elsewhere(options) };
}

/** The options of `image build`, with copies of the files: the other user may not be let into their folders. */
async function givenArguments(values: BuildValues, folder: string): Promise<readonly string[]> {
  const { commitment = [], owner, hosts, blobs } = values;
  const options: readonly (readonly [name: string, path: string | undefined])[] = [
    ...commitment.map((path) => ['commitment', path] as const),
    ...Object.entries({ owner, hosts, blobs }),
  ];
  const given: string[] = [];
  for (const [at, [name, path]] of options.entries()) {
    if (path === undefined) continue;
    const copy = join(folder, `${String(at)}-${basename(path)}`);
    await cp(path, copy, { recursive: true });
    given.push(`--${name}`, copy);
  }
  return given;
}

function renderPlace({
  folder,
  user,
  umask,
  timeZone,
  locale,
  processors,
  times,
}: Circumstances): string {
  return `  ${folder}: user ${user}, umask ${umask}, ${timeZone}, ${locale}, processors ${processors}, times ${times}\n`;
}

function answerDifferent(io: CommandIo, json: boolean, images: readonly Uint8Array[]): number {
  const [a = new Uint8Array(0), b = new Uint8Array(0)] = images;
  const difference = compareImages(a, b);
  const detail = { ...difference, first: sha256Hex(a), second: sha256Hex(b) };
  return refused(io, { code: 'image_differs', detail }, json);
}

async function compareBuilds(
  { first, second }: Places,
  args: readonly string[],
  folder: string,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  io.stderr(`the first build\n${renderPlace(first.circumstances)}`);
  const one = await first.build(args, join(folder, 'first.eif'));
  if (!one.ok) return undecided(io, one.refusal, json);
  const other = await second();
  io.stderr(`the second build\n${renderPlace(other.circumstances)}`);
  const two = await other.build(args, join(folder, 'elsewhere', 'second.eif'));
  if (!two.ok) return undecided(io, two.refusal, json);
  if (compareImages(one.value, two.value) !== null) {
    return answerDifferent(io, json, [one.value, two.value]);
  }
  const description = describeEif(one.value);
  if (!description.ok) return undecided(io, description.refusal, json);
  const { bytes, sha256, measurements } = description.value;
  const builds = [first.circumstances, other.circumstances];
  const measured = measurementsJson(measurements);
  const result = { verdict: 'same', bytes, sha256, ...measured, builds };
  const text = `SAME  ${String(bytes)} bytes, sha256 ${sha256}\n  PCR0  ${measurements.pcr0}\n${builds.map(renderPlace).join('')}`;
  io.stdout(json ? `${JSON.stringify(result, null, 2)}\n` : text);
  return 0;
}

/** `prepare` is the machine's; tests hand in places whose builds differ or fail. */
export async function run(
  args: readonly string[],
  io: CommandIo,
  prepare: (asked: Prepare) => Places = machinePlaces,
): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({
    args: [...args],
    options: {
      ...BUILD_OPTIONS,
      kernel: { type: 'boolean' },
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
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-reproduce-'));
  try {
    await chmod(folder, 0o755);
    const places = prepare({ folder, withKernel: values.kernel !== true, io });
    return await compareBuilds(places, await givenArguments(values, folder), folder, io, json);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const detail = { step: 'preparing two builds', why };
    return undecided(io, { code: 'build_failed', detail }, json);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
