// The demo's trader and the exchange where they trade, both made up: `trackseal register` gives a read-only key to the
// enclave, the enclave polls the exchange over its own TLS, and what it says of the account is verified like
// anybody's. The exchange is simulated in this process; the host sees its names and nothing else.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as register } from '../client/commands/register.ts';
import { runSummary, runTrack } from '../client/commands/session.ts';
import type { AccountAnswer, LedgerAnswer } from '../simulator/exchange/control.ts';
import type { RunningExchange } from '../simulator/exchange/server.ts';
import { startExchange } from '../simulator/exchange/server.ts';
import type { MovedClock } from '../simulator/moved-clock.ts';
import { run as verifyResult } from '../verifier/commands/verify-result.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { MeasuredHost } from '../wire/manifest.ts';
import type { ResultSummary } from '../wire/result-summary.ts';
import { HOUR_MS } from '../wire/track/figures.ts';
import type { RecordDemo } from './demo-record.ts';
import { isSeen, proveRecord, readHours, showsAll } from './demo-record.ts';

const VENUE = 'bybit';
const HOST = 'api-testnet.bybit.com';
/** Tells what a USDT is worth in dollars. */
const RATES_HOST = 'api.kraken.com';
const MINUTE_MS = 60_000;
/** What the exchange shows of the time before the registration. */
const HISTORY_MINUTES = 1800;
/** No market was open, so nobody knows what anything was worth. */
const OUTAGE_MINUTES = { from: 280, to: 150 } as const;
/** Of the deposit in the middle. */
const DEPOSIT = '10000';
/** What the account is in, in dollars; and how often its prices are looked at. */
const HELD = ['BTC', 'ETH', 'USDT'] as const;
/** Of the account alone: not answered for a poll, so that it cannot tell everything, and prices go on. */
const REFUSED = '/v5/asset/withdraw/query-record';
/** A slot of the schedule, and what a poll may take. */
const OUTAGE_MS = 120_000;
/** The same, and another one for a poll that failed. */
const SEEN_MS = 150_000;
/** Signed hours of the history, in rounds of a day, and those that end when a poll has begun after them. */
const RECORDED_MS = 150_000;
const MIN_HOURS = 28;
/** For the first poll, on a slow machine. */
const POLLED_MS = 60_000;

export interface TraderSummary {
  readonly venue: string;
  readonly environment: string;
  /** Of `trackseal register`. */
  readonly registration: unknown;
  /** What the enclave signed; null when no poll was complete in time. */
  readonly result: ResultSummary | null;
  /** Of `trackseal verify result`. */
  readonly verdict: unknown;
  /** The exchange's own books, to compare with. */
  readonly ledger: LedgerAnswer;
  /** The same later, after a poll that was refused a part of it; null when there was none in time. */
  readonly outage: ResultSummary | null;
  /** Null when the hours were not signed in time. */
  readonly record: RecordDemo | null;
  /** Whether an hour passed in minutes: enclave, exchange and verifiers have a clock that was moved ahead to its begin and its end. */
  readonly clock_moved: boolean;
  readonly asExpected: boolean;
}

/** Who wants to know something of an enclave that runs at `url`. */
interface Visit {
  readonly url: string;
  /** The options by which a verifier takes the enclave's documents. */
  readonly trust: readonly string[];
  /** Folder for the session and the result. */
  readonly folder: string;
  readonly attestation: string;
}

interface Waiting extends Omit<Visit, 'url'> {
  /** Options of the trader's client. */
  readonly common: readonly string[];
}

interface Told {
  readonly summary: ResultSummary;
  readonly verdict: { readonly code: number; readonly said: unknown };
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

async function capture(
  run: Run,
  args: readonly string[],
  env: CommandIo['env'],
): Promise<{ readonly code: number; readonly said: unknown }> {
  let out = '';
  let err = '';
  const io: CommandIo = {
    stdout: (part) => {
      out += part;
    },
    stderr: (part) => {
      err += part;
    },
    env,
    isTerminal: false,
  };
  const code = await run([...args, '--json'], io);
  return { code, said: out === '' ? { stderr: err } : (JSON.parse(out) as unknown) };
}

export class DemoTrader {
  readonly #exchange: RunningExchange;
  readonly #keys: AccountAnswer;
  readonly #clock: MovedClock | null;

