import { afterEach, describe, expect, it } from 'vitest';
import { MAX_COMMITS_IN_FLIGHT } from '../../wire/limits.ts';
import { expectWhole, MemoryAppliance } from './appliance.ts';

const MIB = 1024 * 1024;

/** Syncs that wait for `pass`. */
class SlowDisk {
  readonly #waiting: (() => void)[] = [];
  slow = false;

  readonly beforeSync = (): Promise<void> =>
    this.slow ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The oldest sync ends. */
  pass(): void {
    this.#waiting.shift()?.();
  }

  passAll(): void {
    this.slow = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

describe('a disk that takes long to sync', () => {
  let appliance: MemoryAppliance;
  let disk: SlowDisk;
  afterEach(() => {
    disk.passAll();
    appliance.stop();
  });

  it('slows the source to its pace; memory is bounded at each moment, and nothing is lost', async () => {
    appliance = new MemoryAppliance({ batches: 1500, rows: 400 });
    disk = new SlowDisk();
    appliance.disk.beforeSync = disk.beforeSync;
    await appliance.start();
    await appliance.until(() => appliance.released.length >= 3);
    disk.slow = true;
    await appliance.stuck();
    const stuckAt = appliance.produced;
    expect(stuckAt).toBeLessThan(1500);
    expect(appliance.codes.at(-1)).toBe('log_stalled');
    const bounded = (): void => {
      const { feedQueue, brokerBytes, spoolBytes, keptBytes } = appliance.waiting;
      expect(feedQueue).toBeLessThan(MIB / 2);
      expect(brokerBytes).toBeLessThan(20 * MIB);
      // What the enclave may have in flight, and a commit more.
      expect(spoolBytes).toBeLessThan(18 * MIB);
      expect(keptBytes).toBeLessThan(33 * MIB);
      expect(appliance.counter('commits_in_flight')).toBeLessThanOrEqual(MAX_COMMITS_IN_FLIGHT);
    };
    bounded();
    // One sync after the other: each lets some go on.
    for (let syncs = 0; appliance.enclaveEnd === null; syncs++) {
      await appliance.until(() => disk.waiting > 0 || appliance.enclaveEnd !== null);
      bounded();
      disk.pass();
      // A source that has all it wants need not be watched to its end.
      if (syncs > 20 && appliance.produced === 1500) break;
    }
    expect(appliance.produced).toBeGreaterThan(stuckAt);
    disk.passAll();
    expect((await appliance.end()).clean).toBe(true);
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.gaps).toEqual([]);
  });
});
