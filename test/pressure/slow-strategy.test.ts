import { afterEach, describe, expect, it } from 'vitest';
import { KIND } from '../../wire/leaf.ts';
import { bundleOf, signalText } from '../enclave/strategy/support.ts';
import { expectWhole, MemoryAppliance, signalEvery } from './appliance.ts';
import { Venue } from './venue.ts';

const MIB = 1024 * 1024;
const WINDOW = 8;

describe('a slow strategy', () => {
  let appliance: MemoryAppliance;
  afterEach(() => {
    appliance.stop();
  });

  it('stops the source while it does not answer, and each answer takes one batch more', async () => {
    const strategy = { manual: true, window: WINDOW, limits: signalEvery(5) };
    appliance = await new MemoryAppliance({ batches: 400, rows: 400, strategy }).start();
    await appliance.stuck();
    const inputs = (): number => appliance.strategy?.inputs.length ?? 0;
    expect(inputs()).toBe(WINDOW);
    const { produced } = appliance;
    // The window, 1 MiB of credit, and 256 KiB of queue at the host: 18 KiB each.
    expect(produced).toBeLessThan(100);
    const { feedQueue, brokerBytes } = appliance.waiting;
    expect(feedQueue).toBeLessThan(MIB / 2);
    expect(brokerBytes).toBeLessThan(2 * MIB);
    // The log has nothing to wait for: this is no stall.
    expect(appliance.codes).not.toContain('log_stalled');
    for (let answers = 1; answers <= 25; answers++) {
      appliance.strategy?.answer();
      await appliance.until(() => inputs() === WINDOW + answers);
      const now = appliance.waiting;
      expect(now.brokerBytes).toBeLessThan(2 * MIB);
      expect(now.feedQueue).toBeLessThan(MIB / 2);
    }
    expect(appliance.produced).toBeGreaterThan(produced);
    while (appliance.enclaveEnd === null) {
      appliance.strategy?.answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await appliance.end()).clean).toBe(true);
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.indexesOf(KIND.output)).toHaveLength(80);
  });

  it('that keeps the processor busy within its budget sets the pace of the source', async () => {
    const bundle = bundleOf({
      subscribe: "return [{venue:'binance',symbol:'BTCUSDT',market:'spot'}];",
      start: 'return {batches: 0, sum: 0};',
      onBatch: [
        'for (let step = 0; step < 3e5; step++) ctx.state.sum = (ctx.state.sum + step) % 1000003;',
        `if (ctx.state.batches++ % 4 === 0) { ${signalText({ instrument: '1', limit: String(Venue.priceOf(2, 0)) })} }`,
      ].join('\n'),
    });
    appliance = await new MemoryAppliance({ batches: 160, rows: 400, bundle }).start();
    let most = 0;
    while (appliance.enclaveEnd === null) {
      const { feedQueue, brokerBytes } = appliance.waiting;
      most = Math.max(most, brokerBytes);
      expect(feedQueue).toBeLessThan(MIB / 2);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // Without its pace all 3 MB would have gone in at once: 32 inputs, the credit and the queue.
    expect(most).toBeLessThan(2.5 * MIB);
    expect((await appliance.end()).clean).toBe(true);
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.indexesOf(KIND.output)).toHaveLength(40);
    expect(log.indexesOf(KIND.strategyEvent)).toHaveLength(1);
  });
});
