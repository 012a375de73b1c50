import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JournalPlace } from '../../../host-proxy/execution/journal.ts';
import { findJournal, Journal, openJournal } from '../../../host-proxy/execution/journal.ts';
import type { JournalRecord } from '../../../host-proxy/execution/journal-record.ts';
import { decodeRecords } from '../../../host-proxy/execution/journal-record.ts';
import { JournalState } from '../../../host-proxy/execution/journal-state.ts';
import { DiskFailure } from '../../../host-proxy/files.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { Survival } from '../../helpers/memory-files.ts';
import { Crash, MemoryFiles } from '../../helpers/memory-files.ts';
import { randomPicks } from '../../helpers/random.ts';
import { ORIGIN, PLAIN } from './support.ts';

const DIRECTORY = '/state/execution';

function placeOf(files: MemoryFiles, change: Partial<JournalPlace> = {}): JournalPlace {
  return { files, directory: DIRECTORY, instruments: [PLAIN], keep: false, ...change };
}

/** What becomes of order number `order`, one sync for each of the lists. */
function recordsOf(order: number): readonly (readonly JournalRecord[])[] {
  const id = `ts${order}`;
  return [
    [
      {
        type: 'decision',
        origin: ORIGIN,
        leaf: order,
        id,
        instrument: 1,
        side: 1,
        quantity: 10,
        limit: 5,
        refused: null,
      },
      { type: 'fill', id, number: 0, price: 5, quantity: 4, fee: -1, time: '8' },
    ],
    [{ type: 'fill', id, number: 1, price: 6, quantity: 6, fee: 2, time: '9' }],
    [
      { type: 'end', id, status: 3, time: '9' },
      { type: 'day', day: `${order}`, equity: '-5' },
    ],
    ...(order % 2 === 0 ? [[{ type: 'told', id } as const]] : []),
  ];
}

/** States compare by what they write. */
function textOf(state: JournalState): string {
  return JSON.stringify(state.toRecord());
}

function foldOf(records: readonly JournalRecord[]): string {
  const state = new JournalState([PLAIN]);
  for (const record of records) state.add(record);
  return textOf(state);
}

interface Run {
  /** All that was synced, and what the sync that was interrupted would have added. */
  readonly synced: readonly JournalRecord[];
  readonly inFlight: readonly JournalRecord[];
}

