import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../wire/bytes.ts';
import { MAX_ITEM_BYTES } from '../../../wire/limits.ts';
import { MAX_TTL_MS, STATUS } from '../../../wire/payloads.ts';
import {
  BTC,
  BTC_SELECTOR,
  ETH,
  Watched,
  batchOf,
  bundleOf,
  livingStrategies,
  fateOf,
  imageRunner,
  reportOf,
  signalText,
  specification,
  timeOf,
  tradeRow,
} from './support.ts';

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.with(3, (bytes[3] ?? 0) ^ 1);
}

const PATIENCE = { timeout: 60_000 };

describe('the start of a strategy process', () => {
  it('tells the subscribed instruments, ascending', async () => {
    const both = `return [{venue:'binance',symbol:'ETHUSDT',market:'spot'}, ${BTC_SELECTOR}];`;
    const watched = await Watched.start(specification(bundleOf({ subscribe: both })));
    expect(watched.strategy.subscribed).toEqual([BTC.id, ETH.id]);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual([]);
  });

  it('refuses a bundle, salt or commitment that was changed', async () => {
    const good = specification(bundleOf());
    for (const changed of [
      { ...good, bundle: flipped(good.bundle) },
      { ...good, salt: flipped(good.salt) },
      { ...good, commitment: flipped(good.commitment) },
      { ...good, salt: new Uint8Array(0), bundle: new Uint8Array([...good.salt, ...good.bundle]) },
    ]) {
      const { started } = await Watched.start(changed);
      expect(started).toMatchObject({ ok: false, refusal: { code: 'commitment_mismatch' } });
    }
  });

  it.each([
    ['syntax error', 'strategy_malformed', 'return {'],
    [
      'throws while it loads',
      'strategy_malformed',
      bundleOf({ before: 'throw new Error("secret")' }),
    ],
    ['no definition', 'strategy_malformed', '42'],
    ['null', 'strategy_malformed', 'null'],
    ['no onBatch', 'strategy_malformed', bundleOf({ more: 'onBatch: 1' })],
    ['a parameters field of no use', 'strategy_crashed', bundleOf({ more: 'parameters: {}' })],
    ['subscribes to nothing', 'strategy_malformed', bundleOf({ subscribe: 'return [];' })],
    [
      'subscribes to an unknown instrument',
      'instrument_unknown',
      bundleOf({ subscribe: "return [{venue:'binance',symbol:'ETHUSDT',market:'linear'}];" }),
    ],
    [
      'refuses its parameters',
      'strategy_parameters',
      bundleOf({ safeParse: 'return {success: false};' }),
    ],
    ['throws in start', 'strategy_crashed', bundleOf({ start: 'throw new Error();' })],
    ['five bar intervals', 'strategy_malformed', bundleOf({ more: 'barsMs: [1, 2, 3, 4, 5]' })],
    ['a bar interval of 0', 'strategy_malformed', bundleOf({ more: 'barsMs: [0]' })],
  ] as const)('%s: %s', async (_, code, bundle) => {
    expect(await fateOf(bundle)).toBe(code);
  });

  it('refuses parameters that are no JSON, and START beyond its maximum', async () => {
    const parameters = utf8('{');
    expect(await fateOf(bundleOf(), 1, {}, { parameters })).toBe('strategy_parameters');
    const long = new Uint8Array(MAX_ITEM_BYTES).fill(32);
    const bundle = `${bundleOf()}${' '.repeat(MAX_ITEM_BYTES - bundleOf().length)}`;
    expect(await fateOf(bundle, 1, {}, { parameters: long })).toBe('strategy_malformed');
  });

  it('ends a strategy that does not finish loading', async () => {
    const fate = await fateOf(bundleOf({ before: 'for (;;);' }), 1, { startMs: 300 });
    expect(fate).toBe('strategy_over_budget');
  });

  it('can be given up: the process that still starts is gone, and nobody hears of an end', async () => {
    const stop = new AbortController();
    const watched = new Watched();
    // Those that other tests have killed may take a moment to be gone.
    await expect.poll(livingStrategies, PATIENCE).toEqual([]);
    const starting = watched.begin(
      specification(bundleOf({ before: 'for (;;);' })),
      await imageRunner(),
      stop.signal,
    );
    const spawned = await livingStrategies();
    expect(spawned.length).toBe(1);
    stop.abort();
    expect(await starting).toMatchObject({ ok: false, refusal: { code: 'strategy_crashed' } });
    await expect.poll(livingStrategies, PATIENCE).toEqual([]);
    expect(watched.endedCodes).toEqual([]);
    // Given up before it began: no process at all.
    const never = watched.begin(specification(bundleOf()), await imageRunner(), stop.signal);
    expect(await livingStrategies()).toEqual([]);
    expect((await never).ok).toBe(false);
  });

  it('says strategy_crashed when there is no such program', async () => {
    const program = { execPath: '/nonexistent/node', flags: [], path: '/nonexistent/runner' };
    const { started } = await Watched.start(specification(bundleOf()), {}, program);
    expect(started).toMatchObject({ ok: false, refusal: { code: 'strategy_crashed' } });
  });
});

