import { describe, expect, it, vi } from 'vitest';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { BOOK_SIDE, ROW } from '../../wire/batch.ts';
import { Channel } from '../../wire/channel.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { KIND } from '../../wire/leaf.ts';
import {
  FIRST_CREDIT_BYTES,
  MAX_COMMITS_IN_FLIGHT,
  MAX_FEED_OUT_BYTES,
} from '../../wire/limits.ts';
import {
  encodeDeclaredGap,
  FRAME,
  parseProgress,
  parseRefused,
  PORT,
} from '../../wire/messages.ts';
import type { Refused } from '../../wire/messages.ts';
import type { Gap } from '../../wire/payloads.ts';
import { GAP, parseGap } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import {
  hostConfiguration,
  INSTRUMENT,
  startHost,
  STREAM_A,
  STREAM_B,
  testItems,
} from '../helpers/enclave-host.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

vi.setConfig({ testTimeout: 20_000 });

const TIME_NS = 1_700_000_000_000_000_000n;

interface Changes {
  readonly stream?: number;
  readonly timeNs?: bigint;
  /** Trade id; 0 where the venue gives none. */
  readonly id?: number;
  readonly instrument?: number;
  readonly rows?: number;
}

/** Trades; one, without an id, unless the test wants another. */
function batch(sequence: number, changes: Changes = {}): Uint8Array {
  const {
    stream = STREAM_A,
    timeNs = TIME_NS,
    id = 0,
    instrument = INSTRUMENT,
    rows = 1,
  } = changes;
  const builder = new BatchBuilder(stream);
  for (let row = 0; row < rows; row++) {
    builder.addRow({
      instrument,
      kind: ROW.trade,
      side: BOOK_SIDE.bid,
      exchangeTimeNs: null,
      receiveTimeNs: timeNs,
      price: 100,
      quantity: 1,
      id,
    });
  }
  return builder.encode(sequence, timeNs);
}

const declared = (firstMissing: number, batches: number, stream = STREAM_A): Uint8Array =>
  encodeDeclaredGap({ stream, firstMissing, batches, rows: null });

async function startFeed(options: HostOptions = {}): Promise<TestHost> {
  const host = await startHost(options);
  await host.ready();
  await host.connectFeed();
  return host;
}

type Sent = readonly [type: number, payload: Uint8Array];

interface Outcome {
  /** `input <stream> <batch>` and `gap <stream> <fields>`, in log order. */
  readonly leaves: readonly string[];
  readonly refused: readonly Refused[];
}

function gapText({ reason, firstMissing, count, instrument, code }: Gap): string {
  return [reason, firstMissing, count, instrument, code].map((field) => field ?? '-').join(' ');
}

function isLast(progress: Uint8Array): boolean {
  return assertAccepted(parseProgress(progress)).stream === STREAM_B;
}

/** Sends the frames and a last batch on the other stream, which shows that all were taken. */
async function send(...frames: readonly Sent[]): Promise<Outcome> {
  const host = await startFeed();
  for (const [type, payload] of [
    ...frames,
    [FRAME.batch, batch(0, { stream: STREAM_B })] as const,
  ]) {
    host.feed?.send(type, payload);
  }
  await host.until(() => host.feedOf(FRAME.progress).some(isLast));
  const leaves = host.parsedLeaves().flatMap(({ kind, stream, sequence, causes }, index) => {
    if (stream !== STREAM_A) return [];
    if (kind === KIND.input) return [`${sequence} input`];
    const gap = gapText(assertAccepted(parseGap(host.open(index))));
    return [`${sequence} gap ${gap}${causes.length > 0 ? ` by ${index - (causes[0] ?? 0)}` : ''}`];
  });
  const refused = host.feedOf(FRAME.refused).map((bytes) => assertAccepted(parseRefused(bytes)));
  return { leaves, refused };
}

const B = FRAME.batch;
const G = FRAME.gap;

