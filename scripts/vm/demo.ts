// `make vm`: the demo with the image itself, booted in an emulated Nitro Enclave: kernel, init, vsock, /dev/nsm and
// its PCRs are those of a real one. The emulated NSM does not sign, so a verifier has to refuse its documents;
// everything else is checked as in the demo, and the summary tells the two apart.

import { access, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import type { CommandIo } from '../../verifier/io.ts';
import { parseHex } from '../../wire/bytes.ts';
import { prepareAppliance } from '../appliance.ts';
import { ROOT } from '../bundle.ts';
import { INSTRUMENT } from '../demo.ts';
import { runDemo } from '../demo-run.ts';
import { demoStrategies } from '../demo-strategies.ts';
import { CommandFailed } from './command.ts';
import { enclaveCommand } from './enclave-command.ts';
import { openMachine } from './machine.ts';
import { Unavailable } from './packages.ts';

const USAGE = `usage: node scripts/vm/demo.ts [--image FILE] [--measurements FILE] [--limit EVENTS] [--speed N|max]
                               [--keep DIR] [--verbose] [--json]

  --image FILE         default: build/trackseal.eif (make eif)
  --measurements FILE  default: build/measurements.json
  --limit EVENTS       default: 20000; the emulation is slow
  --speed N|max        how much faster than real time; default: max
  --keep DIR           work in DIR and leave everything there, the console in console.log
  --verbose            show the console of the enclave
  --json               the summary as JSON on stdout

Exit codes: 0 everything held, 1 something was refused, 2 could not run.
`;

const READY_MS = 300_000;
const CHALLENGE_TIMEOUT_MS = 120_000;
/** No algorithm that a signature could have: \`alg\` is -1. */
const UNSIGNED_CODE = 'cose_algorithm';

interface VmDemoOptions {
  readonly image: string;
  readonly measurements: string;
  readonly limit: number;
  readonly speed: number | null;
  readonly keep: string | null;
  readonly verbose: boolean;
  readonly json: boolean;
}

function readOptions(args: readonly string[]): VmDemoOptions | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        image: { type: 'string', default: join(ROOT, 'build/trackseal.eif') },
        measurements: { type: 'string', default: join(ROOT, 'build/measurements.json') },
        limit: { type: 'string', default: '20000' },
        speed: { type: 'string', default: 'max' },
        keep: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const limit = Number(values.limit);
    const speed = values.speed === 'max' ? null : Number(values.speed);
    if (!Number.isSafeInteger(limit) || limit <= 0) return null;
    if (speed !== null && !(speed > 0)) return null;
    const { keep = null, verbose, json } = values;
    const [image, measurements] = [resolve(values.image), resolve(values.measurements)];
    return { image, measurements, limit, speed, keep, verbose, json };
  } catch {
    return null;
  }
}

async function runVm(
  options: VmDemoOptions,
  directory: string,
  sockets: string,
  io: CommandIo,
): Promise<number> {
  if (!options.json) io.stderr('1. Preparing: the image, its strategy, keys\n');
  await mkdir(sockets, { recursive: true });
  const [strategies, salt] = [await demoStrategies([], []), await readSalt()];
  if (!strategies.ok) throw new Error(`the example strategy: ${strategies.refusal.code}`);
  const [strategy] = strategies.value;
  if (strategy === undefined) throw new Error('no example strategy');
  const appliance = await prepareAppliance({
    ...strategy,
    salt,
    directory,
    instruments: [INSTRUMENT],
    anchorMs: 5000,
    image: options.measurements,
  });
  const vsock = join(sockets, 'v');
  const console = options.verbose ? null : join(directory, 'console.log');
  const stage = {
    appliance,
    transport: `hvsock:${vsock}`,
    command: enclaveCommand(options.image, vsock, console),
    readyMs: READY_MS,
    timeoutMs: CHALLENGE_TIMEOUT_MS,
    refusedAs: UNSIGNED_CODE,
    showOutput: options.verbose,
  };
  const { json, speed, limit, keep } = options;
  return runDemo(stage, { json, speed, limit, keep: keep !== null }, io);
}

/** With which the example strategy's commitment in the image was made. */
async function readSalt(): Promise<Uint8Array> {
  const text = await readFile(join(ROOT, 'strategies/order-flow.salt'), 'utf8');
  const salt = parseHex(text.trim());
  if (salt === null) throw new Error('strategies/order-flow.salt is not hex');
  return salt;
}

async function main(args: readonly string[]): Promise<number> {
  const io: CommandIo = {
    stdout: (text) => {
      stdout.write(text);
    },
    stderr: (text) => {
      stderr.write(text);
    },
    isTerminal: stderr.isTTY,
    env: process.env,
  };
  const options = args.includes('--help') ? null : readOptions(args);
  if (options === null) {
    (args.includes('--help') ? io.stdout : io.stderr)(USAGE);
    return args.includes('--help') ? 0 : 2;
  }
  // Sockets have short paths.
  const temporary = await mkdtemp(join(tmpdir(), 'trackseal-'));
  try {
    for (const path of [options.image, options.measurements]) await access(path);
    await openMachine((line) => {
      io.stderr(`${line}\n`);
    });
    const directory = options.keep === null ? join(temporary, 'vm') : resolve(options.keep);
    await mkdir(directory, { recursive: true });
    return await runVm(options, directory, join(temporary, 's'), io);
  } catch (error) {
    if (error instanceof Unavailable || error instanceof CommandFailed) {
      io.stderr(`${error.message}\n`);
      return 2;
    }
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      io.stderr(`${error.message}\n  next  make eif\n`);
      return 2;
    }
    throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
