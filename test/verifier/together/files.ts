// Two accounts with a transfer between them, one that only looks like it, and records that end at different times.

import { writeFile } from 'node:fs/promises';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { RECORD_ACCOUNT, RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import type { LogFolder } from '../log/log-folder.ts';
import type { Event } from './accounts.ts';
import { accountOf } from './accounts.ts';

type Account = typeof RECORD_ACCOUNT;

export const A: Account = { ...RECORD_ACCOUNT, accountCommitment: new Uint8Array(32).fill(0xaa) };
export const B: Account = {
  ...RECORD_ACCOUNT,
  accountCommitment: new Uint8Array(32).fill(0xbb),
  venue: 'okx',
};

const leaves: Event = { minute: 10, flow: money(-400), reference: 1 };
const arrives: Event = { minute: 40, flow: money(398), reference: 1 };
const earns: Event = { minute: 5, gain: money(30) };

export const SENDS: readonly HourFigures[] = accountOf(money(1000), [
  [leaves],
  [],
  [{ minute: 0, flow: money(-50) }],
]);
export const TAKES: readonly HourFigures[] = accountOf(money(500), [
  [],
  [arrives],
  [{ minute: 20, flow: money(50) }, earns],
  [earns],
]);

export async function writeRecord(
  folder: LogFolder,
  hours: readonly HourFigures[],
  account: Account,
  change: (text: string) => string = (same) => same,
): Promise<string> {
  const builder = await RecordBuilder.create(account);
  builder.addHours(hours);
  const path = folder.path(`record-${Math.random()}.json`);
  await writeFile(path, change(builder.file()));
  return path;
}
