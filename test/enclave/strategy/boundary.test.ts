// The process as the boundary: programs that stand in for a runner that hostile code has taken over.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, parseUtf8, toHex, utf8 } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import { encodeFrame } from '../../../wire/frame.ts';
import { MAX_OUTPUT_BYTES, MAX_STRATEGY_OUT_BYTES } from '../../../wire/limits.ts';
import { FRAME } from '../../../wire/messages.ts';
import type { RunnerProgram } from '../../../wire/node/strategy-program.ts';
import { runnerFlags } from '../../../wire/node/strategy-program.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import type { Signal } from '../../../wire/payloads.ts';
import { encodeSignal } from '../../../wire/payloads.ts';
import {
  encodeStrategyEnded,
  encodeStrategyOutputs,
  encodeStrategyStarted,
} from '../../../wire/strategy-messages.ts';
import {
  ETH,
  ROOT,
  Watched,
  batchOf,
  bundleOf,
  inputFrame,
  reportOf,
  runFrames,
  specification,
  startFrame,
  timeOf,
} from './support.ts';

let folder = '';
let programs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function programOf(source: string): Promise<RunnerProgram> {
  const path = join(folder, `program-${programs++}.mjs`);
  await writeFile(path, source);
  const { execPath } = findRunner(ROOT);
  // The runner drops the permission for its watchdog; these programs have none.
  const flags = runnerFlags().filter((flag) => flag !== '--allow-worker');
  return { execPath, flags, path };
}

/** A program that writes `steps[0]` after START and `steps[n]` after the n-th INPUT or FILL. */
function liar(steps: readonly Uint8Array[]): Promise<RunnerProgram> {
  return programOf(`
    import { readSync, writeSync } from 'node:fs';
    const steps = ${JSON.stringify(steps.map((bytes) => toHex(bytes)))};
    let bytes = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.alloc(65536);
      const count = readSync(0, chunk);
      if (count === 0) break;
      bytes = Buffer.concat([bytes, chunk.subarray(0, count)]);
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(0)) {
        bytes = bytes.subarray(5 + bytes.readUInt32BE(0));
        const step = Buffer.from(steps.shift() ?? '', 'hex');
        let offset = 0;
        while (offset < step.length) offset += writeSync(1, step, offset);
      }
    }`);
}

const STARTED = encodeFrame(FRAME.started, encodeStrategyStarted([ETH.id]));

function outputs(leafIndex: number, ...bytes: readonly Uint8Array[]): Uint8Array {
  return encodeFrame(FRAME.outputs, encodeStrategyOutputs({ leafIndex, outputs: bytes }));
}

function signal(changes: Partial<Signal> = {}): Uint8Array {
  return encodeSignal({
    id: 0,
    instrument: ETH.id,
    side: 1,
    quantity: 1,
    limit: 1,
    ttlMs: 1,
    decisionNs: timeOf(0),
    causes: [10],
    ...changes,
  });
}

/** How the enclave's side judges a program that says `first` after START and `second` after one INPUT. */
async function judged(
  first: Uint8Array,
  second: Uint8Array,
  feed: (watched: Watched) => void = (watched) => {
    watched.strategy.input(10, timeOf(0), batchOf(0));
  },
): Promise<{ code: RefusalCode | null; signals: number }> {
  const program = await liar([first, second]);
  const watched = await Watched.start(specification(bundleOf()), {}, program);
  if (watched.started?.ok === false) return { code: watched.started.refusal.code, signals: 0 };
  feed(watched);
  await watched.strategy.settled();
  await watched.strategy.stop();
  const signals = watched.answers.flatMap((answer) => answer.outputs).length;
  return { code: watched.endedCodes[0] ?? null, signals };
}

function ended(code: RefusalCode): Uint8Array {
  return encodeFrame(FRAME.ended, encodeStrategyEnded(code));
}

