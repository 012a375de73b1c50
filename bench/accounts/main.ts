// npm run bench:accounts: so many accounts polled on schedule by the desk's own code, with real connector processes (ccxt) and
// TLS to the simulated exchange, which runs in a process beside. The figures: lateness of polls, missed ones, calls,
// processor time, memory over time, and fills counted against the exchange's ledger. --quick ends when each of ten accounts was
// polled, and one of them on schedule: that it runs, which test/bench asks. --json: figures on stdout, the text on stderr.

import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryUsage, stderr, stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import type { Account } from '../../enclave/desk/accounts.ts';
import { Http } from '../../enclave/desk/http.ts';
import type { PollingOptions } from '../../enclave/desk/polling-options.ts';
import { AccountPolling } from '../../enclave/desk/polling.ts';
import { dueMs } from '../../enclave/desk/schedule.ts';
import { nodeTime } from '../../enclave/desk/time.ts';
import { rulesFor } from '../../enclave/desk/venues.ts';
import type { Egress } from '../../enclave/egress.ts';
import { createGuard } from '../../enclave/fatal.ts';
import { toHex } from '../../wire/bytes.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { OUTCOME } from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import { assertAccepted } from '../../wire/result.ts';
import { threadTimes } from '../process-usage.ts';
import { quantilesOf } from '../quantiles.ts';
import { ConnectorProcesses } from './connector-processes.ts';
import type { ExchangeReady, OpenedAccount } from './exchange-process.ts';
import { isScheduled, lateness, ran, secondsAt } from './lateness.ts';
import type { TimedPoll } from './lateness.ts';

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '1000' },
    minutes: { type: 'string', default: '16' },
    interval: { type: 'string', default: '300' },
    connectors: { type: 'string', default: '4' },
    // Of ten accounts. One address may ask Binance for some 500 with a pair each in five minutes (docs/POLLING.md).
    mix: { type: 'string', default: 'binance=1,bybit=3,kraken=3,coinbase=3' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const { quick } = values;
// All venues of the mix. The interval leaves each poll half a minute, on a busy machine too; the minutes are reached only
// when polls do not succeed.
const QUICK = { accounts: '10', minutes: '3', interval: '60', connectors: '2' };
const size = { ...values, ...(quick ? QUICK : {}) };
const [count, minutes, intervalS, connectors] = [
  size.accounts,
  size.minutes,
  size.interval,
  size.connectors,
].map(Number) as [number, number, number, number];
const MIB = 1024 * 1024;
const SAMPLE_MS: number = quick ? 500 : 5000;
const SAMPLES_A_MINUTE: number = 60_000 / SAMPLE_MS;
const FOLDER = mkdtempSync(join(tmpdir(), 'trackseal-accounts-'));

function accountOf(opened: OpenedAccount): Account {
  return {
    id: toHex(randomBytes(16)),
    commitment: randomBytes(32),
    userTag: new Uint8Array(32),
    venue: opened.venue,
    label: 'bench',
    accountType: 'spot',
    environment: 'live',
    symbols: [],
    allowTrading: true,
    credentials: {
      apiKey: Buffer.from(opened.api_key),
      secret: Buffer.from(opened.secret),
      passphrase: opened.passphrase === null ? null : Buffer.from(opened.passphrase),
    },
    createdNs: BigInt(Date.now()) * 1_000_000n,
    source: 'session',
  };
}

const line = (text: string): void => {
  (values.json ? stderr : stdout).write(`${text}\n`);
};
const ms = (ns: bigint): number => Number(ns / 1_000_000n);
const exchange = fork(join(import.meta.dirname, 'exchange-process.ts'), [
  String(count),
  values.mix,
]);
const [ready] = (await once(exchange, 'message')) as [ExchangeReady];
const processes = new ConnectorProcesses(FOLDER);
await processes.listen();
const egress = {
  tlsNameOf: (host: string) => host,
  connect: async (host: string) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: ready.port,
      servername: host,
      ca: ready.ca,
      ALPNProtocols: ['http/1.1'],
    });
    await once(socket, 'secureConnect');
    return socket;
  },
} as unknown as Egress;
const polls: TimedPoll[] = [];
let leafBytes = 0;
let stateBytes = 0;
const guard = createGuard((code) => {
  stderr.write(`the desk ended: ${code}\n`);
  process.exit(1);
});
const intervalMs = intervalS * 1000;
const accounts = ready.accounts.map(accountOf);
const byCommitment = new Map(accounts.map((account) => [toHex(account.commitment), account]));

