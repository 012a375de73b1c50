// trackseal demo: the whole appliance on this machine with a simulated enclave and real market data, and then
// everybody who wants evidence of it (demo-run.ts). Host proxy and enclave are processes of their own.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommandIo } from '../verifier/io.ts';
import type { Appliance, ApplianceStrategy } from './appliance.ts';
import { prepareAppliance } from './appliance.ts';
import { ROOT } from './bundle.ts';
import type { BucketPlace, DemoBucket } from './demo-bucket.ts';
import { bucketAt, folderBucket, parseBucketUrl } from './demo-bucket.ts';
import { prepareDatabase } from './demo-database.ts';
import type { DemoCloud } from './demo-host.ts';
import { runDemo } from './demo-run.ts';
import { DemoTrader } from './demo-trader.ts';
import { MovedClock } from '../simulator/moved-clock.ts';
import { SimulatedAws } from './simulated-aws.ts';
import { demoStrategies } from './demo-strategies.ts';
import { explain } from './kit/explain.ts';
import type { Result } from '../wire/result.ts';
import { accept } from '../wire/result.ts';

const USAGE = `usage: trackseal demo [--json] [--speed N|max] [--limit EVENTS] [--keep DIR]
                      [--kms simulator|none] [--s3 folder|simulator|URL|none [--s3-ca FILE]] [--clock moved|machine] [--strategy PATH [--parameters FILE]]…

  --json          the summary as JSON on stdout
  --speed N|max   how much faster than real time; default 40
  --limit EVENTS  stop after so many events
  --kms WHICH     simulator (default): strategy, parameters and compliance's key come sealed under a key of a
                  simulated KMS, for this image only; none: they arrive in the clear
  --s3 WHICH      folder (default): the host ships the log into a write-once folder with the layout of a bucket;
                  none: it does not; simulator: a simulated S3 with Object Lock, into which the enclave writes by
                  itself (commit policy s3; needs --kms simulator);
                  https://HOST/BUCKET/PREFIX: the host ships to a bucket that \`trackseal bucket create\` made, with
                  the AWS credentials of the environment; all of it stays for the bucket's default retention
  --s3-ca FILE    PEM of the authority behind that URL
  --clock WHICH   moved (default): enclave, exchange and verifiers have a clock that is moved ahead twice, to the next full
                  hour, so that the enclave sees an hour of the trader's from start to end; takes a minute longer.
                  machine: the machine's, and no such hour; always with a bucket, whose requests are dated
  --strategy PATH your strategy instead of the example; again for several, which run side by side
  --parameters FILE
                  of the n-th strategy; default: parameters.json beside it
  --keep DIR      work in DIR and leave everything there; default: a temporary folder, removed

Exit codes: 0 everything was proved, 1 something was refused, 2 could not run.
`;

export const INSTRUMENT = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
} as const;
const READY_TIMEOUT_MS = 60_000;
const CHALLENGE_TIMEOUT_MS = 15_000;

interface DemoOptions {
  readonly json: boolean;
  readonly speed: number | null;
  readonly limit: number | null;
  readonly keep: string | null;
  readonly kms: 'simulator' | 'none';
  /** Where the log is shipped to, if anywhere. */
  readonly s3: 'folder' | 'simulator' | BucketPlace | null;
  readonly clock: 'moved' | 'machine';
  readonly strategies: readonly string[];
  readonly parameters: readonly string[];
}

function readOptions(args: readonly string[]): DemoOptions | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        speed: { type: 'string', default: '40' },
        limit: { type: 'string' },
        keep: { type: 'string' },
        kms: { type: 'string', default: 'simulator' },
        s3: { type: 'string', default: 'folder' },
        's3-ca': { type: 'string' },
        clock: { type: 'string' },
        strategy: { type: 'string', multiple: true, default: [] },
        parameters: { type: 'string', multiple: true, default: [] },
      },
    });
    const speed = values.speed === 'max' ? null : Number(values.speed);
    const limit = values.limit === undefined ? null : Number(values.limit);
    if (speed !== null && !(speed > 0)) return null;
    if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0)) return null;
    const { json, keep = null, kms, strategy: strategies, parameters } = values;
    if (kms !== 'simulator' && kms !== 'none') return null;
    const s3 = readBucket(values.s3, values['s3-ca']);
    if (s3 === undefined || (s3 === 'simulator' && kms === 'none')) return null;
    // Requests to a bucket are dated, and what is in it stays.
    const stays = s3 === null || s3 === 'folder';
    const clock = values.clock ?? (stays ? 'moved' : 'machine');
    if (clock !== 'machine' && (clock !== 'moved' || !stays)) return null;
    return { json, speed, limit, keep, kms, s3, clock, strategies, parameters };
  } catch {
    return null;
  }
}

