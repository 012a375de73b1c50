// The core with real strategy processes: what the fakes of the other tests stand in for.

import { describe, expect, it, vi } from 'vitest';
import { startStrategy } from '../../enclave/strategy/process.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import { EpochVerifier } from '../../wire/log-verification/epoch-verifier.ts';
import type { Item } from '../../wire/messages.ts';
import { FRAME, parseRelease } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import {
  clientOrderIdOf,
  CLOSE_REASON,
  encodeReport,
  parseSignal,
  STATUS,
} from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { commitmentOf, startHost, testItems } from '../helpers/enclave-host.ts';
import { complianceKeys, testTrust } from '../helpers/epoch-builder.ts';
import { batchOf, bundleOf, ETH, ROOT, signalText, timeOf } from './strategy/support.ts';

vi.setConfig({ testTimeout: 60_000 });

function itemsFor(name: string, bundle: string): readonly Item[] {
  const [strategy, parameters] = testItems(name);
  return [{ ...strategy, bytes: utf8(bundle) }, parameters];
}

async function startWith(bundles: Readonly<Record<string, string>>): Promise<TestHost> {
  const items = Object.entries(bundles).flatMap(([name, bundle]) => itemsFor(name, bundle));
  const strategies = items
    .filter(({ purpose }) => purpose === 'strategy')
    .map((item) => ({
      name: item.name,
      version: item.version,
      commitment: commitmentOf(item),
      time_budget_ms: 5000,
    }));
  const host = await startHost({
    configuration: { instruments: [ETH], strategies },
    items,
    startStrategy,
    strategyRunner: findRunner(ROOT),
  });
  await host.ready();
  await host.connectFeed();
  return host;
}

describe('with strategy processes', () => {
  it('signals are logged, released, reported on; a crash leaves an event; the log verifies', async () => {
    const host = await startWith({
      good: bundleOf({
        onBatch: `state.batches += 1; ${signalText()}`,
        before: 'const state = {batches: 0};',
      }),
      bad: bundleOf({
        onBatch: 'if (state.batches++ === 2) throw new Error("secret");',
        before: 'const state = {batches: 0};',
      }),
    });
    const batches = 5;
    for (let sequence = 0; sequence < batches; sequence++) {
      host.feed?.send(FRAME.batch, batchOf(sequence));
    }
    await host.until(() => host.feedOf(FRAME.progress).length === batches);
    const released = host.feedOf(FRAME.release).map((bytes) => assertAccepted(parseRelease(bytes)));
    expect(released.map(({ leafIndex }) => leafIndex)).toEqual(host.leavesOf(KIND.output));
    expect(released.map(({ plaintext }) => assertAccepted(parseSignal(plaintext)).id)).toEqual(
      Array.from({ length: batches }, (_, id) => id),
    );
    const [output = -1] = host.leavesOf(KIND.output);
    host.feed?.send(
      FRAME.report,
      encodeReport({
        output,
        clientOrderId: clientOrderIdOf(
          leafHash(nodeCrypto, host.leaves[output] ?? new Uint8Array()),
        ),
        status: STATUS.filled,
        reason: null,
        filledQuantity: 10,
        fills: [{ number: 0, price: 268_000, quantity: 10, fee: 27, timeNs: timeOf(0) }],
        environment: 'paper',
        timeNs: timeOf(0),
      }),
    );
    await host.until(() => host.leavesOf(KIND.report).length === 1);
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    expect(host.diagnostics.map(({ code }) => code)).toContain('strategy_crashed');
    const left = Buffer.concat([...host.tapped.values()].flat());
    expect(left.includes('secret')).toBe(false);

    const verifier = new EpochVerifier(nodeCrypto, await testTrust(), complianceKeys());
    assertAccepted(verifier.add(assertAccepted(verifier.parse(host.leaves)), new Map()));
    const note = host.commits.at(-1)?.note ?? new Uint8Array();
    const facts = assertAccepted(verifier.finish(note));
    // Two seeds, five outputs, one report.
    expect(facts.privateOpened).toBe(8);
    expect(toHex(facts.checkpoint.root)).toBe(toHex(host.tree.root()));
  });
});