describe('what a taken-over process says', () => {
  it('is believed where it could be true', async () => {
    expect(await judged(STARTED, outputs(10, signal()))).toEqual({ code: null, signals: 1 });
    const both = outputs(10, signal(), signal({ id: 1 }));
    expect(await judged(STARTED, both)).toEqual({ code: null, signals: 2 });
  });

  const malformed = 'strategy_output_malformed';
  it.each([
    ['an id with a hole', outputs(10, signal({ id: 1 })), malformed],
    ['an id twice', outputs(10, signal(), signal()), malformed],
    [
      'an instrument that is known, not subscribed',
      outputs(10, signal({ instrument: 3 })),
      malformed,
    ],
    ['an unknown instrument', outputs(10, signal({ instrument: 4 })), malformed],
    ['another decision time', outputs(10, signal({ decisionNs: timeOf(0) + 1n })), malformed],
    ['no cause', outputs(10, signal({ causes: [] })), malformed],
    ['another cause', outputs(10, signal({ causes: [9] })), malformed],
    ['one cause too many', outputs(10, signal({ causes: [9, 10] })), malformed],
    ['another input', outputs(11, signal()), malformed],
    ['an earlier input', outputs(9), malformed],
    ['a good signal and a bad one', outputs(10, signal(), signal({ id: 5 })), malformed],
    ['a signal of no CBOR', outputs(10, utf8('signal')), malformed],
    [
      'a signal with a byte behind',
      outputs(10, concatBytes(signal(), Uint8Array.of(0))),
      malformed,
    ],
    ['an empty signal', outputs(10, new Uint8Array(0)), malformed],
    [
      '65 signals',
      outputs(10, ...Array.from({ length: 65 }, (_, id) => signal({ id }))),
      malformed,
    ],
    ['an output too long', outputs(10, new Uint8Array(MAX_OUTPUT_BYTES + 1)), malformed],
    ['started twice', STARTED, malformed],
    ['two answers to one input', concatBytes(outputs(10), outputs(10)), malformed],
    ['a frame meant for the log', encodeFrame(FRAME.commit, new Uint8Array(10)), malformed],
    ['a frame meant for the host', encodeFrame(FRAME.release, new Uint8Array(10)), malformed],
    ['an input of its own', inputFrame(12, batchOf(0)), malformed],
    ['text', utf8('{"quantity": 5}'), malformed],
    [
      'a frame longer than its type allows',
      encodeFrame(FRAME.outputs, new Uint8Array(MAX_STRATEGY_OUT_BYTES + 1)),
      malformed,
    ],
    ['an end', ended('strategy_crashed'), 'strategy_crashed'],
    ['an end of its own choice', ended('strategy_output_limit'), 'strategy_output_limit'],
    ['an end that is not its to say', ended('clock_divergence'), 'strategy_crashed'],
    ['an end over its budget', ended('strategy_over_budget'), 'strategy_crashed'],
    ['an end in words', encodeFrame(FRAME.ended, utf8('secret')), malformed],
  ] as const)('%s', async (_, second, code) => {
    expect(await judged(STARTED, second)).toEqual({ code, signals: 0 });
  });

  it.each([
    ['nothing to subscribe', encodeStrategyStarted([]), malformed],
    ['an unknown instrument', encodeStrategyStarted([4]), 'instrument_unknown'],
    ['an instrument twice', encodeStrategyStarted([7, 7]), malformed],
    ['descending instruments', encodeStrategyStarted([7, 3]), malformed],
    ['no list', utf8('x'), malformed],
  ] as const)('at the start: %s', async (_, payload, code) => {
    const first = encodeFrame(FRAME.started, payload);
    expect(await judged(first, outputs(10))).toEqual({ code, signals: 0 });
  });

  it('before it has started', async () => {
    expect(await judged(outputs(0), STARTED)).toEqual({ code: malformed, signals: 0 });
    expect(await judged(ended('strategy_parameters'), STARTED)).toEqual({
      code: 'strategy_parameters',
      signals: 0,
    });
  });

  it('without an input: an answer to a report', async () => {
    const verdict = await judged(STARTED, outputs(20), (watched) => {
      watched.strategy.fill(20, 0, reportOf());
      watched.strategy.input(21, timeOf(0), batchOf(0));
    });
    expect(verdict).toEqual({ code: malformed, signals: 0 });
  });

  it('one byte at a time or not at all', async () => {
    const slow = await programOf(`
      import { readSync, writeSync } from 'node:fs';
      readSync(0, Buffer.alloc(65536));
      for (const byte of Buffer.from('${toHex(STARTED)}', 'hex')) writeSync(1, Buffer.of(byte));
      readSync(0, Buffer.alloc(65536));
      for (const byte of Buffer.from('${toHex(outputs(10, signal()))}', 'hex')) writeSync(1, Buffer.of(byte));
      for (;;) if (readSync(0, Buffer.alloc(65536)) === 0) break;`);
    const watched = await Watched.start(specification(bundleOf()), {}, slow);
    await watched.feed(1);
    expect(watched.answers[0]?.outputs.length).toBe(1);
    await watched.strategy.stop();

    const silent = await programOf('for (;;);');
    const { started } = await Watched.start(specification(bundleOf()), { startMs: 300 }, silent);
    expect(started).toMatchObject({ ok: false, refusal: { code: 'strategy_over_budget' } });
  });
});

/** Answers one input; from then on it reads nothing, or goes on reading. */
function answersOnce(after: string): Promise<RunnerProgram> {
  return programOf(`
    import { readSync, writeSync } from 'node:fs';
    readSync(0, Buffer.alloc(65536));
    writeSync(1, Buffer.from('${toHex(STARTED)}', 'hex'));
    readSync(0, Buffer.alloc(65536));
    writeSync(1, Buffer.from('${toHex(outputs(10))}', 'hex'));
    ${after}`);
}