/** Undefined when it is none of the four. */
function readBucket(text: string, ca: string | undefined): DemoOptions['s3'] | undefined {
  if (text === 'none') return null;
  if (text === 'simulator' || text === 'folder') return text;
  return parseBucketUrl(text, ca === undefined ? null : resolve(ca)) ?? undefined;
}

/** None when the options are wrong, which was said. */
async function readStrategies(
  { strategies, parameters, json }: DemoOptions,
  io: CommandIo,
): Promise<readonly ApplianceStrategy[]> {
  const read = await demoStrategies(strategies, parameters);
  if (read.ok) return read.value;
  explain(io, read.refusal, { json, exit: 2 });
  return [];
}

function simulated(
  appliance: Appliance,
  sockets: string,
  measurements: string,
  clock: string | null,
): readonly [string, ...string[]] {
  const options = [
    ['--transport', `unix:${sockets}`],
    ['--measured', appliance.measured],
    ['--measurements', measurements],
    ['--roots', appliance.roots],
    ['--root', join(appliance.directory, 'aws')],
    ...(clock === null ? [] : [['--clock', clock]]),
  ];
  return [process.execPath, join(ROOT, 'simulator/main.ts'), ...options.flat()];
}

async function startCloud(
  aws: SimulatedAws,
  appliance: Appliance,
  commandOf: DemoCloud['commandOf'],
): Promise<DemoCloud> {
  await aws.start(appliance);
  return { aws, sealed: await aws.seal(appliance), commandOf };
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const options = readOptions(args);
  if (options === null) {
    io.stderr(USAGE);
    return 2;
  }
  const [first, ...others] = await readStrategies(options, io);
  if (first === undefined) return 2;
  const { s3 } = options;
  const isPlace = s3 !== null && typeof s3 !== 'string';
  const asked: Result<DemoBucket | null> = isPlace ? await bucketAt(s3, io) : accept(null);
  if (!asked.ok) return explain(io, asked.refusal, { json: options.json, exit: 2 });
  // Unix sockets have short paths, so they never go into --keep DIR.
  const temporary = await mkdtemp(join(tmpdir(), 'trackseal-'));
  const directory = options.keep === null ? join(temporary, 'demo') : resolve(options.keep);
  const sockets = join(temporary, 's');
  await mkdir(directory, { recursive: true });
  let aws: SimulatedAws | null = null;
  let trader: DemoTrader | null = null;
  // It stays with DIR, whose configuration names it; by then it has the machine's time.
  const clockFile = options.clock === 'moved' ? join(directory, 'clock') : null;
  const clock = clockFile === null ? null : MovedClock.create(clockFile);
  const unfollow = clock?.follow();
  try {
    if (!options.json) {
      io.stderr('1. Preparing: image measurements, strategy commitment, keys, sealing\n');
    }
    aws = options.kms === 'none' ? null : await SimulatedAws.open(directory, s3 === 'simulator');
    trader = await DemoTrader.open(directory, clock);
    const database = aws === null ? null : await prepareDatabase(directory);
    const appliance = await prepareAppliance({
      ...first,
      directory,
      others,
      instruments: [INSTRUMENT],
      anchorMs: 5000,
      exchanges: trader.measured,
      ...(aws === null ? {} : { cloud: aws.appliance }),
      ...(database === null ? {} : { database }),
    });
    const commandOf: DemoCloud['commandOf'] = (measurements) =>
      simulated(appliance, sockets, measurements, clockFile);
    const cloud = aws === null ? null : await startCloud(aws, appliance, commandOf);
    const stage = {
      appliance,
      transport: `unix:${sockets}`,
      command: commandOf(appliance.measurements),
      readyMs: READY_TIMEOUT_MS,
      timeoutMs: CHALLENGE_TIMEOUT_MS,
      refusedAs: null,
      showOutput: false,
      cloud,
      trader,
      database,
      bucket: s3 === 'folder' ? folderBucket(directory) : (asked.value ?? aws?.bucket ?? null),
    };
    return await runDemo(stage, { ...options, keep: options.keep !== null }, io);
  } finally {
    await Promise.all([aws?.close(), trader?.close()]);
    unfollow?.();
    await rm(temporary, { recursive: true, force: true });
  }
}
