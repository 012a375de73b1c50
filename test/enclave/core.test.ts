import { describe, expect, it } from 'vitest';
import { KIND } from '../../wire/leaf.ts';
import { FRAME, parseProgress, parseRelease } from '../../wire/messages.ts';
import { CLOSE_REASON, parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { testBatch } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

describe('one epoch', () => {
  it('boots, logs inputs and outputs, releases after the acknowledgement, closes', async () => {
    const strategies = fakeStrategies({ limits: (_, count) => (count === 1 ? [424_242] : []) });
    const host = await startHost({ strategies });
    const ready = await host.ready();
    expect(ready.origin).toBe('trackseal.test/log/e0000000001');
    const feed = await host.connectFeed();
    for (let sequence = 0; sequence < 3; sequence++) {
      feed.send(FRAME.batch, testBatch(sequence, 1_700_000_000_000_000_000n, STREAM_A));
    }
    await host.until(() => host.feedOf(FRAME.progress).length === 3);
    const releases = host.feedOf(FRAME.release).map((bytes) => assertAccepted(parseRelease(bytes)));
    expect(releases).toHaveLength(1);
    const signal = assertAccepted(parseSignal(releases[0]?.plaintext ?? new Uint8Array(0)));
    expect(signal.limit).toBe(424_242);
    expect(host.open(releases[0]?.leafIndex ?? 0)).toEqual(releases[0]?.plaintext);
    const progress = host
      .feedOf(FRAME.progress)
      .map((bytes) => assertAccepted(parseProgress(bytes)));
    expect(progress.map(({ sequence }) => sequence)).toEqual([0, 1, 2]);
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    expect(host.parsedLeaves().map(({ kind }) => kind)).toEqual([
      KIND.header,
      KIND.attestation,
      KIND.seed,
      KIND.strategyEvent,
      KIND.input,
      KIND.input,
      KIND.input,
      KIND.output,
      KIND.anchor,
      KIND.close,
    ]);
    expect(host.diagnostics.map(({ code }) => code)).toEqual(['ready', 'closing', 'closed']);
  });
});
