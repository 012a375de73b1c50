import { describe, expect, it } from 'vitest';
import type { ShipConfig } from '../../../host-proxy/ship/ship-config.ts';
import { findShipMistake } from '../../../host-proxy/ship/ship-config.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { closeKey } from '../../../wire/host-keys.ts';
import { encodeCommitGroup } from '../../../wire/objects.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import {
  receiveAll,
  ShipHost,
  shipRest,
  unshippedEpoch,
  wholeEpoch,
} from '../../helpers/ship-host.ts';
import { readShippedLog } from '../../helpers/shipped-log.ts';

const LONG_MS = 60_000;
const RETAIN = { retainUntil: new Date(Date.now() + 1e12) };
const NEVER = new AbortController().signal;
const SUPERSEDED = utf8('trackseal/superseded/v1\nand what follows\n');

/** An epoch under commit policy s3. */
function leasedWriter(epoch = 1): LogWriter {
  return new LogWriter(epoch, undefined, { commitPolicy: 's3' });
}

function puts(store: MemoryStore): readonly string[] {
  return store.calls.filter((call) => call.startsWith('put epochs/')).map((call) => call.slice(4));
}

describe('shipper under commit policy s3', () => {
  it('leaves claim and commits to the enclave while it lives, and writes all else', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store);
    const [claim = new Uint8Array(), ...rest] = wholeEpoch(leasedWriter(), 6, 60);
    await host.begin(1);
    await receiveAll(host, [claim, ...rest]);
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    expect(puts(store)).toEqual([]);
    expect(host.shipper.counters.unshippedBytes).toBeGreaterThan(0);
    const { unshippedBytes } = host.shipper.counters;
    await store.putOnce(claimKey(1), claim, RETAIN);
    while (host.shipper.counters.unshippedBytes === unshippedBytes) {
      await new Promise((go) => setTimeout(go, 1));
    }
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    // Of the claim the shipper has looked for its lock, and of the groups that there are none.
    expect(puts(store).filter((key) => key.includes('/commits/'))).toEqual([]);
    await store.putOnce(commitsKey(1, 1), encodeCommitGroup(rest.slice(0, 3)), RETAIN);
    await store.putOnce(commitsKey(1, 2), encodeCommitGroup(rest.slice(3)), RETAIN);
    while (host.shipper.counters.unshippedBytes > 0) await new Promise((go) => setTimeout(go, 1));
    store.calls.length = 0;
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({
      findings: [],
      epochs: [{ groups: 2 }],
    });
    expect(puts(store)).toContain(closeKey(1));
    expect(puts(store)).not.toContain(commitsKey(1, 1));
  });

  it('writes what the enclave had no time to write, once its epoch is over', async () => {
    for (const written of [0, 1, 2]) {
      const store = new MemoryStore();
      const writer = leasedWriter();
      const [claim = new Uint8Array(), ...rest] = wholeEpoch(writer, 5, 5);
      const files = await unshippedEpoch(writer, [claim, ...rest]);
      if (written > 0) await store.putOnce(claimKey(1), claim, RETAIN);
      const group = encodeCommitGroup(rest.slice(0, 2));
      if (written > 1) await store.putOnce(commitsKey(1, 1), group, RETAIN);
      const host = await ShipHost.open(files, store);
      const next = await host.shipper.nextCommit(1, NEVER);
      expect(store.keys('epochs/0000000001/commits/')).toHaveLength((next ?? 0) - 1);
      await host.shipper.finish(LONG_MS);
      expect(await readShippedLog(store, true)).toMatchObject({
        findings: [],
        epochs: [{ size: writer.size, groups: (next ?? 0) - 1 }],
      });
    }
  });

  it('knows where an epoch may be taken over, before and after it was', async () => {
    const store = new MemoryStore();
    const writer = leasedWriter();
    const commits = wholeEpoch(writer, 5, 5);
    const disk = await unshippedEpoch(writer, commits);
    const host = await ShipHost.open(disk, store);
    expect(await host.shipper.nextCommit(2, NEVER)).toBeNull();
    const next = (await host.shipper.nextCommit(1, NEVER)) ?? 0;
    expect(next).toBeGreaterThan(1);
    await store.putOnce(commitsKey(1, next), SUPERSEDED, RETAIN);
    expect(await host.shipper.nextCommit(1, NEVER)).toBe(next);
    await host.shipper.finish(LONG_MS);
    expect(host.shipper.findings).toEqual([]);
    expect(store.objects.has(closeKey(1))).toBe(true);
  });

  it('says that an epoch was superseded before all of it was there', async () => {
    const store = new MemoryStore();
    const writer = leasedWriter();
    const [claim = new Uint8Array(), ...rest] = wholeEpoch(writer, 5, 5);
    const files = await unshippedEpoch(writer, [claim, ...rest]);
    await store.putOnce(claimKey(1), claim, RETAIN);
    await store.putOnce(commitsKey(1, 1), SUPERSEDED, RETAIN);
    const { shipper } = await shipRest(files, store);
    expect(shipper.findings).toEqual([
      { epoch: 1, code: 'epoch_superseded', key: commitsKey(1, 1) },
    ]);
    expect(store.objects.has(closeKey(1))).toBe(false);
  });
});

describe('the place of a log under commit policy s3', () => {
  const s3 = {
    region: 'eu-central-1',
    host: 's3.eu-central-1.amazonaws.com',
    bucket: 'log-bucket',
    prefix: 'logs/a',
    retention_days: 10,
  };
  const shipTo = (change: object): ShipConfig => ({
    target: { s3: { ...s3, endpoint: null, ca: null, expected_bucket_owner: null, ...change } },
    retention_days: 10,
    checkpoint_ms: 1,
    max_unshipped_bytes: 1,
    group_bytes: 1,
    group_ms: 1,
    max_pause_ms: 1,
    finish_ms: 1,
  });

  it('is the same for enclave and shipper', () => {
    const leased = { commit_policy: 's3', s3 } as const;
    expect(findShipMistake(shipTo({}), leased)).toBeNull();
    expect(findShipMistake(null, { commit_policy: 'spool' })).toBeNull();
    const other = shipTo({ bucket: 'other' });
    expect(findShipMistake(other, { commit_policy: 'spool', s3 })).toBeNull();
    for (const [ship, field] of [
      [null, 'ship.target.s3.region'],
      [{ ...shipTo({}), target: { folder: '/x' } }, 'ship.target.s3.region'],
      [other, 'ship.target.s3.bucket'],
      [shipTo({ prefix: '' }), 'ship.target.s3.prefix'],
      [shipTo({ region: 'us-east-1' }), 'ship.target.s3.region'],
      [{ ...shipTo({}), retention_days: 9 }, 'ship.retention_days'],
      [{ ...shipTo({}), retention_days: 11 }, 'ship.retention_days'],
    ] as const) {
      expect(findShipMistake(ship, leased)).toMatchObject({
        code: 'config_invalid',
        detail: { field },
      });
    }
  });
});
