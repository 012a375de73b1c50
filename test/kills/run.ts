// One appliance that is killed again and again: a host is started, or goes on, a point is waited for, the
// processes that it names get SIGKILL, and the next host has to make sense of what is left. A last host
// runs to a clean end, and then everything is compared.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Appliance } from '../../scripts/appliance.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { HostOptions, Place } from '../e2e/appliance.ts';
import { newAppliance, newPlace, stateOf, TestHost } from '../e2e/appliance.ts';
import { childrenOf, descendantsOf, isRunning, waitFor } from '../e2e/processes.ts';
import { checkPromises } from './check.ts';
import type { Draw, Moment, Point } from './plan.ts';
import { describePoint, drawMoment, drawPoint } from './plan.ts';
import { arm } from './trigger.ts';

/** A point that does not come within this is drawn again. */
const POINT_MS = 30_000;
const LAST_EVENTS = 3000;
/** Nearly as long as an order lives: there is one open at most kills. */
const SLOW_LATENCY_MS = 700;
/** An epoch of a test comes to many segments, and loses them as it runs. */
export const SMALL_SEGMENTS = { disk: { spool_segment_bytes: 65_536 } } as const;
/** The example strategy, trading on any pressure. */
const EAGER = {
  entry_impact: 1,
  exit_impact: 1,
  entry_lean: 0,
  cooldown_ms: 1,
  hold_ms: 100,
  ttl_ms: 1000,
};

export interface RunResult {
  readonly kills: readonly Point[];
  /** Kills that left a spool without its begin. */
  readonly trimmed: number;
  /** Points that never came: the host had ended before. */
  readonly missed: number;
  readonly epochs: number;
  readonly releases: number;
  readonly findings: readonly string[];
}

export class KillRun {
  readonly #appliance: Appliance;
  readonly #place: Place;
  readonly #draw: Draw;
  readonly #onKill: (point: Point) => void;
  readonly #kills: Point[] = [];
  readonly #findings: string[] = [];
  readonly #hostOptions: HostOptions;
  #host: TestHost | null = null;
  #missed = 0;
  #trimmed = 0;