describe('inputs and answers', () => {
  it('answers every input in order, with signals that name their causes', async () => {
    const every = `if (++ctx.state.batches % 2 === 0) ${signalText({ quantity: 'ctx.state.batches' })}`;
    const watched = await Watched.start(specification(bundleOf({ onBatch: every })));
    await watched.feed(5);
    await watched.strategy.stop();
    expect(watched.answers.map(({ leafIndex }) => leafIndex)).toEqual([10, 11, 12, 13, 14]);
    expect(watched.answers.flatMap(({ outputs }) => outputs.map(({ signal }) => signal))).toEqual([
      {
        id: 0,
        instrument: 7,
        side: 1,
        quantity: 2,
        limit: 268_000,
        ttlMs: 1000,
        decisionNs: timeOf(1),
        causes: [11],
      },
      {
        id: 1,
        instrument: 7,
        side: 1,
        quantity: 4,
        limit: 268_000,
        ttlMs: 1000,
        decisionNs: timeOf(3),
        causes: [13],
      },
    ]);
  });

  it('gives the rows of the subscribed instruments only', async () => {
    const onBatch = `for (let row = 0; row < batch.length; row++) {
      if (batch.instrument[row] !== 7) throw new Error();
      ${signalText({ quantity: 'batch.quantity[row]', limit: 'batch.price[row]', ttlMs: 'batch.id[row]' })}
    }`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })));
    const rows = [1, 2, 3, 4, 5, 6].map((id) =>
      tradeRow(0, { id, quantity: id * 10, price: id * 100, instrument: id % 3 === 0 ? 3 : 7 }),
    );
    watched.strategy.input(10, timeOf(0), batchOf(0, rows));
    await watched.strategy.settled();
    await watched.strategy.stop();
    const seen = watched.answers.flatMap(({ outputs }) =>
      outputs.map(({ signal }) => [signal.ttlMs, signal.quantity, signal.limit]),
    );
    expect(seen).toEqual([1, 2, 4, 5].map((id) => [id, id * 10, id * 100]));
  });

  it('shows reports, positions and their leaves as causes', async () => {
    const onBatch = `ctx.state.batches++;
      if (ctx.state.batches === 1) { ${signalText({ side: '2' })} ${signalText({ side: '1' })} }
      for (const report of ctx.reports) {
        const filled = report.fills.reduce((sum, fill) => sum + fill.quantity, 0);
        ${signalText({
          quantity: '1000 + ctx.position(7)',
          limit: '1 + report.signal',
          ttlMs: '1 + filled',
          side: 'report.side',
        })}
      }`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })));
    const { strategy } = watched;
    strategy.input(10, timeOf(0), batchOf(0));
    strategy.fill(20, 0, reportOf({ status: STATUS.partlyFilled }));
    strategy.fill(
      21,
      1,
      reportOf({ status: STATUS.rejected, reason: 'risk_kill_switch', fills: [] }),
    );
    strategy.fill(22, 9, reportOf());
    strategy.input(30, timeOf(1), batchOf(1));
    strategy.fill(31, 0, reportOf({ status: STATUS.filled }));
    strategy.fill(32, 0, reportOf({ status: STATUS.filled }));
    strategy.input(40, timeOf(2), batchOf(2));
    await strategy.settled();
    await strategy.stop();
    const signals = watched.answers.map(({ outputs }) => outputs.map(({ signal }) => signal));
    expect(signals[0]?.map(({ causes }) => causes)).toEqual([[10], [10]]);
    // The report of an unknown signal is a cause, but shows nothing.
    expect(
      signals[1]?.map(({ id, quantity, limit, ttlMs, side, causes }) => [
        id,
        quantity,
        limit,
        ttlMs,
        side,
        causes,
      ]),
    ).toEqual([
      [2, 990, 1, 11, 2, [20, 21, 22, 30]],
      [3, 990, 2, 1, 1, [20, 21, 22, 30]],
    ]);
    // After a final report a signal takes no more fills.
    expect(signals[2]?.map(({ quantity, causes }) => [quantity, causes])).toEqual([
      [980, [31, 32, 40]],
    ]);
  });

  it('names the latest 63 reports beside the input', async () => {
    for (const [fills, first] of [
      [62, 100],
      [63, 100],
      [64, 101],
    ] as const) {
      const watched = await Watched.start(specification(bundleOf({ onBatch: signalText() })));
      for (let fill = 0; fill < fills; fill++) watched.strategy.fill(100 + fill, 0, reportOf());
      watched.strategy.input(900, timeOf(0), batchOf(0));
      await watched.strategy.settled();
      expect(watched.endedCodes).toEqual([]);
      const causes = watched.answers[0]?.outputs[0]?.signal.causes ?? [];
      expect([causes.length, causes[0], causes.at(-1)]).toEqual([
        Math.min(fills + 1, 64),
        first,
        900,
      ]);
      await watched.strategy.stop();
    }
  });

  it('shows the latest 1,024 reports, and counts all fills', async () => {
    const onBatch = `if (ctx.state.batches++ === 0) ${signalText()}
      else ${signalText({ quantity: 'ctx.reports.length', limit: 'ctx.position(7)' })}`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })), {
      windowBytes: 64 * 1024 * 1024,
    });
    watched.strategy.input(10, timeOf(0), batchOf(0));
    const partly = reportOf({ status: STATUS.partlyFilled });
    for (let leaf = 20; leaf < 20 + 1025; leaf++) watched.strategy.fill(leaf, 0, partly);
    watched.strategy.input(5000, timeOf(1), batchOf(1));
    await watched.strategy.settled();
    await watched.strategy.stop();
    expect(watched.answers[1]?.outputs[0]?.signal).toMatchObject({ quantity: 1024, limit: 10_250 });
  });

  it('forgets the oldest of more than 65,536 open signals', async () => {
    const onBatch = `if (ctx.reports.length > 0) ctx.state.last = ctx.reports.map((one) => one.signal);
      for (let n = 0; n < 64; n++) ${signalText({ quantity: '1 + (ctx.state.last?.[0] ?? 0)' })}`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })));
    await watched.feed(1024);
    const quantityAfter = async (sequence: number, ...signals: number[]): Promise<unknown> => {
      for (const signal of signals) watched.strategy.fill(5000 + sequence, signal, reportOf());
      watched.strategy.input(6000 + sequence, timeOf(sequence), batchOf(sequence));
      await watched.strategy.settled();
      return watched.answers.at(-1)?.outputs[0]?.signal.quantity;
    };
    expect(await quantityAfter(1024, 63)).toBe(64);
    // 64 more are open now, and one was filled.
    expect(await quantityAfter(1025, 0, 62, 64)).toBe(65);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual([]);
  });

  it('says when its window is full, and when there is room again', async () => {
    const watched = await Watched.start(specification(bundleOf()), { windowInputs: 3 });
    const { strategy } = watched;
    const room = [0, 1, 2].map((sequence) =>
      strategy.input(10 + sequence, timeOf(sequence), batchOf(sequence)),
    );
    expect(room).toEqual([true, true, false]);
    await strategy.drained();
    expect(watched.answers.length).toBeGreaterThan(0);
    await strategy.stop();
  });

  it('counts the bytes of reports in the window until the process has them', async () => {
    const watched = await Watched.start(specification(bundleOf()), { windowBytes: 1000 });
    const { strategy } = watched;
    const room: boolean[] = [];
    for (let leaf = 10; leaf < 40 && room.at(-1) !== false; leaf++) {
      room.push(strategy.fill(leaf, 0, reportOf()));
    }
    expect(room.at(-1)).toBe(false);
    // No batch has to come in between: it could not, while the feed waits for room.
    await strategy.drained();
    expect(strategy.fill(40, 0, reportOf())).toBe(true);
    await strategy.stop();
  });

  it('drops what comes after the end, and wakes whoever waits', async () => {
    const watched = await Watched.start(
      specification(bundleOf({ onBatch: 'throw new Error();' })),
      {
        windowInputs: 1,
      },
    );
    expect(watched.strategy.input(10, timeOf(0), batchOf(0))).toBe(false);
    await watched.strategy.drained();
    expect(await watched.ended).toBe('strategy_crashed');
    expect(watched.strategy.input(11, timeOf(1), batchOf(1))).toBe(true);
    expect(watched.strategy.fill(12, 0, reportOf())).toBe(true);
    await watched.strategy.settled();
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual(['strategy_crashed']);
  });
});