/** Of what the venue counts for our address, where it counts that in several ways the most. */
function ofAddress(calls: ExchangePoll['calls']): number {
  const sums = new Map<string, number>();
  for (const { host, path, weight } of calls) {
    for (const { name, scope, unit } of rulesFor(host, path)) {
      if (scope === 'address')
        sums.set(name, (sums.get(name) ?? 0) + (unit === 'call' ? 1 : Number(weight)));
    }
  }
  return Math.max(0, ...sums.values());
}

const polled = new Set<string>();
let isScheduleKept = false;

function timed(poll: ExchangePoll): TimedPoll {
  const { venue, trigger, outcome, calls, refusal } = poll;
  const scheduledMs = ms(poll.scheduledNs);
  const id = byCommitment.get(toHex(poll.accountCommitment))?.id ?? '';
  return {
    venue,
    trigger,
    outcome,
    dueMs: isScheduled(poll) ? dueMs(scheduledMs, intervalMs, id) : scheduledMs,
    startedMs: ms(poll.startedNs),
    endedMs: ms(poll.endedNs),
    refusal: refusal ?? '',
    calls: calls.length,
    weight: ofAddress(calls),
  };
}

function take(poll: ExchangePoll): void {
  polls.push(timed(poll));
  if (poll.outcome !== OUTCOME.complete) return;
  polled.add(toHex(poll.accountCommitment));
  if (isScheduled(poll)) isScheduleKept = true;
}

const services = {
  append: (_: number, plaintext: Uint8Array) => {
    leafBytes += plaintext.length;
    take(assertAccepted(parseExchangePoll(plaintext)));
    return Promise.resolve({ index: polls.length, salt: plaintext, hash: plaintext });
  },
  configuration: { strategies: [], desk: { polling_ms: intervalMs } },
  egress,
  guard,
  isReady: () => true,
  logStalled: () => false,
  nowMs: () => Date.now(),
  nowNs: () => BigInt(Date.now()) * 1_000_000n,
  onOutput: () => undefined,
  spawnConnector: () => processes.spawn(),
} as unknown as PollingOptions['services'];
const http = new Http(egress);
const polling = new AccountPolling({
  services,
  time: nodeTime(() => Date.now()),
  http,
  connectors,
});
polling.onState((_, state) => {
  stateBytes = Math.max(stateBytes, state.length);
});

const before = threadTimes(process.pid);
const startMs = Date.now();
for (const account of accounts) polling.add(account, null);
const samples: { readonly desk: number; readonly connectors: number }[] = [];
const isOver = (): boolean =>
  Date.now() - startMs >= minutes * 60_000 || (quick && isScheduleKept && polled.size === count);
while (!isOver()) {
  await sleep(SAMPLE_MS);
  processes.cpuMs();
  samples.push({ desk: memoryUsage().rss, connectors: processes.residentBytes() });
  if (samples.length % SAMPLES_A_MINUTE === 0) {
    const {
      polls_complete: complete,
      polls_missed: missed,
      polls_waiting: waiting,
    } = polling.counters;
    stderr.write(
      `${samples.length / SAMPLES_A_MINUTE} min: ${complete} complete, ${missed} missed, ${waiting} wait\n`,
    );
  }
}
const used = threadTimes(process.pid);
const elapsedMs = Date.now() - startMs;