/** Orders over several openings; ends with the crash, if one comes. */
async function run(files: MemoryFiles, openings: number): Promise<Run> {
  const synced: JournalRecord[] = [];
  let inFlight: readonly JournalRecord[] = [];
  try {
    for (let opening = 0; opening < openings; opening++) {
      const { journal } = assertAccepted(await openJournal(placeOf(files)));
      for (const records of recordsOf(opening)) {
        inFlight = records;
        for (const record of records) journal.add(record);
        await journal.sync();
        synced.push(...records);
        inFlight = [];
      }
      if (opening % 2 === 0) await journal.close();
    }
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return { synced, inFlight };
}

async function textOn(files: MemoryFiles): Promise<string> {
  return textOf(assertAccepted(await findJournal(placeOf(files))).state);
}

describe('journal', () => {
  it('comes to the same over several openings, and keeps nothing that it does not need', async () => {
    const files = new MemoryFiles();
    const { synced } = await run(files, 9);
    expect(await textOn(files)).toBe(foldOf(synced));
    expect(files.list(DIRECTORY)).toEqual(['0000000009']);
    const state = assertAccepted(await findJournal(placeOf(files))).state;
    expect([...state.untold.keys()]).toEqual(['ts1', 'ts3', 'ts5', 'ts7']);
    expect(state.account.of(1).quantity).toBe(90n);
  });

  it('keeps the journals of earlier epochs where that is asked for', async () => {
    const files = new MemoryFiles();
    for (let opening = 0; opening < 3; opening++) {
      await assertAccepted(await openJournal(placeOf(files, { keep: true }))).journal.close();
    }
    expect(files.list(DIRECTORY)).toEqual(['0000000001', '0000000002', '0000000003']);
  });

  it('has all that was synced after a loss of power between any two operations', async () => {
    const whole = new MemoryFiles();
    await run(whole, 4);
    for (let crashAt = 0; crashAt <= whole.operations; crashAt++) {
      const files = new MemoryFiles();
      files.crashAt = crashAt;
      const { synced, inFlight } = await run(files, 4);
      const expected = [foldOf(synced), foldOf([...synced, ...inFlight])];
      const survivals: Survival[] = ['nothing', 'everything', randomPicks(crashAt)];
      for (const survival of survivals) {
        const disk = files.afterCrash(survival);
        expect(expected, `operation ${crashAt}`).toContain(await textOn(disk));
        // What was read stays, also when the power goes again.
        const next = assertAccepted(await openJournal(placeOf(disk)));
        expect(await textOn(disk.afterCrash('nothing'))).toBe(textOf(next.state));
      }
      // After a kill alone, what a restart has read survives the next loss of power.
      const killed = files.afterKill();
      const read = await textOn(killed);
      expect(expected).toContain(read);
      expect(await textOn(killed.afterCrash('nothing'))).toBe(read);
    }
  });

  it('refuses any damage to a journal that was closed', async () => {
    const files = new MemoryFiles();
    await run(files, 3);
    const path = `${DIRECTORY}/0000000003/0000000000`;
    const used = Buffer.from(files.readFile(path, 1 << 24) ?? []).lastIndexOf('}') + 1;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: used - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const disk = files.afterCrash('nothing');
          disk.damage(path, (bytes) => {
            bytes[at] = (bytes[at] ?? 0) ^ change;
            return bytes;
          });
          const { ok } = await findJournal(placeOf(disk));
          expect(ok).toBe(false);
        },
      ),
    );
  });

  it('refuses a journal that has lost all, its state too, unless it was the first', async () => {
    for (const [openings, code] of [
      [1, null],
      [2, 'spool_corrupt'],
    ] as const) {
      const files = new MemoryFiles();
      await run(files, openings);
      const [name = ''] = files.list(DIRECTORY);
      files.damage(`${DIRECTORY}/${name}/0000000000`, (bytes) => bytes.fill(0));
      const found = await findJournal(placeOf(files));
      expect([openings, found.ok ? null : found.refusal.code]).toEqual([openings, code]);
    }
  });

  it.each([
    ['is gone', []],
    ['has another price scale', [{ ...PLAIN, price_scale: 1 }]],
    ['has another quantity scale', [{ ...PLAIN, quantity_scale: 1 }]],
  ])('refuses to go on when an instrument that was traded %s', async (_, instruments) => {
    const files = new MemoryFiles();
    await run(files, 2);
    expect(await openJournal(placeOf(files, { instruments }))).toMatchObject({
      refusal: { code: 'config_invalid', detail: { instrument: 1 } },
    });
    // Before the first trade nothing needs it.
    const fresh = new MemoryFiles();
    await assertAccepted(await openJournal(placeOf(fresh))).journal.close();
    expect((await openJournal(placeOf(fresh, { instruments }))).ok).toBe(true);
  });

  it('writes what nothing depends on together with what does, or at the close', async () => {
    const written: JournalRecord[][] = [];
    const journal = new Journal({
      append: (bytes) => {
        written.push([...decodeRecords(bytes)]);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    });
    const told = { type: 'told', id: 'ts0' } as const;
    const day = { type: 'day', day: '1', equity: '0' } as const;
    journal.addLazily(told);
    expect(journal.pending).toBe(false);
    await journal.sync();
    expect(written).toEqual([]);
    journal.add(day);
    await journal.sync();
    journal.addLazily(told);
    await journal.close();
    expect(written).toEqual([[told, day], [told]]);
  });

  it('writes nothing more after a failure', async () => {
    const written: string[] = [];
    let fail = true;
    const journal = new Journal({
      append: (bytes) => {
        if (fail) return Promise.reject(new Error('EIO'));
        written.push(Buffer.from(bytes).toString());
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    });
    journal.add({ type: 'told', id: 'ts0' });
    await expect(journal.sync()).rejects.toThrow('EIO');
    fail = false;
    journal.add({ type: 'told', id: 'ts1' });
    await expect(journal.sync()).rejects.toThrow('failed before');
    await expect(journal.close()).rejects.toThrow('failed before');
    expect(written).toEqual([]);
  });

  it('names the disk when it fails', async () => {
    const files = new MemoryFiles();
    const { journal } = assertAccepted(await openJournal(placeOf(files)));
    files.fault = { operation: 'fdatasync', at: 2, systemCode: 'EIO' };
    journal.add({ type: 'told', id: 'ts0' });
    await expect(journal.sync()).rejects.toThrow(DiskFailure);
  });
});