describe('the limits of a signal', () => {
  const max = Number.MAX_SAFE_INTEGER;
  it.each([
    ['quantity', '0', false],
    ['quantity', '1', true],
    ['quantity', String(max), true],
    ['quantity', String(max + 1), false],
    ['quantity', '-1', false],
    ['quantity', '1.5', false],
    ['quantity', 'NaN', false],
    ['quantity', 'Infinity', false],
    ['quantity', '10n', false],
    ['quantity', "'10'", false],
    ['quantity', 'undefined', false],
    ['limit', '0', false],
    ['limit', '1', true],
    ['limit', String(max), true],
    ['limit', String(max + 1), false],
    ['limit', '-0', false],
    ['ttlMs', '0', false],
    ['ttlMs', '1', true],
    ['ttlMs', String(MAX_TTL_MS), true],
    ['ttlMs', String(MAX_TTL_MS + 1), false],
    ['side', '0', false],
    ['side', '2', true],
    ['side', '3', false],
    ['side', "'1'", false],
    ['instrument', '3', false],
    ['instrument', '4', false],
    ['instrument', "'7'", false],
  ] as const)('%s %s: %s', async (field, value, accepted) => {
    const fate = await fateOf(bundleOf({ onBatch: signalText({ [field]: value }) }));
    expect(fate).toBe(accepted ? 'runs' : 'strategy_output_malformed');
  });

  it.each([
    [63, 'runs'],
    [64, 'runs'],
    [65, 'strategy_output_limit'],
    [5000, 'strategy_output_limit'],
  ] as const)('%d signals for one batch: %s', async (count, expected) => {
    const onBatch = `for (let n = 0; n < ${count}; n++) ${signalText()}`;
    expect(await fateOf(bundleOf({ onBatch }))).toBe(expected);
  });

  it('cannot be passed by catching the exception', async () => {
    const one = `try { ${signalText({ quantity: '0' })} } catch {}`;
    expect(await fateOf(bundleOf({ onBatch: one }))).toBe('strategy_output_malformed');
    const many = `for (let n = 0; n < 65; n++) try { ${signalText()} } catch {}`;
    expect(await fateOf(bundleOf({ onBatch: many }))).toBe('strategy_output_limit');
  });

  it('logs no signal of a batch that ended the strategy', async () => {
    const onBatch = `${signalText()} throw new Error();`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })));
    await watched.feed(1);
    expect(await watched.ended).toBe('strategy_crashed');
    expect(watched.answers).toEqual([]);
  });
});