const scheduled = polls.filter(isScheduled);
const begun = ran(scheduled);
const late = begun.map((poll) => poll.startedMs - poll.dueMs);
const took = begun.map((poll) => poll.endedMs - poll.startedMs);
const counters = polling.counters;
const peak = (part: readonly (typeof samples)[number][], name: 'connectors' | 'desk'): string =>
  (Math.max(0, ...part.map((sample) => sample[name])) / MIB).toFixed(0);
const highest = (name: 'connectors' | 'desk'): number =>
  Math.max(0, ...samples.map((sample) => sample[name]));
const thirds = [0, 1, 2].map((third) =>
  samples.slice((samples.length * third) / 3, (samples.length * (third + 1)) / 3),
);
exchange.send('ledger');
const [ledgerFills] = (await once(exchange, 'message')) as [number];
const counted = accounts.reduce((sum, { id }) => sum + (polling.figures(id)?.trades ?? 0), 0);
const made = Math.max(1, ran(polls).length);
const cpuMs = used.mainMs + used.othersMs - before.mainMs - before.othersMs;

line(
  `accounts ${count}, interval ${intervalS} s, connectors ${connectors}, of ten ${values.mix}, ${(elapsedMs / 60_000).toFixed(1)} min, ${availableParallelism()} cores`,
);
line(
  `polls     scheduled ${scheduled.length}, missed ${scheduled.length - begun.length}; all: complete ${counters['polls_complete']}, partial ${counters['polls_partial']}, failed ${counters['polls_failed']}`,
);
line(
  `late      p50 ${secondsAt(late, 0.5)} s, p99 ${secondsAt(late, 0.99)} s, most ${secondsAt(late, 1)} s`,
);
line(`took      p50 ${secondsAt(took, 0.5)} s, p99 ${secondsAt(took, 0.99)} s`);
for (const text of lateness(polls, startMs)) line(text);
line(
  `calls     ${counters['poll_calls']}, ${((counters['poll_calls'] ?? 0) / (elapsedMs / 1000)).toFixed(1)} a second; connections reused ${counters['http_reused']}; limiter waits ${counters['limiter_waits']}, deferred ${counters['limiter_deferred']}`,
);
line(
  `desk      ${((100 * cpuMs) / elapsedMs).toFixed(0)} % of a core, ${(cpuMs / made).toFixed(0)} ms a poll; resident, by thirds of the run: ${thirds.map((part) => peak(part, 'desk')).join(', ')} MiB (with the benchmark's own)`,
);
line(
  `connectors started ${counters['connectors_started']}, recycled ${counters['connectors_recycled']}; ${(processes.cpuMs() / made).toFixed(0)} ms a poll; resident together: ${thirds.map((part) => peak(part, 'connectors')).join(', ')} MiB`,
);
line(`log       ${(leafBytes / MIB).toFixed(1)} MiB of leaves; largest state ${stateBytes} bytes`);
line(
  `fills     counted ${counted} of ${ledgerFills} in the ledger (those since an account's last poll are to come)`,
);
if (values.json) {
  const { polls_complete: complete, polls_partial: partial, polls_failed: failed } = counters;
  const report = {
    accounts: count,
    polled: polled.size,
    scheduled: scheduled.length,
    missed: scheduled.length - begun.length,
    complete,
    partial,
    failed,
    late_ms: quantilesOf(late),
    took_ms: quantilesOf(took),
    calls: counters['poll_calls'],
    connectors_started: counters['connectors_started'],
    desk_cpu_ms: cpuMs,
    desk_bytes: highest('desk'),
    connectors_cpu_ms: processes.cpuMs(),
    connectors_bytes: highest('connectors'),
    leaf_bytes: leafBytes,
    state_bytes: stateBytes,
    fills: { counted, ledger: ledgerFills },
  };
  stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
await polling.close();
http.close();
processes.stop();
exchange.disconnect();
rmSync(FOLDER, { recursive: true, force: true });
