// The log of real processes to a simulated S3 that is away, slow, busy, and lies. Ten minutes of a market in
// some seconds: the feed is replayed faster, the store is not.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import type { Fault, FaultHook } from '../../simulator/s3/server.ts';
import { randomPicks } from '../helpers/random.ts';
import {
  newAppliance,
  newPlace,
  stateOf,
  TestHost,
  verifyLog,
  waitForStatus,
} from './appliance.ts';
import { residentBytes } from './memory.ts';
import { cleanUpAfterEach, temporaryFolder } from './processes.ts';
import { FolderStore } from '../../wire/node/objects/folder.ts';
import { compareBucket, compareStore, openBucket, shipTo } from './ship-bucket.ts';

cleanUpAfterEach();

const MIB = 1024 * 1024;
const MAX_UNSHIPPED_BYTES = 256 * 1024;
/** What the enclave may have in flight beyond it. */
const IN_FLIGHT_BYTES: number = 16 * MIB;
const AWAY: Fault = { type: 'drop' };

async function expectClean(host: TestHost, appliance: Appliance): Promise<void> {
  const { end } = await host.finish();
  expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
  const { code, json, stderr } = await verifyLog(appliance);
  expect([code, json['verdict'], json['end']], stderr).toEqual([0, 'verified', 'clean']);
}

/** Values of metrics without labels, as Prometheus would read them now. */
async function readMetrics(host: TestHost): Promise<(name: string) => number> {
  const { port } = await host.waitForEvent('metrics_listening');
  const answer = await fetch(`http://127.0.0.1:${Number(port)}/metrics`);
  const lines = (await answer.text()).split('\n').map((line) => line.split(' '));
  const values = new Map(lines.map(([name = '', value]) => [name, Number(value)]));
  return (name) => values.get(name) ?? Number.NaN;
}

/** Bytes of a spool up to the last one that is not zero, whose segments are preallocated. */
function spoolBytes(appliance: Appliance): number {
  const folder = join(stateOf(appliance), 'spool');
  const segments = readdirSync(folder).flatMap((name) =>
    readdirSync(join(folder, name)).map((segment) => join(folder, name, segment)),
  );
  return segments.reduce((sum, path) => {
    const bytes = readFileSync(path);
    let end = statSync(path).size;
    while (end > 0 && bytes[end - 1] === 0) end--;
    return sum + end;
  }, 0);
}

/** One request in three goes wrong, in a way that is drawn. */
function mischief(seed: number): FaultHook {
  const pick = randomPicks(seed);
  const faults: readonly Fault[] = [
    { type: 'refuse', status: 503, code: 'SlowDown' },
    { type: 'refuse', status: 500, code: 'InternalError' },
    { type: 'refuse', status: 409, code: 'ConditionalRequestConflict' },
    { type: 'lie', status: 412, code: 'PreconditionFailed' },
    { type: 'lie', status: 503, code: 'SlowDown' },
    { type: 'drop' },
    { type: 'lose-answer' },
    { type: 'cut-body', afterBytes: 10 },
    { type: 'slow', delayMs: 40 },
    { type: 'lying-checksum' },
    { type: 'corrupt' },
  ];
  return () => (pick(3) === 0 ? (faults[pick(faults.length)] ?? null) : null);
}

