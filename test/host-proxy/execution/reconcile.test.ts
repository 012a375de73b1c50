import { describe, expect, it } from 'vitest';
import type { JournalPlace } from '../../../host-proxy/execution/journal.ts';
import { findJournal, openJournal } from '../../../host-proxy/execution/journal.ts';
import { reconcile } from '../../../host-proxy/execution/reconcile.ts';
import type { BrokenEpoch } from '../../../host-proxy/settle.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { Crash, MemoryFiles } from '../../helpers/memory-files.ts';
import { randomPicks } from '../../helpers/random.ts';
import { ORIGIN, PLAIN } from './support.ts';

function placeOf(files: MemoryFiles): JournalPlace {
  return { files, directory: '/state/execution', instruments: [PLAIN], keep: false };
}

const BROKEN: BrokenEpoch = {
  origin: ORIGIN,
  from: 0,
  outputs: new Map([1, 2, 3, 4, 5].map((leaf) => [leaf, `ts${leaf}`])),
  reported: new Set([2]),
  released: new Set([4, 1, 2, 3]),
};

/** Leaf 1 is an open order, the one of leaf 2 is over and in the log; then the host is killed. */
async function newDisk(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const { journal } = assertAccepted(await openJournal(placeOf(files)));
  for (const leaf of [1, 2]) {
    const order = { instrument: 1, side: 1, quantity: 1, limit: 1, refused: null } as const;
    journal.add({ type: 'decision', origin: ORIGIN, leaf, id: `ts${leaf}`, ...order });
  }
  journal.add({ type: 'end', id: 'ts2', status: 4, time: '1' });
  journal.add({ type: 'told', id: 'ts2' });
  await journal.sync();
  return files.afterCrash('nothing');
}

async function untoldOn(files: MemoryFiles): Promise<readonly string[]> {
  const { state } = assertAccepted(await findJournal(placeOf(files)));
  return [...state.untold.values()].map(({ decision }) => `${decision.type} ${decision.id}`);
}

const RECONCILED = ['decision ts1', 'missed ts3', 'missed ts4'];

describe('reconciling with what was released', () => {
  it('notes the outputs that nothing was decided on', async () => {
    const files = await newDisk();
    assertAccepted(await reconcile(placeOf(files), BROKEN));
    expect(await untoldOn(files)).toEqual(RECONCILED);
  });

  it('changes nothing when it is done again, after a loss of power at any moment too', async () => {
    const whole = await newDisk();
    assertAccepted(await reconcile(placeOf(whole), BROKEN));
    for (let crashAt = 0; crashAt <= whole.operations; crashAt++) {
      const files = await newDisk();
      files.crashAt = crashAt;
      await reconcile(placeOf(files), BROKEN).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
      });
      for (const survival of ['nothing', 'everything', randomPicks(crashAt)] as const) {
        const disk = files.afterCrash(survival);
        for (let times = 0; times < 2; times++) {
          assertAccepted(await reconcile(placeOf(disk), BROKEN));
          expect(await untoldOn(disk), `operation ${crashAt}`).toEqual(RECONCILED);
        }
      }
    }
  });

  it('refuses a log without an output that was decided on or released', async () => {
    const files = await newDisk();
    for (const lost of [2, 3]) {
      const outputs = new Map([...BROKEN.outputs].filter(([leaf]) => leaf !== lost));
      expect(await reconcile(placeOf(files), { ...BROKEN, outputs })).toMatchObject({
        refusal: { code: 'spool_corrupt' },
      });
    }
    expect(await untoldOn(files)).toEqual(['decision ts1']);
  });

  it('refuses a journal without an output that the log has a report on', async () => {
    const files = await newDisk();
    const reported = new Set([1, 3]);
    expect(await reconcile(placeOf(files), { ...BROKEN, reported })).toMatchObject({
      refusal: { code: 'spool_corrupt', detail: { reported_leaf: 3 } },
    });
  });

  it('writes nothing when nothing was missed', async () => {
    const files = await newDisk();
    const { operations } = files;
    assertAccepted(await reconcile(placeOf(files), { ...BROKEN, released: new Set([1, 2]) }));
    expect(files.list('/state/execution')).toEqual(['0000000001']);
    // Only the syncs before reading.
    expect(files.trace.slice(operations).every((line) => line.startsWith('fsync'))).toBe(true);
  });
});