  private constructor(exchange: RunningExchange, keys: AccountAnswer, clock: MovedClock | null) {
    this.#exchange = exchange;
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * An account with more than a day behind it: a deposit, trades in two markets, another deposit in the middle, hours in which
   * the exchange was down, a withdrawal. The exchange's certificates are of the authority that `directory` has, which is the
   * simulated KMS's as well. `clock`: of the enclave and of this process; null where it is not to be moved.
   */
  static async open(directory: string, clock: MovedClock | null): Promise<DemoTrader> {
    const exchange = await startExchange({ folder: join(directory, 'aws', 'kms') });
    const { control } = exchange;
    const keys = control.account({ venue: VENUE, isSandbox: true, permissions: ['read'] });
    const { account } = keys;
    const nowMs = Date.now();
    const at = (minutesAgo: number): { timeMs: number } => ({
      timeMs: nowMs - minutesAgo * MINUTE_MS,
    });
    control.move({ isMoving: true });
    control.deposit({ account, currency: 'USDT', amount: '25000', ...at(HISTORY_MINUTES) });
    const trades = [
      ['BTC/USDT', 'buy', '60123.4', '0.05', 600],
      ['ETH/USDT', 'buy', '2612.57', '1.2', 480],
      ['BTC/USDT', 'sell', '60410.1', '0.02', 300],
      ['ETH/USDT', 'sell', '2620.03', '0.7', 45],
    ] as const;
    for (const [symbol, side, price, amount, minutes] of trades) {
      control.trade({ account, symbol, side, price, amount, ...at(minutes) });
    }
    control.deposit({ account, currency: 'USDT', amount: DEPOSIT, ...at(390) });
    const [fromMs, toMs] = [at(OUTAGE_MINUTES.from).timeMs, at(OUTAGE_MINUTES.to).timeMs];
    control.outage({ venue: VENUE, fromMs, toMs });
    control.withdraw({ account, currency: 'USDT', amount: '1500', fee: '1', ...at(20) });
    return new DemoTrader(exchange, keys, clock);
  }

  /** What the image has to measure to reach the exchange. */
  get measured(): { readonly hosts: readonly MeasuredHost[]; readonly roots: string } {
    const hosts = [HOST, RATES_HOST].map((host) => ({ host, port: 443 }));
    return { hosts, roots: this.#exchange.ca };
  }

  /** For the host's `egress.allow`. */
  get egress(): readonly {
    readonly host: string;
    readonly port: number;
    readonly address: string;
  }[] {
    const address = `127.0.0.1:${this.#exchange.port}`;
    return [HOST, RATES_HOST].map((host) => ({ host, port: 443, address }));
  }

  /** What must never be seen outside of the enclave. */
  get secrets(): readonly string[] {
    return [this.#keys.api_key, this.#keys.secret];
  }

  /** Registers, waits for polls and hours, and verifies what the enclave signed of them. */
  async prove({ url, trust, folder, attestation }: Visit): Promise<TraderSummary> {
    const session = join(folder, 'session.json');
    const env = {
      TRACKSEAL_API_KEY: this.#keys.api_key,
      TRACKSEAL_SECRET: this.#keys.secret,
    };
    const account = ['--user-id', 'demo-trader', '--exchange', VENUE, '--sandbox'];
    const common = [...trust, '--session', session];
    const registered = await capture(register, [url, ...account, ...common], env);
    const waiting = { trust, folder, attestation, common };
    const result =
      registered.code === 0
        ? await this.#waitForResult('result', waiting, POLLED_MS, ({ polls }) => polls.complete > 0)
        : null;
    const { control } = this.#exchange;
    const ledger = control.ledger({ account: this.#keys.account });
    const refused = control.fault({
      venue: VENUE,
      path: REFUSED,
      type: 'trouble',
      // Of this account alone, and it may pass: the poll is tried again before the next one.
      kind: 'invalid_nonce',
    });
    const outage =
      result === null
        ? null
        : await this.#waitForResult('outage', waiting, OUTAGE_MS, ({ gaps }) => gaps.length > 0);
    control.clear(refused);
    const passedMs = outage === null ? null : await this.#passHour(waiting, outage.summary);
    const record =
      result === null || outage === null
        ? null
        : await this.#record(waiting, result.summary, passedMs);
    return {
      venue: VENUE,
      environment: 'sandbox',
      registration: registered.said,
      result: result?.summary ?? null,
      verdict: result?.verdict.said ?? null,
      ledger,
      outage: outage?.summary ?? null,
      record,
      clock_moved: this.#clock !== null,
      asExpected:
        result?.verdict.code === 0 &&
        agrees(result.summary, ledger) &&
        outage?.verdict.code === 0 &&
        agrees(outage.summary, ledger) &&
        isGap(outage.summary) &&
        record !== null &&
        showsAll(record, this.#clock !== null),
    };
  }

  /** When the enclave is over: from now on it is the machine's time. */
  stopClock(): void {
    this.#clock?.stop();
  }

  close(): Promise<void> {
    return this.#exchange.close();
  }

  /**
   * Lets an hour begin and end while the account is polled: to the next full hour, a trade and a poll in it, and to the full
   * hour after it. The poll after that closes it. Each move is right behind a poll, when the next one is far. Gives its begin.
   */
  async #passHour(waiting: Waiting, before: ResultSummary): Promise<number | null> {
    const clock = this.#clock;
    if (clock === null) return null;
    const { control } = this.#exchange;
    const beginMs = nextHourOf(before);
    clock.moveTo(beginMs);
    const { price } = control.priceAt({ venue: VENUE, symbol: 'BTC/USDT', timeMs: Date.now() });
    const { account } = this.#keys;
    control.trade({ account, symbol: 'BTC/USDT', side: 'sell', price, amount: '0.01' });
    const isPolled = (summary: ResultSummary): boolean =>
      summary.polls.complete > before.polls.complete && hourOf(summary) >= beginMs;
    const within = await this.#waitForResult('within', waiting, SEEN_MS, isPolled);
    if (within === null) return beginMs;
    clock.moveTo(nextHourOf(within.summary));
    return hourOf(within.summary);
  }

  /** The signed hours of the account, that of `passedMs` among them, verified and as a report; null when they do not come in time. */
  async #record(
    { trust, folder, attestation, common }: Waiting,
    first: ResultSummary,
    passedMs: number | null,
  ): Promise<RecordDemo | null> {
    const file = join(folder, 'record.json');
    const untilMs = performance.now() + RECORDED_MS;
    const polledMs = asOfMs(first);
    const moveOf = (startMs: number): number => this.#moveOf(startMs);
    while (performance.now() < untilMs) {
      const { code } = await capture(runTrack, ['-o', file, ...common], {});
      const hours = code === 0 ? await readHours(file) : [];
      const isThere = hours.some((hour) => isSeen(hour) && hour.figures.startMs === passedMs);
      if (hours.length >= MIN_HOURS && (passedMs === null || isThere))
        return proveRecord({ file, attestation, trust, folder, moveOf, polledMs });
      await sleep(1000);
    }
    return null;
  }

  /** Of what the account may hold the one that went furthest, from its lowest price in dollars to its highest, minute by minute. */
  #moveOf(startMs: number): number {
    const { control } = this.#exchange;
    const priceAt = (venue: 'bybit' | 'kraken', symbol: string, timeMs: number): number =>
      Number(control.priceAt({ venue, symbol, timeMs }).price);
    const minutes = Array.from({ length: 62 }, (_, minute) => startMs + (minute - 1) * MINUTE_MS);
    const moves = HELD.map((asset) => {
      const prices = minutes.map((timeMs) => {
        const dollars = priceAt('kraken', 'USDT/USD', timeMs);
        return asset === 'USDT' ? dollars : dollars * priceAt(VENUE, `${asset}/USDT`, timeMs);
      });
      return Math.max(...prices) / Math.min(...prices) - 1;
    });
    return Math.max(...moves);
  }

  /** The signed summary, once it is so, and what `trackseal verify result` says of it; null when it is not in time. */
  async #waitForResult(
    name: string,
    { trust, folder, attestation, common }: Waiting,
    timeoutMs: number,
    isThere: (summary: ResultSummary) => boolean,
  ): Promise<Told | null> {
    const file = join(folder, `${name}.json`);
    const untilMs = performance.now() + timeoutMs;
    while (performance.now() < untilMs) {
      const { code } = await capture(runSummary, ['-o', file, ...common], {});
      if (code === 0) {
        const { summary } = JSON.parse(await readFile(file, 'utf8')) as { summary: ResultSummary };
        if (isThere(summary)) {
          const args = [file, '--attestation', attestation, ...trust];
          return { summary, verdict: await capture(verifyResult, args, {}) };
        }
      }
      await sleep(500);
    }
    return null;
  }
}

function asOfMs({ as_of_ns: asOfNs }: ResultSummary): number {
  return Number(BigInt(asOfNs) / 1_000_000n);
}

/** In which the last poll ended. */
function hourOf(summary: ResultSummary): number {
  const atMs = asOfMs(summary);
  return atMs - (atMs % HOUR_MS);
}

function nextHourOf(summary: ResultSummary): number {
  return hourOf(summary) + HOUR_MS;
}

/** A poll that failed is a gap with its time and a reason, and takes nothing from what was told before. */
function isGap({ polls, gaps }: ResultSummary): boolean {
  const failed = polls.failed + polls.partial + polls.missed;
  return failed > 0 && gaps.length > 0 && gaps.every(({ from_ms, to_ms }) => from_ms < to_ms);
}

function isSame(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(left).filter((name) => left[name] !== '0');
  return (
    names.length === Object.keys(right).length && names.every((name) => left[name] === right[name])
  );
}

/** To the last digit. */
function agrees({ trades, volume, fees }: ResultSummary, ledger: LedgerAnswer): boolean {
  return trades === ledger.fills && isSame(volume, ledger.volume) && isSame(fees, ledger.fees);
}