describe('batches of a stream', () => {
  it('in order leave inputs only, with the bytes as received', async () => {
    expect(await send([B, batch(0)], [B, batch(1)])).toEqual({
      leaves: ['0 input', '1 input'],
      refused: [],
    });
    const host = await startFeed();
    host.feed?.send(B, batch(0));
    await host.until(() => host.leavesOf(KIND.input).length === 1);
    const [index = -1] = host.leavesOf(KIND.input);
    expect(toHex(host.open(index))).toBe(toHex(batch(0)));
  });

  it('that are malformed and jump leave both gaps; malformed replays leave none', async () => {
    const broken = batch(5).slice(0, -1);
    expect(await send([B, broken], [B, broken], [B, batch(6)])).toEqual({
      leaves: ['0 gap 2 0 5 - -', '1 gap 3 5 1 - batch_malformed', '2 input'],
      refused: [
        { code: 'batch_malformed', stream: STREAM_A, sequence: 5 },
        { code: 'batch_replayed', stream: STREAM_A, sequence: 5 },
      ],
    });
  });

  it('whose stream cannot be read or is not ours are refused and leave nothing', async () => {
    const outcome = await send(
      [B, new Uint8Array()],
      [B, utf8('nonsense')],
      [B, batch(0, { stream: 3 })],
      [B, batch(0, { stream: 3 }).slice(0, -1)],
    );
    expect(outcome).toEqual({
      leaves: [],
      refused: [
        { code: 'batch_malformed', stream: null, sequence: null },
        { code: 'batch_malformed', stream: null, sequence: null },
        { code: 'stream_unknown', stream: 3, sequence: 0 },
        { code: 'stream_unknown', stream: 3, sequence: 0 },
      ],
    });
  });

  it('whose time goes back leave a gap; the same time is fine', async () => {
    const outcome = await send(
      [B, batch(0)],
      [B, batch(1)],
      [B, batch(2, { timeNs: TIME_NS - 1n })],
      [B, batch(3)],
    );
    expect(outcome).toEqual({
      leaves: ['0 input', '1 input', '2 gap 3 2 1 - batch_out_of_order', '3 input'],
      refused: [{ code: 'batch_out_of_order', stream: STREAM_A, sequence: 2 }],
    });
  });
});

describe('declared gaps', () => {
  it('take the place of their batches', async () => {
    expect(await send([B, batch(0)], [G, declared(1, 2)], [B, batch(3)])).toEqual({
      leaves: ['0 input', '1 gap 1 1 2 - -', '2 input'],
      refused: [],
    });
  });

  it('that leave a hole before or after them do not hide it', async () => {
    expect((await send([G, declared(2, 1)], [B, batch(4)])).leaves).toEqual([
      '0 gap 2 0 2 - -',
      '1 gap 1 2 1 - -',
      '2 gap 2 3 1 - -',
      '3 input',
    ]);
  });

  it('of what has come are refused and leave nothing', async () => {
    expect(await send([B, batch(0)], [G, declared(0, 1)], [B, batch(1)])).toEqual({
      leaves: ['0 input', '1 input'],
      refused: [{ code: 'batch_replayed', stream: STREAM_A, sequence: 0 }],
    });
  });

  it('that are malformed, endless or of no stream are refused', async () => {
    const outcome = await send(
      [G, utf8('x')],
      [G, declared(1, Number.MAX_SAFE_INTEGER)],
      [G, declared(0, 1, 7)],
    );
    expect(outcome.leaves).toEqual([]);
    expect(outcome.refused.map(({ code }) => code)).toEqual([
      'cbor_truncated',
      'message_malformed',
      'stream_unknown',
    ]);
  });
});

