// One appliance whose host is killed again and again while it ships: at a request to S3, before it is done,
// after it, or so that it is done only when the next host is already there; or at any time after the start.
// Each host cuts its groups of commits elsewhere. A last one runs to a clean end, and then the bucket is
// compared with the log folder.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Appliance } from '../../scripts/appliance.ts';
import type { Fault } from '../../simulator/s3/server.ts';
import type { HostOptions, Place } from '../e2e/appliance.ts';
import { newAppliance, newPlace, stateOf, TestHost } from '../e2e/appliance.ts';
import { descendantsOf, isRunning, waitFor } from '../e2e/processes.ts';
import { compareBucket, openBucket, shipTo } from '../e2e/ship-bucket.ts';
import { hasTrimmedSpool, SMALL_SEGMENTS } from '../kills/run.ts';
import type { TestS3 } from '../wire/node/objects/s3-server.ts';

/** A point that does not come within this is drawn again. */
const POINT_MS = 20_000;
const LAST_EVENTS = 2000;

/** Draws an integer from `low` to `high`. */
export type Draw = (low: number, high: number) => number;

export interface ShipPoint {
  readonly moment: 'request' | 'time';
  /** The n-th request from the start of the host, or milliseconds. */
  readonly count: number;
  /** What becomes of the request. */
  readonly request: 'not_done' | 'done' | 'late';
  /** Requests of the next host before a late one is done. */
  readonly lateness: number;
}

export function describePoint({ moment, count, request, lateness }: ShipPoint): string {
  if (moment === 'time') return `${count} ms after the start`;
  return `request ${count}, ${request}${request === 'late' ? ` by ${lateness}` : ''}`;
}

export interface ShipKillResult {
  readonly kills: number;
  /** Kills that left a spool without its begin. */
  readonly trimmed: number;
  /** The host had ended before. */
  readonly missed: number;
  readonly findings: readonly string[];
}

function drawPoint(draw: Draw): ShipPoint {
  const isRequest = draw(0, 9) > 0;
  return {
    moment: isRequest ? 'request' : 'time',
    count: isRequest ? draw(1, 120) : draw(0, 2500),
    request: (['not_done', 'done', 'late', 'late'] as const)[draw(0, 3)] ?? 'done',
    lateness: draw(1, 12),
  };
}

export class ShipKillRun {
  readonly #appliance: Appliance;
  readonly #place: Place;
  readonly #bucket: TestS3;
  readonly #draw: Draw;
  readonly #onKill: (point: ShipPoint) => void;
  /** Requests that came from a host that is gone. */
  readonly #late: { left: number; readonly go: () => void }[] = [];
  #kills = 0;
  #missed = 0;
  #trimmed = 0;

  private constructor(
    appliance: Appliance,
    place: Place,
    bucket: TestS3,
    draw: Draw,
    onKill: (point: ShipPoint) => void,
  ) {
    this.#appliance = appliance;
    this.#place = place;
    this.#bucket = bucket;
    this.#draw = draw;
    this.#onKill = onKill;
  }

  static async open(
    directory: string,
    draw: Draw,
    onKill: (point: ShipPoint) => void,
  ): Promise<ShipKillRun> {
    const appliance = await newAppliance(directory);
    const place = await newPlace();
    place.tap.keepBytes = false;
    return new ShipKillRun(appliance, place, await openBucket(), draw, onKill);
  }

  async run(kills: number): Promise<ShipKillResult> {
    while (this.#kills < kills) await this.#killOnce(drawPoint(this.#draw));
    const findings = await this.#finish();
    return { kills: this.#kills, missed: this.#missed, trimmed: this.#trimmed, findings };
  }

  #options(): HostOptions {
    const group_bytes = [1, 2048, 16_384, 1024 * 1024][this.#draw(0, 3)] ?? 1;
    const group_ms = [1, 30, 300][this.#draw(0, 2)] ?? 1;
    const more = SMALL_SEGMENTS;
    return { speed: null, closeRows: 8, more, ...shipTo(this.#bucket, { group_bytes, group_ms }) };
  }

  async #killOnce(point: ShipPoint): Promise<void> {
    // A short feed: some hosts are killed when their epoch is over, and its rest is shipped.
    const limitEvents = this.#draw(0, 1) === 1 ? this.#draw(50, 1500) : 100_000;
    const dead = Promise.withResolvers<readonly number[]>();
    let host: TestHost | null = null;
    let isDead = false;
    const kill = (): void => {
      if (isDead || host === null || host.process.end !== null) return;
      isDead = true;
      const left = descendantsOf(host.process.pid);
      process.kill(host.process.pid, 'SIGKILL');
      dead.resolve([host.process.pid, ...left]);
    };
    let requests = 0;
    this.#bucket.s3.setFault(async (): Promise<Fault | null> => {
      this.#arrive();
      requests++;
      if (point.moment !== 'request' || requests !== point.count) return null;
      kill();
      if (point.request === 'late') {
        await new Promise<void>((go) => this.#late.push({ left: point.lateness, go }));
      }
      return point.request === 'not_done' ? { type: 'drop' } : null;
    });
    host = TestHost.start(this.#appliance, this.#place, { ...this.#options(), limitEvents });
    const timeout = new AbortController();
    const timer = sleep(point.moment === 'time' ? point.count : POINT_MS, undefined, {
      signal: timeout.signal,
    })
      .then(kill)
      .catch(() => undefined);
    const killed = await Promise.race([dead.promise, host.process.ended.then(() => null)]);
    timeout.abort();
    await timer;
    await host.process.ended;
    if (killed === null) {
      this.#missed++;
      return;
    }
    this.#kills++;
    if (hasTrimmedSpool(stateOf(this.#appliance))) this.#trimmed++;
    this.#onKill(point);
    await waitFor('what was killed to end', () => !killed.some((pid) => isRunning(pid)));
  }

  /** Late requests come in between those of the hosts behind theirs. */
  #arrive(): void {
    for (const late of this.#late.splice(0)) {
      late.left--;
      if (late.left > 0) this.#late.push(late);
      else late.go();
    }
  }

  async #finish(): Promise<readonly string[]> {
    this.#bucket.s3.setFault(() => {
      this.#arrive();
      return null;
    });
    const options = { ...this.#options(), limitEvents: LAST_EVENTS };
    const host = TestHost.start(this.#appliance, this.#place, options);
    const { end } = await host.finish();
    for (const { go } of this.#late.splice(0)) go();
    const findings = host.events('ship_refused').map((event) => JSON.stringify(event));
    if (end.code !== 0) {
      findings.push(`the last host ended with ${end.code ?? ''}: ${host.process.stderr}`);
    }
    this.#bucket.s3.setFault(null);
    return [...findings, ...(await compareBucket(this.#bucket, this.#appliance))];
  }
}
