// A correction of more hours than are closed at once, and a ledger that ends in the middle of it: the next one states the
// rest, and nothing of what was told late is lost.

import { expect, it } from 'vitest';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, boughtAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import type { Story } from '../../../helpers/track-story.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 20, 20, 10);
const [BOUGHT_HOUR, SOLD_HOUR, TOLD_HOUR] = [10, 60, 70];

/** From some statements on it never answers: its ledger ends while it waits. */
class HangingStore extends KeptStore {
  #left = Infinity;
  #onHung: () => void = () => undefined;

  /** Resolves when it hangs. */
  hangAfter(left: number): Promise<void> {
    this.#left = left;
    return new Promise((resolve) => {
      this.#onHung = resolve;
    });
  }

  override append(...args: Parameters<KeptStore['append']>): ReturnType<KeptStore['append']> {
    if (this.#left-- > 0) return super.append(...args);
    this.#onHung();
    return new Promise(() => undefined);
  }
}

function tell({ desk, record }: Story, hour: number, told: readonly ConnectorRecord[] = []): void {
  desk.nowMs = START_MS + hour * HOUR_MS;
  const isHeld = hour >= BOUGHT_HOUR && hour < SOLD_HOUR;
  const usd = hour >= SOLD_HOUR ? '109997' : isHeld ? '49998.5' : '100000';
  desk.poll({ records: [...told, balanceOf('USD', usd), balanceOf('BTC', isHeld ? '1' : '0')] });
  record.look();
}

function dealtAt(hour: number): number {
  return START_MS + hour * HOUR_MS - 5 * 60_000;
}

/** What is stated of each hour at last. `crashes`: after so many rounds of the correction each ledger ends, but the last. */
async function play(crashes: readonly number[]): Promise<ReadonlyMap<number, unknown>> {
  const store = new HangingStore();
  const desk = new TrackDesk(START_MS);
  const story = { desk, record: openRecord(desk, store) };
  const step = async (hour: number, told: readonly ConnectorRecord[] = []): Promise<void> => {
    tell(story, hour, told);
    await story.record.idle();
  };
  const sale = { ...boughtAt('sale', dealtAt(SOLD_HOUR), '1', '60000'), side: 'sell' as const };
  for (let hour = 0; hour < TOLD_HOUR; hour++) await step(hour, hour === SOLD_HOUR ? [sale] : []);
  let hung = store.hangAfter(crashes[0] ?? Infinity);
  tell(story, TOLD_HOUR, [boughtAt('late', dealtAt(BOUGHT_HOUR), '1', '50000')]);
  for (const next of [...crashes, Infinity].slice(1)) {
    await hung;
    hung = store.hangAfter(next);
    story.record = openRecord(desk, store);
    story.record.look();
  }
  await story.record.idle();
  for (let hour = TOLD_HOUR + 1; hour < TOLD_HOUR + 6; hour++) await step(hour);
  expect(desk.fatal).toEqual([]);
  const last = new Map<number, unknown>();
  for (const one of parsedOf(await signedOf(story))) {
    if (one.kind !== 'hour') continue;
    const { startMs, equityEnd, unrealisedEnd, realised, residual, trades, gaps } = one.figures;
    const money = [equityEnd, unrealisedEnd, realised, residual].map((value) =>
      value === null ? null : formatFixed(value),
    );
    last.set(startMs, { money, trades, gaps, return: one.return });
  }
  return last;
}

it('a ledger that ends in the middle of a correction leaves no hour of it as it was', async () => {
  const whole = await play([]);
  const realised = [...whole.values()].map((hour) => (hour as { money: string[] }).money[2]);
  expect(realised).toContain('10000');
  for (const crashes of [[0], [1], [2], [0, 1], [0, 2], [1, 1]])
    expect(await play(crashes), `rounds ${crashes.join()}`).toEqual(whole);
}, 60_000);
