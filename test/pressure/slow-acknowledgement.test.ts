import { afterEach, describe, expect, it } from 'vitest';
import { KIND } from '../../wire/leaf.ts';
import { MAX_COMMITS_IN_FLIGHT } from '../../wire/limits.ts';
import { PORT } from '../../wire/messages.ts';
import { expectWhole, MemoryAppliance } from './appliance.ts';

const MIB = 1024 * 1024;

describe('acknowledgements that do not come', () => {
  let appliance: MemoryAppliance;
  afterEach(() => {
    appliance.transport.holdAcks = false;
    appliance.stop();
  });

  it('stop the source; nothing is released and memory is bounded; then all goes on', async () => {
    appliance = await new MemoryAppliance({ batches: 1500, rows: 400 }).start();
    await appliance.until(() => appliance.released.length >= 3);
    appliance.transport.holdAcks = true;
    await appliance.stuck();
    const { released, produced } = appliance;
    const [releases, size] = [released.length, appliance.log?.acknowledgedSize ?? 0];
    expect(produced).toBeLessThan(1500);
    // The host's log is durable and acknowledged, and the enclave has not heard of it.
    expect(appliance.transport.heldAcks.length).toBeGreaterThan(0);
    expect(size).toBeGreaterThan(appliance.counter('acknowledged_size'));
    expect(appliance.counter('commits_in_flight')).toBeLessThanOrEqual(MAX_COMMITS_IN_FLIGHT);
    const { feedQueue, brokerBytes, spoolBytes, keptBytes } = appliance.waiting;
    expect(feedQueue).toBeLessThan(MIB / 2);
    // What the broker holds is on its way: the credit of the feed, and what is in flight to the log.
    expect(brokerBytes).toBeLessThan(20 * MIB);
    expect(spoolBytes).toBe(0);
    expect(keptBytes).toBeLessThan(33 * MIB);

    expect(appliance.codes.at(-1)).toBe('log_stalled');
    expect(appliance.counter('log_stalled_ms')).toBeGreaterThan(50);
    expect(await appliance.ask('/ready')).toMatchObject({
      status: 503,
      body: { error: 'log_stalled' },
    });
    expect(await appliance.ask('/health')).toMatchObject({
      status: 200,
      body: {
        status: 'log_stalled',
        acknowledged_size: appliance.counter('acknowledged_size'),
      },
    });
    // It stays so for as long as it takes: nothing has moved, and nothing has ended.
    await appliance.stuck();
    expect([appliance.produced, appliance.released.length]).toEqual([produced, releases]);

    appliance.transport.holdAcks = false;
    await appliance.until(() => appliance.codes.includes('resumed'));
    expect((await appliance.ask('/ready')).status).toBe(200);
    const [epoch, ...more] = (await appliance.end()).epochs;
    expect(more).toEqual([]);
    expect(epoch).toMatchObject({ epoch: 1, closed: true, feedComplete: true, code: null });
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.gaps).toEqual([]);
    expect(log.indexesOf(KIND.input)).toHaveLength(1500);
  });

  it('that come slowly, one at a time, slow the source to their pace', async () => {
    appliance = await new MemoryAppliance({ batches: 600, rows: 400 }).start();
    const { transport } = appliance;
    transport.holdAcks = true;
    let acks = 0;
    while (appliance.enclaveEnd === null) {
      await appliance.until(() => transport.heldAcks.length > 0 || appliance.enclaveEnd !== null);
      const { feedQueue, brokerBytes } = appliance.waiting;
      expect(feedQueue).toBeLessThan(MIB / 2);
      expect(brokerBytes).toBeLessThan(20 * MIB);
      transport.passAck();
      acks++;
    }
    expect(acks).toBeGreaterThan(5);
    expect((await appliance.end()).clean).toBe(true);
    expectWhole(appliance, await appliance.verify());
    expect(transport.bytesOf(PORT.feed).toHost).toBeGreaterThan(0);
  });
});