describe("holes in the venue's own numbers", () => {
  it('follow the input that shows them and name it as their cause', async () => {
    const outcome = await send([B, batch(0, { id: 10 })], [B, batch(1, { id: 13 })]);
    expect(outcome.leaves).toEqual([
      '0 input',
      '1 input',
      `2 gap ${GAP.tradeSequence} 11 2 ${INSTRUMENT} - by 1`,
    ]);
    expect(outcome.refused).toEqual([]);
  });

  it('are durable before the progress of their batch', async () => {
    const host = await startFeed();
    host.feed?.send(B, batch(0, { id: 10 }));
    host.feed?.send(B, batch(1, { id: 13 }));
    await host.until(() => host.feedOf(FRAME.progress).length === 2);
    const progress = assertAccepted(
      parseProgress(host.feedOf(FRAME.progress)[1] ?? new Uint8Array()),
    );
    expect(progress.acknowledgedSize).toBeGreaterThan(host.leavesOf(KIND.gap)[0] ?? Infinity);
  });
});

describe('the feed stream', () => {
  it('is one at a time; the next may come when it has ended, and the sequence goes on', async () => {
    const host = await startFeed();
    host.feed?.send(B, batch(0));
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    const second = host.dial(PORT.feed);
    second.on('error', () => null);
    await new Promise((resolve) => second.once('close', resolve));
    host.feed?.send(B, batch(1));
    await host.until(() => host.feedOf(FRAME.progress).length === 2);
    await host.feed?.close();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await host.connectFeed();
    host.feed?.send(B, batch(2));
    await host.until(() => host.feedOf(FRAME.progress).length === 3);
    expect(host.leavesOf(KIND.gap)).toEqual([]);
  });

  it('that breaks the framing ends, without ending the enclave', async () => {
    const host = await startFeed();
    const raw = host.wires.get(PORT.feed)?.host;
    raw?.write(new Uint8Array([0xff, 0xff, 0xff, 0xff, FRAME.batch]));
    await host.until(() => host.feed?.alive === false);
    await host.connectFeed();
    host.feed?.send(B, batch(0));
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    expect(host.leavesOf(KIND.input)).toHaveLength(1);
  });

  it('takes with it what was not taken yet, so that coming back cannot fill the memory', async () => {
    const host = await startFeed();
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    const stall = async (from: number): Promise<void> => {
      // 1 MiB of credit, 18 KiB each; the log is full after 17 MiB.
      for (let sequence = from; host.feed?.counters.creditStalls === 0; sequence++) {
        host.feed.send(B, batch(sequence, { rows: 400 }));
        if (sequence % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    await stall(0);
    for (let before = -1; before !== host.leaves.length;) {
      before = host.leaves.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (let round = 1; round <= 3; round++) {
      host.feed?.destroy({ code: 'stream_closed', detail: {} });
      await new Promise((resolve) => setTimeout(resolve, 10));
      await host.connectFeed();
      await stall(round * 1_000_000);
    }
    const logged = host.leavesOf(KIND.input).length;
    host.feed?.destroy({ code: 'stream_closed', detail: {} });
    await new Promise((resolve) => setTimeout(resolve, 10));
    host.acknowledge = true;
    host.ackAll();
    await host.connectFeed();
    host.feed?.send(B, batch(9_000_000));
    await host.until(() => host.leavesOf(KIND.input).length > logged);
    await host.until(() => host.open(host.leaves.length - 1).length > 0);
    const gaps = host.leavesOf(KIND.gap).map((index) => assertAccepted(parseGap(host.open(index))));
    expect(gaps.map(({ reason }) => reason)).toEqual([GAP.skipped]);
    expect(host.leavesOf(KIND.input).length).toBeLessThan(logged + 3);
  });

  it('that ends in order is taken whole when there is room again, and only then followed by another', async () => {
    const strategies = fakeStrategies({ manual: true, window: 2 });
    const host = await startFeed({ strategies });
    const [strategy] = strategies.started;
    for (let sequence = 0; sequence < 5; sequence++) host.feed?.send(B, batch(sequence));
    host.feed?.send(G, declared(5, 3));
    expect(await host.feed?.close()).toBe(true);
    await host.until(() => strategy?.inputs.length === 2);
    const second = host.dial(PORT.feed);
    second.on('error', () => null);
    await new Promise((resolve) => second.once('close', resolve));
    expect(strategy?.inputs).toHaveLength(2);
    while (host.leavesOf(KIND.gap).length === 0) {
      strategy?.answer();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(strategy?.inputs).toHaveLength(5);
    await new Promise((resolve) => setTimeout(resolve, 10));
    // What was not answered yet is answered on the next one.
    await host.connectFeed();
    host.feed?.send(B, batch(8));
    while (host.feedOf(FRAME.progress).length < 6) {
      strategy?.answer();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(host.leavesOf(KIND.gap)).toHaveLength(1);
  });

  it('that ends in order and then breaks gives its place to the next', async () => {
    const strategies = fakeStrategies({ manual: true, window: 1 });
    const host = await startFeed({ strategies });
    for (let sequence = 0; sequence < 3; sequence++) host.feed?.send(B, batch(sequence));
    await host.feed?.close();
    await host.until(() => strategies.started[0]?.inputs.length === 1);
    host.wires.get(PORT.feed)?.enclave.destroy();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await host.connectFeed();
    host.feed?.send(B, batch(1));
    strategies.started[0]?.answer();
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    await host.until(() => host.leavesOf(KIND.input).length === 2);
    // What waited went with its stream; the same batches come again on the next one.
    expect(host.leavesOf(KIND.gap)).toEqual([]);
  });

  it('is not followed by another before the host has read the end of it', async () => {
    const host = await startHost();
    await host.ready();
    const wire = host.dial(PORT.feed);
    // Half closed and not read: what waits for it must not pile up stream by stream.
    for (let index = 0; index < 30_000; index++) wire.write(encodeFrame(B, new Uint8Array(1)));
    wire.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = host.dial(PORT.feed);
    second.on('error', () => null);
    await new Promise((resolve) => second.once('close', resolve));
    expect(host.feedFrames).toEqual([]);
    wire.destroy();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await host.connectFeed();
    host.feed?.send(B, batch(0));
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
  });

  it('takes no frame of another stream', async () => {
    const host = await startFeed();
    host.feed?.send(FRAME.ack, new Uint8Array(8));
    await host.until(() => host.feed?.alive === false);
    expect(host.feedFrames).toEqual([]);
  });

  it('stalls by credit when acknowledgements stop; memory is bounded and nothing is dropped', async () => {
    const host = await startFeed({ configuration: { intervals: intervals(1) } });
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    const total = 2000;
    let sent = 0;
    const sendAll = async (): Promise<void> => {
      for (; sent < total; sent++) {
        // 18 KiB each: 36 MB in all.
        if (host.feed?.send(B, batch(sent, { rows: 400 })) === false) await host.feed.drained();
      }
    };
    const sending = sendAll();
    const stuck = async (): Promise<number> => {
      for (;;) {
        const before = host.leaves.length;
        await new Promise((resolve) => setTimeout(resolve, 100));
        if (host.leaves.length === before) return before;
      }
    };
    await stuck();
    expect(sent).toBeLessThan(total);
    expect(host.commits.length - 2).toBeLessThanOrEqual(MAX_COMMITS_IN_FLIGHT);
    const unacknowledged = host.commits.slice(2).flatMap(({ leaves }) => leaves);
    const bytes = unacknowledged.reduce((sum, leaf) => sum + leaf.length, 0);
    // In flight at most 16 MiB and one commit; the rest waits at the host, for lack of credit.
    expect(bytes).toBeLessThan(18 * 1024 * 1024);
    expect(host.feed?.counters.creditStalls).toBeGreaterThan(0);
    host.acknowledge = true;
    host.ackAll();
    await sending;
    await host.until(() => host.feedOf(FRAME.progress).length === total);
    expect(host.leavesOf(KIND.input)).toHaveLength(total);
    expect(host.leavesOf(KIND.gap)).toEqual([]);
  });

  it('stalls when the host does not read what is released', async () => {
    const host = await startHost();
    await host.ready();
    // A host whose side never grants credit: its channel does not settle any frame.
    const stream = host.dial(PORT.feed);
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_FEED_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.release, FRAME.progress, FRAME.refused],
      onFrame: () => new Promise(() => null),
      onEnd: () => null,
    });
    const junk = new Uint8Array(8);
    const frames = 200_000;
    let sent = 0;
    const sending = (async (): Promise<void> => {
      for (; sent < frames; sent++) {
        if (!channel.send(FRAME.batch, junk)) await channel.drained();
      }
    })();
    void sending;
    for (let before = -1; before !== sent;) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // Each refusal is 37 bytes: about 1.25 MiB of credit and queue, and 1 MiB of waiting input.
    expect(sent).toBeLessThan(frames);
    expect(host.parsedLeaves().every(({ kind }) => kind !== KIND.gap)).toBe(true);
    channel.destroy({ code: 'stream_closed', detail: {} });
    await new Promise((resolve) => setTimeout(resolve, 10));
    await host.connectFeed();
    host.feed?.send(B, batch(0));
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
  });
});

function intervals(commit_ms: number): Configuration['intervals'] {
  return { anchor_ms: 3_600_000, heartbeat_ms: 3_600_000, commit_ms };
}

function twoStrategies(): Pick<HostOptions, 'configuration' | 'items'> {
  const [first] = hostConfiguration().strategies;
  if (first === undefined) throw new Error('the test configuration has a strategy');
  return {
    configuration: { strategies: [first, { ...first, name: 'second' }] },
    items: [...testItems('example'), ...testItems('second')],
  };
}

describe('strategies', () => {
  it('all get every input, in log order; the end of one is logged and the others go on', async () => {
    const strategies = fakeStrategies({ manual: true }, { limits: () => [700] });
    const host = await startFeed({ ...twoStrategies(), strategies });
    for (let sequence = 0; sequence < 3; sequence++) host.feed?.send(B, batch(sequence));
    const [first, second] = strategies.started;
    await host.until(() => second?.inputs.length === 3);
    expect(first?.inputs.map(({ leafIndex }) => leafIndex)).toEqual(host.leavesOf(KIND.input));
    expect(second?.inputs.map(({ leafIndex }) => leafIndex)).toEqual(host.leavesOf(KIND.input));
    // The first has answered nothing: no batch is done.
    await host.until(() => host.feedOf(FRAME.release).length === 3);
    expect(host.feedOf(FRAME.progress)).toEqual([]);
    first?.end('strategy_over_budget');
    await host.until(() => host.feedOf(FRAME.progress).length === 3);
    host.feed?.send(B, batch(3));
    await host.until(() => host.feedOf(FRAME.progress).length === 4);
    expect(first?.inputs).toHaveLength(3);
    const events = host.leavesOf(KIND.strategyEvent).map((index) => toHex(host.open(index)));
    expect(events).toHaveLength(3);
    expect(host.leaf(host.leavesOf(KIND.strategyEvent)[2] ?? 0).stream).toBe(1000);
    expect(host.diagnostics.map(({ code }) => code)).toContain('strategy_over_budget');
  });

  it('with a full window stall the feed until they have answered', async () => {
    const strategies = fakeStrategies({ manual: true, window: 2 });
    const host = await startFeed({ strategies });
    for (let sequence = 0; sequence < 5; sequence++) host.feed?.send(B, batch(sequence));
    const [strategy] = strategies.started;
    await host.until(() => strategy?.inputs.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.leavesOf(KIND.input)).toHaveLength(2);
    while (host.feedOf(FRAME.progress).length < 5) {
      strategy?.answer();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(host.leavesOf(KIND.input)).toHaveLength(5);
  });

  it('that answer another input than the oldest are one too', async () => {
    const strategies = fakeStrategies({ answerOffset: 1 });
    const host = await startFeed({ strategies });
    host.feed?.send(B, batch(0));
    expect(await host.end).toEqual({ code: 'internal' });
  });

  it('that answer what they were not asked are a bug of their supervisor', async () => {
    const strategies = fakeStrategies({});
    const host = await startFeed({ strategies });
    strategies.started[0]?.input(0, 0n, new Uint8Array());
    expect(await host.end).toEqual({ code: 'internal' });
  });
});
