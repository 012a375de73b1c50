import { describe, expect, it, vi } from 'vitest';
import { Orders } from '../../enclave/orders.ts';
import type { OpenOrder } from '../../enclave/orders.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { KIND, LABEL, STREAM } from '../../wire/leaf.ts';
import { FRAME, parseRefused } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Report } from '../../wire/payloads.ts';
import { clientOrderIdOf, encodeReport, STATUS } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { previousOf, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { testBatch } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

vi.setConfig({ testTimeout: 20_000 });

const TIME_NS = 1_700_000_000_000_000_000n;

function reportOn(host: TestHost, output: number, changes: Partial<Report> = {}): Uint8Array {
  return encodeReport({
    output,
    clientOrderId: clientOrderIdOf(leafHash(nodeCrypto, host.leaves[output] ?? new Uint8Array())),
    status: STATUS.accepted,
    reason: null,
    filledQuantity: 0,
    fills: [],
    environment: 'paper',
    timeNs: TIME_NS,
    ...changes,
  });
}

/** Two released outputs, the answer to one input. */
async function startReleased(): Promise<{ host: TestHost; outputs: readonly number[] }> {
  const strategies = fakeStrategies({ limits: () => [100, 101] });
  const host = await startHost({ strategies });
  await host.ready();
  await host.connectFeed();
  host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
  await host.until(() => host.feedOf(FRAME.release).length === 2);
  return { host, outputs: host.leavesOf(KIND.output) };
}

async function refusedCodes(host: TestHost, count: number): Promise<readonly string[]> {
  await host.until(() => host.feedOf(FRAME.refused).length >= count);
  return host.feedOf(FRAME.refused).map((bytes) => assertAccepted(parseRefused(bytes)).code);
}

describe('a report', () => {
  it('is logged in private with its output as cause, and goes to the strategy that asked', async () => {
    const { host, outputs } = await startReleased();
    const [, output = -1] = outputs;
    const payload = reportOn(host, output);
    host.feed?.send(FRAME.report, payload);
    await host.until(() => host.leavesOf(KIND.report).length === 1);
    const [index = -1] = host.leavesOf(KIND.report);
    const { stream, label, causes, body } = host.leaf(index);
    expect({ stream, label, causes }).toEqual({
      stream: STREAM.reports,
      label: LABEL.host,
      causes: [output],
    });
    expect(body.form).toBe('private');
    expect(toHex(host.open(index))).toBe(toHex(payload));
    const fills = host.strategies.started[0]?.fills.map(({ leafIndex, signal }) => ({
      leafIndex,
      signal,
    }));
    expect(fills).toEqual([{ leafIndex: index, signal: 1 }]);
  });

  it('of another leaf, of an output of nobody, or of another order id is refused', async () => {
    const { host, outputs } = await startReleased();
    const [output = -1] = outputs;
    host.feed?.send(FRAME.report, reportOn(host, 4));
    host.feed?.send(FRAME.report, reportOn(host, output, { output: 1_000_000 }));
    host.feed?.send(FRAME.report, reportOn(host, output, { clientOrderId: 'ts00' }));
    host.feed?.send(FRAME.report, utf8('x'));
    expect(await refusedCodes(host, 4)).toEqual([
      'report_unknown_output',
      'report_unknown_output',
      'report_unknown_output',
      'cbor_truncated',
    ]);
    expect(host.leavesOf(KIND.report)).toEqual([]);
  });

  it('of an output that was not released yet is refused', async () => {
    const strategies = fakeStrategies({ limits: () => [100] });
    const host = await startHost({ strategies });
    await host.ready();
    await host.connectFeed();
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    await host.until(() => host.leavesOf(KIND.output).length === 1);
    const [output = -1] = host.leavesOf(KIND.output);
    host.feed?.send(FRAME.report, reportOn(host, output));
    expect(await refusedCodes(host, 1)).toEqual(['report_unknown_output']);
    host.acknowledge = true;
    host.ackAll();
    await host.until(() => host.feedOf(FRAME.release).length === 1);
    host.feed?.send(FRAME.report, reportOn(host, output));
    await host.until(() => host.leavesOf(KIND.report).length === 1);
  });

  const final = [STATUS.filled, STATUS.cancelled, STATUS.expired, STATUS.rejected];
  it.each(final)('with the final status %i is the last', async (status) => {
    const { host, outputs } = await startReleased();
    const [output = -1, other = -1] = outputs;
    host.feed?.send(FRAME.report, reportOn(host, output));
    host.feed?.send(FRAME.report, reportOn(host, output, { status: STATUS.partlyFilled }));
    host.feed?.send(FRAME.report, reportOn(host, output, { status }));
    host.feed?.send(FRAME.report, reportOn(host, output, { status }));
    host.feed?.send(FRAME.report, reportOn(host, other));
    expect(await refusedCodes(host, 1)).toEqual(['report_unknown_output']);
    await host.until(() => host.leavesOf(KIND.report).length === 4);
  });

  it('of an earlier epoch is logged as late, without a cause, and no strategy hears of it', async () => {
    const { host, outputs } = await startReleased();
    const [output = -1] = outputs;
    const late = (changes: Partial<Report>): Uint8Array =>
      reportOn(host, output, { clientOrderId: 'ts00', output: 7, ...changes });
    // The first epoch has none before it, and none is its own.
    host.feed?.send(FRAME.report, late({ epoch: 1 }));
    host.feed?.send(FRAME.report, late({ epoch: 2 }));
    const unknown = 'report_unknown_output';
    expect(await refusedCodes(host, 2)).toEqual([unknown, unknown]);

    const second = await startHost({ previous: previousOf(host) });
    await second.ready();
    await second.connectFeed();
    for (const epoch of [1, 1, 2]) second.feed?.send(FRAME.report, late({ epoch }));
    expect(await refusedCodes(second, 1)).toEqual([unknown]);
    await second.until(() => second.leavesOf(KIND.report).length === 2);
    const logged = second.leavesOf(KIND.report);
    for (const index of logged) {
      const { stream, label, causes, body } = second.leaf(index);
      expect({ stream, label, causes }).toEqual({
        stream: STREAM.reports,
        label: LABEL.host,
        causes: [],
      });
      expect(body.form).toBe('private');
      expect(toHex(second.open(index))).toBe(toHex(late({ epoch: 1 })));
    }
    expect(second.strategies.started[0]?.fills).toEqual([]);
  });

  it('is logged also when its strategy has ended', async () => {
    const { host, outputs } = await startReleased();
    host.strategies.started[0]?.end('strategy_crashed');
    host.feed?.send(FRAME.report, reportOn(host, outputs[0] ?? -1));
    await host.until(() => host.leavesOf(KIND.report).length === 1);
    expect(host.strategies.started[0]?.fills).toEqual([]);
  });
});

function order(output: number): OpenOrder {
  return { output, clientOrderId: `ts${output}`, stream: 1000, signal: output };
}

function report(output: number): Uint8Array {
  return encodeReport({
    output,
    clientOrderId: `ts${output}`,
    status: STATUS.accepted,
    reason: null,
    filledQuantity: 0,
    fills: [],
    environment: 'paper',
    timeNs: 1n,
  });
}

describe('open orders', () => {
  it('are at most 65,536: the oldest is forgotten, and counted', () => {
    const orders = new Orders(1);
    for (let output = 0; output < 65_536; output++) orders.open(order(output));
    expect(orders.take(report(0)).ok).toBe(true);
    expect(orders.counters).toEqual({ orders_open: 65_536, orders_forgotten: 0 });
    orders.open(order(65_536));
    expect(orders.counters).toEqual({ orders_open: 65_536, orders_forgotten: 1 });
    expect(orders.take(report(0)).ok).toBe(false);
    expect(orders.take(report(1)).ok).toBe(true);
    expect(orders.take(report(65_536)).ok).toBe(true);
  });
});
