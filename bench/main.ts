// npm run bench: the whole path, its latency, the log alone and verifying, as ratios against a JSON baseline
// in the same run; the track record against a ledger of floating point, and gRPC through the boundary. Machines differ and are noisy: the ratios are what to compare.

import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { readEvents } from './events.ts';
import { benchLog } from './log-alone.ts';
import { measureGrpc } from './grpc/measure.ts';
import { grpcGoals, renderGrpc } from './grpc/report.ts';
import { measureLatency, measureLeased, measurePath, measureVerifying } from './measure.ts';
import { hotspots } from './profile.ts';
import type { BenchReport, Goal } from './report.ts';
import { measureProxy } from './proxy/measure.ts';
import { proxyGoals, renderProxy } from './proxy/report.ts';
import { goalsOf, render, renderGoals } from './report.ts';
import type { Sizes } from './sizes.ts';
import { fullSizes, QUICK, SMALLEST } from './sizes.ts';
import { measureTrack } from './track/measure.ts';
import { renderTrack, trackGoals } from './track/report.ts';

const USAGE = `usage: npm run bench -- [--json] [--repeat N] [--rows N] [--turns N] [--rate N] [--put-delay MS] [--proxy] [--track] [--grpc] [--profile DIR] [--quick] [--smallest]

  --repeat N     how often the capture (163,074 events) is replayed in one turn; default 6
  --rows N       events in a batch; default 512
  --turns N      turns, of which the median counts; default 3
  --rate N       events a second of the latency measurement; default 50000
  --put-delay MS added to each PUT of the simulated S3; default 20
  --proxy        only the way out: host egress, socat (Debian's package, or TRACKSEAL_SOCAT) and a relay of Node
  --track        only the track record: a year of fills to hourly returns, against a ledger of floating point
  --grpc         only gRPC through the boundary, and the opening of sealed credentials
  --profile DIR  processor profiles of host and enclave (Chrome's format) of the last turn
  --quick        one turn of the capture: shows that it runs, not how fast it is
  --smallest     only that every part runs to its end, as test/bench asks
  --json         the report as JSON
`;

const HOTSPOTS = 15;
/** Events a second under policy s3, where waiting is what is measured. */
const LEASED_RATE = 20_000;

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    repeat: { type: 'string', default: '6' },
    rows: { type: 'string', default: '512' },
    turns: { type: 'string', default: '3' },
    rate: { type: 'string', default: '50000' },
    'put-delay': { type: 'string', default: '20' },
    profile: { type: 'string' },
    proxy: { type: 'boolean', default: false },
    track: { type: 'boolean', default: false },
    grpc: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    smallest: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function step(number: number, what: string): void {
  stderr.write(`[${String(number)}/8] ${what}\n`);
}

function sizesOf(): Sizes {
  if (values.smallest) return SMALLEST;
  return values.quick ? QUICK : fullSizes(Number(values.repeat), Number(values.turns));
}

async function measure(sizes: Sizes): Promise<BenchReport> {
  const { tape, turns } = sizes;
  const profiles = values.profile === undefined ? null : resolve(values.profile);
  const events = await readEvents(tape.take);
  step(1, `whole path, ${String(turns)} turns`);
  const path = await measurePath(events, { tape, rows: Number(values.rows), turns, profiles });
  step(2, `latency at ${values.rate} events a second`);
  const latency = await measureLatency(events, Number(values.rate), tape);
  const putDelayMs = Number(values['put-delay']);
  step(3, `latency under policy s3, PUTs of ${putDelayMs} ms`);
  const leased = await measureLeased(LEASED_RATE, tape, putDelayMs);
  step(4, 'log alone');
  const log = benchLog(sizes.entries);
  step(5, 'verifying');
  const verified = await measureVerifying(events, tape);
  step(6, 'the way out');
  const proxy = await measureProxy(sizes.proxy);
  step(7, 'a year of an account, a million fills');
  const track = await measureTrack(sizes.track);
  step(8, 'gRPC through the boundary, opening credentials');
  const grpc = await measureGrpc(sizes.grpcCalls);
  return {
    node: process.version,
    cores: availableParallelism(),
    whole_path: path,
    latency,
    leased,
    log_alone: log,
    verifying: verified,
    proxy,
    track,
    grpc,
    hotspots:
      profiles === null
        ? null
        : {
            host: hotspots(join(profiles, 'host.cpuprofile'), HOTSPOTS),
            enclave: hotspots(join(profiles, 'enclave.cpuprofile'), HOTSPOTS),
          },
  };
}

/** One part alone. */
function write<Report extends object>(
  report: Report,
  goals: readonly Goal[],
  text: (report: Report) => string,
): void {
  stdout.write(
    values.json
      ? `${JSON.stringify({ ...report, goals }, null, 2)}\n`
      : [text(report), '', 'Goals:', ...renderGoals(goals), ''].join('\n'),
  );
}

const sizes = sizesOf();
if (values.help) stdout.write(USAGE);
else if (values.grpc) {
  const report = await measureGrpc(sizes.grpcCalls);
  write(report, grpcGoals(report), renderGrpc);
} else if (values.track) {
  const report = await measureTrack(sizes.track);
  write(report, trackGoals(report), renderTrack);
} else if (values.proxy) {
  const report = await measureProxy(sizes.proxy);
  write(report, proxyGoals(report), renderProxy);
} else {
  const report = await measure(sizes);
  const json = { ...report, goals: goalsOf(report) };
  stdout.write(values.json ? `${JSON.stringify(json, null, 2)}\n` : render(report));
}
