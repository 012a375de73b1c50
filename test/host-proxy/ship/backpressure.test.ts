import { describe, expect, it } from 'vitest';
import { listUnshipped } from '../../../host-proxy/ship/unshipped.ts';
import { StoreError } from '../../../wire/node/objects/store.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import {
  receiveAll,
  SHIP_FOLDERS,
  ShipHost,
  shipRest,
  unshippedEpoch,
  wholeEpoch,
} from '../../helpers/ship-host.ts';
import { readShippedLog } from '../../helpers/shipped-log.ts';

const LONG_MS = 60_000;
const MAX_BYTES = 20_000;

function goAway(store: MemoryStore): void {
  store.before = () => {
    throw new StoreError('unavailable');
  };
}

/** A few turns of the event loop: long enough for what does not wait. */
async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

describe('a store that is away', () => {
  it('holds acknowledgements beyond the maximum, in their order, and lets them go again', async () => {
    const store = new MemoryStore();
    const files = new MemoryFiles();
    const host = await ShipHost.open(files, store, { maxUnshippedBytes: MAX_BYTES });
    const writer = new LogWriter();
    const log = await host.begin(1);
    goAway(store);
    const commits = wholeEpoch(writer, 200, 10);
    const acknowledged: number[] = [];
    let acknowledgedBytes = 0;
    const received: Promise<void>[] = [];
    for (const commit of commits) {
      received.push(
        log.receive(commit).then((result) => {
          expect(result.ok).toBe(true);
          acknowledged.push(result.ok ? result.value.ack.size : -1);
          acknowledgedBytes += commit.length;
        }),
      );
      await turns(2);
    }
    await turns();
    const before = acknowledged.length;
    expect(before).toBeGreaterThan(3);
    expect(before).toBeLessThan(commits.length);
    expect(acknowledgedBytes).toBeLessThanOrEqual(MAX_BYTES);
    const { unshippedBytes, isHeld, holds, circuit } = host.shipper.counters;
    expect({ isHeld, holds }).toEqual({ isHeld: true, holds: 1 });
    expect(circuit).not.toBe('closed');
    // Durable in the spool, though nobody was told.
    expect(unshippedBytes).toBe(commits.reduce((sum, { length }) => sum + length, 0));
    expect(host.events('ship_full')).toHaveLength(1);
    expect(host.events('ship_store_away')).toHaveLength(1);
    store.before = () => undefined;
    await Promise.all(received);
    expect(acknowledged).toHaveLength(commits.length);
    expect(acknowledged).toEqual(acknowledged.toSorted((a, b) => a - b));
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(host.shipper.counters).toMatchObject({ isHeld: false, circuit: 'closed', epochs: 0 });
    expect(host.events('ship_has_room')).toHaveLength(1);
    expect(host.events('ship_store_back')).toHaveLength(1);
    expect(await readShippedLog(store, true)).toMatchObject({
      findings: [],
      epochs: [{ size: writer.size }],
    });
  });

  it('lets an epoch close, and the next one begin only when there is room', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store, { maxUnshippedBytes: 3000 });
    const writer = new LogWriter();
    const log = await host.begin(1);
    goAway(store);
    const commits = wholeEpoch(writer, 10, 10);
    const all = Promise.all(commits.map((commit) => log.receive(commit)));
    await turns();
    expect(host.shipper.isFull).toBe(true);
    host.shipper.lift();
    for (const result of await all) expect(result.ok).toBe(true);
    await host.settle();
    let mayBegin = false;
    const waiting = host.shipper.waitForRoom(new AbortController().signal).then(() => {
      mayBegin = true;
    });
    await turns();
    expect(mayBegin).toBe(false);
    expect(host.events('ship_waits')).toHaveLength(1);
    store.before = () => undefined;
    await waiting;
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('gives up waiting for room, and for what is not shipped, when it is asked to', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 30, 10));
    const store = new MemoryStore();
    goAway(store);
    const host = await ShipHost.open(files, store, { maxUnshippedBytes: 1000 });
    expect(host.shipper.isFull).toBe(true);
    const asked = new AbortController();
    const waiting = host.shipper.waitForRoom(asked.signal);
    asked.abort();
    await waiting;
    await host.shipper.finish(20);
    expect(host.events('ship_unfinished')).toHaveLength(1);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
    store.before = () => undefined;
    await shipRest(files, store);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('is tried by one caller at a time, with pauses that grow, while others wait', async () => {
    const store = new MemoryStore();
    const pauses: number[] = [];
    const gates: (() => void)[] = [];
    const host = await ShipHost.open(new MemoryFiles(), store, {
      maxPauseMs: 30_000,
      groupBytes: 1,
      random: () => 1,
      sleep: async (ms, signal) => {
        if (ms <= 5) return;
        pauses.push(ms);
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
          gates.push(resolve);
          signal.addEventListener('abort', () => {
            resolve();
          });
        });
      },
    });
    const writer = new LogWriter();
    await host.begin(1);
    await receiveAll(host, wholeEpoch(writer, 3, 600));
    goAway(store);
    await host.settle();
    for (let step = 0; step < 12; step++) {
      await turns();
      for (const go of gates.splice(0)) go();
    }
    await turns();
    const [last = 0, ...earlier] = pauses.toReversed();
    expect(last).toBe(30_000);
    expect(Math.max(...earlier)).toBeLessThanOrEqual(30_000);
    expect(pauses.slice(-6)).toEqual(pauses.slice(-6).toSorted((a, b) => a - b));
    // One waits for its next attempt; nobody else calls.
    expect(gates).toHaveLength(1);
    const calls = store.calls.length;
    await turns();
    expect(store.calls.length).toBe(calls);
    expect(host.shipper.counters.circuit).toBe('open');
    store.before = () => undefined;
    for (const go of gates.splice(0)) go();
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('is also tried again, and at once alarmed of, when an operator has to mend something', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 2, 10));
    const store = new MemoryStore();
    let denied = 1;
    store.before = () => {
      if (denied-- > 0) throw new StoreError('denied', { status: 403 });
    };
    const host = await shipRest(files, store);
    expect(host.events('ship_store_away')).toMatchObject([{ code: 'denied', status: 403 }]);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('stops for good when its own disk fails', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 2, 10));
    const store = new MemoryStore();
    store.before = (call) => {
      if (call === 'put') throw new StoreError('disk_failed');
    };
    const { shipper } = await shipRest(files, store);
    expect(shipper.findings).toMatchObject([{ code: 'store_failed' }]);
    expect(store.calls.filter((call) => call.startsWith('put'))).toHaveLength(1);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
  });
});
