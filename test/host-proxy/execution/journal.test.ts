import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { JournalRecord } from '../../../host-proxy/execution/journal.ts';
import { Journal, openJournal, parseJournal } from '../../../host-proxy/execution/journal.ts';
import { DiskFailure } from '../../../host-proxy/files.ts';
import { assertAccepted } from '../../../wire/result.ts';

const directory = mkdtempSync(join(tmpdir(), 'trackseal-journal-'));
const path = join(directory, 'journal');
afterAll(() => {
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  rmSync(path, { force: true });
});

const RECORDS: readonly JournalRecord[] = [
  {
    type: 'decision',
    origin: 'é',
    leaf: 7,
    id: 'ts00',
    instrument: 1,
    side: 1,
    quantity: 10,
    limit: 5,
    refused: null,
  },
  { type: 'fill', id: 'ts00', number: 0, price: 5, quantity: 10, fee: -1, time: '9' },
  { type: 'end', id: 'ts00', status: 3, time: '9' },
  { type: 'day', day: '1', equity: '-5' },
];

async function write(records: readonly JournalRecord[]): Promise<void> {
  const { journal } = assertAccepted(await openJournal(path));
  for (const record of records) journal.add(record);
  await journal.close();
}

async function read(): Promise<readonly JournalRecord[]> {
  const { journal, records } = assertAccepted(await openJournal(path));
  await journal.close();
  return records;
}

describe('journal', () => {
  it('gives back what was written, over several openings', async () => {
    await write(RECORDS.slice(0, 2));
    await write(RECORDS.slice(2));
    expect(await read()).toEqual(RECORDS);
  });

  it('cuts a last line that is torn, at every byte, and goes on from there', async () => {
    await write(RECORDS);
    const whole = readFileSync(path);
    const third = whole.toString('latin1').split('\n').slice(0, 3).join('\n').length + 1;
    for (let length = third; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await read()).toEqual(RECORDS.slice(0, 3));
      expect(readFileSync(path)).toHaveLength(third);
    }
    await write(RECORDS.slice(3));
    expect(readFileSync(path).equals(whole)).toBe(true);
  });

  it('cuts a tail of zeros, which a lost write leaves', async () => {
    await write(RECORDS);
    appendFileSync(path, Buffer.alloc(4096));
    expect(await read()).toEqual(RECORDS);
  });

  it('refuses damage before the last record, whatever the byte', async () => {
    await write(RECORDS);
    const whole = readFileSync(path);
    const last = whole.toString('latin1').trimEnd().lastIndexOf('\n');
    for (let index = 0; index < last; index++) {
      const damaged = Buffer.from(whole);
      damaged[index] = (damaged[index] ?? 0) ^ 1;
      expect(parseJournal(damaged.toString('utf8'))).toMatchObject({
        refusal: { code: 'spool_corrupt' },
      });
    }
  });

  it('refuses a path that cannot be opened', async () => {
    expect(await openJournal(join(directory, 'missing', 'journal'))).toMatchObject({
      refusal: { code: 'file_unreadable' },
    });
  });

  it('holds a line until there is room, and writes over what a failed attempt has left', async () => {
    await write(RECORDS.slice(0, 1));
    const before = readFileSync(path);
    let attempts = 0;
    const { journal } = assertAccepted(
      await openJournal(path, async (work) => {
        const done = await work();
        // The opening itself, and then the line: its first attempt counts as failed half way.
        if (attempts++ !== 1) return done;
        truncateSync(path, before.length + 5);
        return work();
      }),
    );
    journal.add(RECORDS[1] as JournalRecord);
    await journal.sync();
    journal.add(RECORDS[2] as JournalRecord);
    await journal.close();
    expect(attempts).toBe(3);
    expect(await read()).toEqual(RECORDS.slice(0, 3));
  });

  it('names the disk when it fails', async () => {
    const { journal } = assertAccepted(
      await openJournal(path, (work) =>
        existsSync(path) ? Promise.reject(new DiskFailure('write', path, 'EIO')) : work(),
      ),
    );
    journal.add(RECORDS[0] as JournalRecord);
    await expect(journal.sync()).rejects.toThrow(DiskFailure);
    await expect(journal.sync()).rejects.toThrow('failed before');
  });

  it('writes nothing more after a failure', async () => {
    const written: string[] = [];
    let fail = true;
    const journal = new Journal({
      append: (text) => {
        written.push(text);
        return Promise.resolve();
      },
      sync: () => (fail ? Promise.reject(new Error('EIO')) : Promise.resolve()),
      close: () => Promise.resolve(),
    });
    journal.add({ type: 'day', day: '1', equity: '0' });
    await expect(journal.sync()).rejects.toThrow('EIO');
    fail = false;
    journal.add({ type: 'day', day: '2', equity: '0' });
    await expect(journal.sync()).rejects.toThrow('failed before');
    expect(written).toHaveLength(1);
  });
});