async function fillUp(program: RunnerProgram): Promise<Watched> {
  const limits = { startMs: 4000, batchMs: 4000, windowBytes: 1 << 20 };
  const watched = await Watched.start(specification(bundleOf()), limits, program);
  await watched.feed(1);
  const report = reportOf();
  // More than any pipe holds, and more than the window.
  for (let leaf = 20; leaf < 20_000; leaf++) watched.strategy.fill(leaf, 0, report);
  return watched;
}

describe('a taken-over process that does not read', () => {
  it('its reports is ended, because the feed waits for room', async () => {
    const watched = await fillUp(await answersOnce('setInterval(() => {}, 1000);'));
    expect(await watched.ended).toBe('strategy_over_budget');
    await watched.strategy.drained();
    await watched.strategy.stop();
  });

  it('its reports for a while goes on', async () => {
    const slow = `for (;;) { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      if (readSync(0, Buffer.alloc(65536)) === 0) break; }`;
    const watched = await fillUp(await answersOnce(slow));
    await watched.strategy.drained();
    expect(watched.endedCodes).toEqual([]);
    await watched.strategy.stop();
  });
});

describe('what a taken-over process can do', () => {
  const HELPERS = `
    import { writeSync } from 'node:fs';
    const tried = [];
    async function attempt(name, act) {
      try { await act(); tried.push(name + ' worked'); } catch (error) { tried.push(name + ' ' + error.code); }
    }`;

  it('no files, network, processes, workers, addons or inspector', async () => {
    const program = await programOf(`${HELPERS}
      const fs = await import('node:fs');
      await attempt('read', () => fs.readFileSync('/etc/hostname'));
      await attempt('write', () => fs.writeFileSync('${folder}/x', 'x'));
      await attempt('list', () => fs.readdirSync('/'));
      await attempt('connect', async () => {
        const { connect } = await import('node:net');
        await new Promise((resolve, reject) => connect(9, '127.0.0.1').once('error', reject));
      });
      await attempt('listen', async () => {
        const { createServer } = await import('node:net');
        await new Promise((resolve, reject) => {
          process.once('uncaughtException', reject);
          createServer().listen(0, '127.0.0.1', resolve);
        });
      });
      await attempt('spawn', async () => (await import('node:child_process')).spawnSync('/bin/true'));
      await attempt('worker', async () => new (await import('node:worker_threads')).Worker('1', {eval: true}));
      await attempt('inspector', async () => (await import('node:inspector')).open(0));
      await attempt('addon', () => process.dlopen({exports: {}}, '/x.node'));
      await attempt('code', () => new Function('return 1')());
      writeSync(1, JSON.stringify([tried, Object.keys(process.env)]));
      process.exit();`);
    const text = parseUtf8(await runFrames([], 1, program));
    expect(JSON.parse(text ?? '')).toEqual([
      [
        'read ERR_ACCESS_DENIED',
        'write ERR_ACCESS_DENIED',
        'list ERR_ACCESS_DENIED',
        'connect ERR_ACCESS_DENIED',
        'listen ERR_ACCESS_DENIED',
        'spawn ERR_ACCESS_DENIED',
        'worker ERR_ACCESS_DENIED',
        'inspector ERR_ACCESS_DENIED',
        'addon ERR_DLOPEN_DISABLED',
        'code undefined',
      ],
      [],
    ]);
  });

  it('has no descriptor of the enclave', async () => {
    // fstat does not ask for permission; only 0, 1 and 2 were handed over. Node's own come after them.
    const program = await programOf(`
      import { fstatSync, writeSync } from 'node:fs';
      const open = [];
      for (let fd = 0; fd < 200; fd++) {
        try { const s = fstatSync(fd); open.push([fd, s.isSocket() || s.isFIFO(), s.isFile(), s.isCharacterDevice()]); } catch {}
      }
      writeSync(1, JSON.stringify(open));
      process.exit();`);
    const text = parseUtf8(await runFrames([], 1, program));
    const open = JSON.parse(text ?? '') as [number, boolean, boolean, boolean][];
    expect(open.filter(([, , isFile]) => isFile)).toEqual([]);
    expect(open.slice(0, 2).map(([fd, isPipe]) => [fd, isPipe])).toEqual([
      [0, true],
      [1, true],
    ]);
    expect(open[2]).toEqual([2, false, false, true]);
    expect(open.slice(3).filter(([, , , isDevice]) => isDevice)).toEqual([]);
  });

  it('no runner without the permission model', async () => {
    const runner = findRunner(ROOT);
    const flags = runner.flags.filter(
      (flag) => !flag.includes('permission') && !flag.includes('allow'),
    );
    const frames = [startFrame(bundleOf())];
    expect(await runFrames(frames, 1000, { ...runner, flags })).toEqual(new Uint8Array(0));
    expect(await runFrames(frames, 1000, runner)).toEqual(STARTED);
  });
});