  private constructor(
    appliance: Appliance,
    place: Place,
    draw: Draw,
    onKill: (point: Point) => void,
  ) {
    this.#appliance = appliance;
    this.#place = place;
    this.#draw = draw;
    this.#onKill = onKill;
    const slow = draw(0, 1) === 1;
    this.#hostOptions = {
      speed: null,
      closeRows: [2, 8, 32][draw(0, 2)] ?? 8,
      latencyMs: slow ? SLOW_LATENCY_MS : 5,
      more: SMALL_SEGMENTS,
    };
  }

  static async open(
    directory: string,
    draw: Draw,
    onKill: (point: Point) => void,
  ): Promise<KillRun> {
    const appliance = await newAppliance(directory, EAGER);
    commitOften(appliance);
    const place = await newPlace();
    place.tap.keepBytes = false;
    mkdirSync(join(stateOf(appliance), 'spool'), { recursive: true });
    mkdirSync(join(appliance.logDirectory, 'tmp'), { recursive: true });
    return new KillRun(appliance, place, draw, onKill);
  }

  /** Kills `points` times, lets a last host finish, and compares. */
  async run(points: number): Promise<RunResult> {
    while (this.#kills.length < points && this.#findings.length === 0) {
      for (const moment of this.#nextMoments()) await this.#killAt(moment);
    }
    await this.#endHost();
    if (this.#findings.length === 0) await this.#finish();
    if (this.#findings.length === 0) {
      this.#findings.push(...(await checkPromises(this.#appliance, this.#place.tap)));
    }
    return {
      kills: this.#kills,
      trimmed: this.#trimmed,
      missed: this.#missed,
      epochs: this.#place.tap.epoch,
      releases: this.#place.tap.releases.length,
      findings: this.#findings,
    };
  }

  /** A recovery needs something to recover, and is killed twice in a row. */
  #nextMoments(): readonly Moment[] {
    const moment = drawMoment(this.#draw);
    if (moment !== 'recovery') return [moment];
    const spools = readdirSync(join(stateOf(this.#appliance), 'spool'));
    return [...(spools.length === 0 ? (['commit'] as const) : []), 'recovery', 'recovery'];
  }

  async #killAt(moment: Moment): Promise<void> {
    if (moment === 'recovery') await this.#endHost();
    let point = drawPoint(moment, this.#draw);
    if (moment === 'recovery') point = { ...point, target: 'host' };
    const { tap } = this.#place;
    const tmp = join(this.#appliance.logDirectory, 'tmp');
    const hadHost = this.#host !== null;
    let killed: readonly number[] = [];
    const armed = arm(point, tap, { tmp, state: stateOf(this.#appliance) }, () => {
      killed = this.#kill(point);
    });
    if (moment === 'close' && hadHost) await this.#endHost();
    const host = this.#host ?? this.#startHost();
    if (moment === 'close') void this.#closeLater(host);
    const ended = host.process.ended.then(() => sleep(100, 'ended' as const));
    const timeout = new AbortController();
    const late = sleep(POINT_MS, 'late' as const, { signal: timeout.signal }).catch(() => 'late');
    const first = await Promise.race([armed.fired, ended, late]);
    timeout.abort();
    armed.disarm();
    if (first !== null || killed.length === 0) {
      this.#missed++;
      if (first === 'late') this.#find(point, 'neither came nor ended');
      await this.#endHost();
      return;
    }
    this.#kills.push(point);
    if (hasTrimmedSpool(stateOf(this.#appliance))) this.#trimmed++;
    this.#onKill(point);
    await waitFor('what was killed to end', () => !killed.some((pid) => isRunning(pid)));
    if (point.target === 'strategy') await sleep(this.#draw(0, 300));
    if (!killed.includes(host.process.pid)) await this.#afterEnclave(host, point);
    else this.#host = null;
  }

  #startHost(): TestHost {
    const restart = this.#draw(0, 1) === 1;
    this.#host = TestHost.start(this.#appliance, this.#place, { ...this.#hostOptions, restart });
    return this.#host;
  }

  async #closeLater(host: TestHost): Promise<void> {
    const afterMs = this.#draw(200, 1500);
    await host.waitForEvent('enclave_ready').catch(() => null);
    await sleep(afterMs);
    host.process.signal('SIGTERM');
  }

  /** Kills at once; answers all that must be gone after it. */
  #kill({ target }: Point): readonly number[] {
    const host = this.#host?.process;
    if (host === undefined || host.end !== null) return [];
    const left = descendantsOf(host.pid);
    const [enclave] = childrenOf(host.pid);
    const strategies = left.filter((pid) => pid !== enclave);
    if (target === 'host' || target === 'both') {
      if (target === 'both' && enclave !== undefined) process.kill(enclave, 'SIGKILL');
      process.kill(host.pid, 'SIGKILL');
      return [host.pid, ...left];
    }
    const victims = target === 'enclave' ? [enclave] : strategies;
    for (const pid of victims) if (pid !== undefined) process.kill(pid, 'SIGKILL');
    return target === 'enclave' && enclave !== undefined ? left : strategies;
  }

  /** A host whose enclave is gone ends, or starts the next one. */
  async #afterEnclave(host: TestHost, point: Point): Promise<void> {
    if (this.#draw(0, 1) === 1 || point.moment === 'close') await this.#endHost();
    else await Promise.race([host.process.ended, sleep(this.#draw(0, 800))]);
    if (host.process.end !== null) await this.#endHost();
  }

  /** Asks a host that still runs to end, and looks at how it has ended. */
  async #endHost(): Promise<void> {
    const host = this.#host;
    this.#host = null;
    if (host === null) return;
    host.process.signal('SIGTERM');
    const { end } = await host.finish();
    const { stderr, stdout } = host.process;
    // Node itself ends by the signal before it runs our first line, and after our last one.
    const outside = end.signal === 'SIGTERM' && (stdout !== '' || !host.hasLogged);
    if ((end.code !== 0 && end.code !== 1 && !outside) || stderr !== '') {
      this.#findings.push(`a host ended with ${end.code ?? end.signal ?? ''}: ${stderr}`);
    }
  }

  async #finish(): Promise<void> {
    const options = { ...this.#hostOptions, limitEvents: LAST_EVENTS };
    const host = TestHost.start(this.#appliance, this.#place, options);
    const { end } = await host.finish();
    if (end.code !== 0) {
      this.#findings.push(`the last host ended with ${end.code ?? ''}: ${host.process.stderr}`);
    }
  }

  #find(point: Point, what: string): void {
    this.#findings.push(`${describePoint(point)}: ${what}`);
  }
}

/** Whether the spool of an epoch has lost its begin (epoch-start.ts). */
export function hasTrimmedSpool(state: string): boolean {
  const spool = join(state, 'spool');
  if (!existsSync(spool)) return false;
  return readdirSync(spool).some((epoch) => existsSync(join(spool, epoch, 'start')));
}

/** The smallest interval between commits, under the same policy. */
function commitOften({ configuration: path, policy: policyPath }: Appliance): void {
  if (!existsSync(path)) throw new Error('no configuration');
  const configuration = JSON.parse(readFileSync(path, 'utf8')) as Configuration;
  const bytes = canonicalJson({
    ...configuration,
    intervals: { ...configuration.intervals, commit_ms: 1 },
  });
  writeFileSync(path, bytes);
  const policy = JSON.parse(readFileSync(policyPath, 'utf8')) as object;
  const digest = toHex(nodeCrypto.sha256(bytes));
  writeFileSync(policyPath, JSON.stringify({ ...policy, config_digest: digest }, null, 2));
}