describe('a host that ships to S3', () => {
  it('loses nothing while S3 is away under load, holds the feed, and catches up', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const bucket = await openBucket();
    const place = await newPlace();
    const { tap } = place;
    tap.keepBytes = false;
    const ship = shipTo(bucket, { max_unshipped_bytes: MAX_UNSHIPPED_BYTES });
    const host = TestHost.start(appliance, place, { speed: 300, metrics: true, ...ship });
    await host.waitFor('orders', () => tap.releases.length > 3);
    await host.waitFor('commits in S3', () => (bucket.s3.counts.get('PutObject') ?? 0) > 5);

    bucket.s3.setFault(() => AWAY);
    await host.waitForEvent('ship_store_away');
    const count = (event: string): number => host.events(event).length;
    // It may have been full for a moment before, while the first connection was made.
    await host.waitFor('a hold', () => count('ship_full') > count('ship_has_room'));
    const holds = count('ship_full');
    // The enclave feels it.
    const ready = `${await host.url()}/ready`;
    await waitForStatus(ready, 503);
    const held = await readMetrics(host);
    expect(held('trackseal_ship_held')).toBe(1);
    expect(held('trackseal_ship_store_up')).toBe(0);
    expect(held('trackseal_ship_max_unshipped_bytes')).toBe(MAX_UNSHIPPED_BYTES);
    expect(held('trackseal_ship_unshipped_bytes')).toBeGreaterThan(MAX_UNSHIPPED_BYTES);
    const [size, released] = [tap.acknowledgedSize, tap.releases.length];
    const before = { memory: residentBytes(host.process.pid), spool: spoolBytes(appliance) };
    await sleep(3000);
    expect([tap.acknowledgedSize, tap.releases.length]).toEqual([size, released]);
    const grown = {
      memory: residentBytes(host.process.pid) - before.memory,
      spool: spoolBytes(appliance) - before.spool,
    };
    expect(grown.memory).toBeLessThan(64 * MIB);
    expect(grown.spool).toBeLessThan(IN_FLIGHT_BYTES);
    expect([count('ship_full'), count('ship_has_room')]).toEqual([holds, holds - 1]);

    // Slow first, then well.
    bucket.s3.setFault(() => ({ type: 'slow', delayMs: 50 }));
    await host.waitForEvent('ship_store_back');
    await host.waitForEvent('ship_has_room', holds);
    await host.waitFor('leaves after it', () => tap.acknowledgedSize > size + 100);
    bucket.s3.setFault(null);
    await waitForStatus(ready, 200);
    await host.waitFor('orders after it', () => tap.releases.length > released);
    const after = await readMetrics(host);
    expect(after('trackseal_ship_holds_total')).toBeGreaterThanOrEqual(holds);
    expect(after('trackseal_ship_held_seconds_total')).toBeGreaterThan(1);
    expect(after('trackseal_ship_retries_total')).toBeGreaterThan(1);
    host.process.signal('SIGTERM');
    await expectClean(host, appliance);
    expect(await compareBucket(bucket, appliance)).toEqual([]);
  });

  it('has every object once, and right, after 503, 409, 412, cut bodies and lies', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const bucket = await openBucket();
    bucket.s3.setFault(mischief(1));
    const place = await newPlace();
    place.tap.keepBytes = false;
    const host = TestHost.start(appliance, place, {
      speed: null,
      limitEvents: 20_000,
      closeRows: 8,
      ...shipTo(bucket, { group_bytes: 8192 }),
    });
    await expectClean(host, appliance);
    bucket.s3.setFault(null);
    expect(await compareBucket(bucket, appliance)).toEqual([]);
    expect(host.events('ship_refused')).toEqual([]);
  });

  it('ships to a folder that is not the log folder', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    place.tap.keepBytes = false;
    const folder = join(appliance.directory, 'store');
    const host = TestHost.start(appliance, place, {
      speed: null,
      limitEvents: 3000,
      ship: { target: { folder }, retention_days: 1 },
    });
    await expectClean(host, appliance);
    expect(await compareStore(new FolderStore(folder), false, appliance)).toEqual([]);
  });

  it('leaves what is not shipped when it is asked to end, and the next start ships it', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const bucket = await openBucket();
    const place = await newPlace();
    place.tap.keepBytes = false;
    const ship = shipTo(bucket);
    bucket.s3.setFault(() => AWAY);
    const run = { speed: null, limitEvents: 3000, ...ship };
    const first = TestHost.start(appliance, place, run);
    await first.waitForEvent('epoch_settled');
    // Once to close, once more not to wait for S3.
    first.process.signal('SIGTERM');
    await sleep(300);
    first.process.signal('SIGTERM');
    await first.finish();
    bucket.s3.setFault(null);
    const second = TestHost.start(appliance, place, run);
    await second.waitForEvent('ship_resumed');
    await expectClean(second, appliance);
    expect(await compareBucket(bucket, appliance)).toEqual([]);
  });
});
